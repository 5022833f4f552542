package server

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"airlock/ledger"
	"airlock/vault"
	"airlock/wholefile"

	"github.com/gofrs/flock"
	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"
)

// Config says what a host keeps, for whom and by what rules. What is zero is not
// limited, unless it says otherwise.
type Config struct {
	Name   string         // of the host; its receipts bear it
	Zone   *time.Location // by whose wall clock Keep counts
	Folder string         // absolute; made if the folder above it is there
	State  string         // absolute; made if need be
	Site   note.Verifier  // whose generations count
	Keep   vault.Keep
	MinAge time.Duration // no generation younger than this is dropped
	Brake  int           // no more generations than these are dropped in one run
	// WindowsPerDay is how many generations a day may bring before it is in doubt whether
	// they are all the site's; 0 is 24.
	WindowsPerDay int
	Quota         int64 // bytes in all; 0 is as much as the disk takes
	Floor         int64 // bytes that stay free on the disk
	Reserve       int64 // bytes of these that only windows which the site announces may take
	// Strays is how long blobs may wait for a generation that lists them; 0 is for ever.
	Strays  time.Duration
	ReadAll time.Duration // within how long Verify is to have read everything
	Log     *slog.Logger
	Actor   string // for the ledger: who started this process
	// Now is the host's clock; nil is time.Now.
	Now func() time.Time
}

// Host is one process's hold on a vault's folder. It is safe for concurrent use, and so
// are several processes, of which one serves.
type Host struct {
	conf   Config
	folder *folder
	index  *index
	ledger *ledger.Ledger
	key    note.Signer
	public string

	changing sync.Mutex
	change   *flock.Flock // change.lock; held under changing

	// Under changing:
	checked  *vault.Generation // the last one found whole: while it stands, its blobs need no second look
	receipts map[int64]issued  // the last ones, by generation
}

// Open takes hold of a folder and its state, and makes what is missing.
func Open(ctx context.Context, c Config) (h *Host, err error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if err := os.MkdirAll(filepath.Join(c.State, "keys"), 0o700); err != nil {
		return nil, fmt.Errorf("state folder of the vault's host: %w", err)
	}
	h = &Host{conf: c, change: flock.New(filepath.Join(c.State, "change.lock")), receipts: map[int64]issued{}}
	if h.key, h.public, err = receiptKey(filepath.Join(c.State, "keys"), c.Name); err != nil {
		return nil, err
	}
	if h.folder, err = openFolder(c.Folder); err != nil {
		return nil, err
	}
	if h.index, err = openIndex(ctx, filepath.Join(c.State, "index.db")); err != nil {
		return nil, errors.Join(err, h.folder.Close())
	}
	if h.ledger, err = ledger.Open(ctx, filepath.Join(c.State, "ledger.db"), ledger.Options{Signer: h.key}); err != nil {
		return nil, errors.Join(err, h.index.Close(), h.folder.Close())
	}
	return h, nil
}

// signWithin is how long a full disk may hold up whoever closes the ledger.
const signWithin = 5 * time.Second

// Close signs what the ledger holds, and gives everything back.
func (h *Host) Close() error {
	soon, cancel := context.WithTimeout(context.Background(), signWithin)
	defer cancel()
	_, err := h.ledger.Checkpoint(soon)
	return errors.Join(err, h.ledger.Close(), h.index.Close(), h.folder.Close(), h.change.Close())
}

// PublicKey is what receipts are verified with: receipt_key in the site's policy file.
func (h *Host) PublicKey() string { return h.public }

// exclusively runs f while nobody else removes files, takes stock or vouches.
func (h *Host) exclusively(ctx context.Context, f func() error) (err error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	if _, err := h.change.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return fmt.Errorf("waiting for another airlock vault command: %w", err)
	}
	defer func() { err = errors.Join(err, h.change.Unlock()) }()
	return f()
}

// alarm records what a person must look at.
func (h *Host) alarm(what, why string) {
	h.conf.Log.Error("ALARM "+what, "why", why)
	h.note(ledger.KindAlarm, h.conf.Actor, what+": "+why, nil)
}

func (h *Host) note(kind ledger.Kind, actor, reason string, evidence any) {
	h.ledger.Note(ledger.Entry{Time: h.conf.Now(), Kind: kind, Actor: actor, Vault: h.conf.Name, Reason: reason, Detail: detail(evidence)})
}

// receiptKey reads the key that signs receipts, and makes it if there is none.
func receiptKey(dir, name string) (note.Signer, string, error) {
	private, public, err := readOrMake(dir, "receipt.key", "receipt.pub", func() (string, string, error) { return note.GenerateKey(rand.Reader, name) })
	if err != nil {
		return nil, "", fmt.Errorf("the key that signs receipts: %w", err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		return nil, "", fmt.Errorf("the key that signs receipts: %s is damaged: %w", filepath.Join(dir, "receipt.key"), err) // S13: note quotes no key
	}
	if signer.Name() != name {
		return nil, "", fmt.Errorf("the key in %s is that of %s, not of %s: keep the vault's name, or move receipt.key and receipt.pub away and give the new receipt_key to the site", dir, signer.Name(), name)
	}
	return signer, public, nil
}

// HostKey reads the SSH host key of the state folder, and makes it if there is none.
func HostKey(state string) (ssh.Signer, error) {
	dir := filepath.Join(state, "keys")
	private, _, err := readOrMake(dir, "ssh_host_ed25519", "ssh_host_ed25519.pub", func() (string, string, error) {
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return "", "", err
		}
		block, err := ssh.MarshalPrivateKey(private, "")
		if err != nil {
			return "", "", err
		}
		half, err := ssh.NewPublicKey(public)
		if err != nil {
			return "", "", err
		}
		return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(half))), nil
	})
	if err != nil {
		return nil, fmt.Errorf("the host's SSH key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey([]byte(private))
	if err != nil {
		return nil, fmt.Errorf("the host's SSH key %s: %w", filepath.Join(dir, "ssh_host_ed25519"), err)
	}
	return signer, nil
}

// readOrMake reads a key's two halves. The public one is written last: while it is
// missing, the key is not made.
func readOrMake(dir, privateName, publicName string, generate func() (private, public string, err error)) (private, public string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", "", err
	}
	half, err := os.ReadFile(filepath.Join(dir, publicName))
	if err == nil {
		text, err := os.ReadFile(filepath.Join(dir, privateName))
		private = string(text)
		if !strings.Contains(private, "\n-") {
			private = strings.TrimSpace(private)
		}
		return private, strings.TrimSpace(string(half)), err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", "", err
	}
	if private, public, err = generate(); err != nil {
		return "", "", err
	}
	for _, f := range []struct {
		name, text string
		mode       fs.FileMode
	}{{privateName, private, 0o600}, {publicName, public, 0o644}} {
		if err := wholefile.Replace(filepath.Join(dir, f.name), []byte(strings.TrimSpace(f.text)+"\n"), f.mode); err != nil {
			return "", "", err
		}
	}
	return private, public, nil
}
