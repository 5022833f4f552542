package server

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	"golang.org/x/mod/sumdb/note"

	"airlock/blob"
	"airlock/ledger/proof/notetest"
	"airlock/sshconn"
	"airlock/vault"
	vaultsftp "airlock/vault/sftp"
	"airlock/vault/vaulttest"
)

// world is a site and the host of its vault, in folders of one test.
type world struct {
	t      testing.TB
	dir    string
	conf   Config
	client key
	second key            // of another client
	conn   sshconn.Config // while the host serves
	host   *Host
	pid    int    // of a host in a process of its own
	end    func() // ends the serving, and closes the host

	site    note.Signer
	siteKey string            // its public half
	blobs   map[string][]byte // the repository
	memory  *vault.Memory
	nights  int

	mu    sync.Mutex
	ahead time.Duration // of the real clock
}

// key is an SSH key's two halves.
type key struct {
	private []byte
	public  ssh.PublicKey
}

func newKey(t testing.TB) key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return key{pem.EncodeToMemory(block), signer.PublicKey()}
}

// newWorld makes a host that does not serve yet.
func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, dir: dir, client: newKey(t), second: newKey(t), blobs: map[string][]byte{}}
	site := notetest.New(t, "lab")
	w.site, w.siteKey = site.Signer, site.Public
	w.conf = Config{
		Name: "lab-vault", Zone: time.UTC, Folder: filepath.Join(dir, "vault"), State: filepath.Join(dir, "state"), Site: site.Verifier,
		Keep: vault.Keep{MinCount: 1, Last: 3}, MinAge: time.Hour, Brake: 5, ReadAll: 30 * 24 * time.Hour,
		Log: slog.New(slog.NewTextHandler(&logged{t: t}, nil)), Actor: "user test", Now: w.now,
	}
	memory, err := vault.OpenMemory(filepath.Join(dir, "memory"))
	if err != nil {
		t.Fatal(err)
	}
	w.memory = memory
	t.Cleanup(func() {
		w.stop()
		if err := w.memory.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// logged shows the log of a test that failed.
type logged struct {
	t    testing.TB
	mu   sync.Mutex
	text strings.Builder
	once sync.Once
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.once.Do(func() {
		l.t.Cleanup(func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.t.Failed() {
				l.t.Log(l.text.String())
			}
		})
	})
	return l.text.Write(b)
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead)
}

// pass lets time pass for the host's clock, which a test's machine does not count: the
// clock's record is put right as a person would.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.mu.Lock()
	w.ahead += d
	w.mu.Unlock()
	if err := os.Remove(filepath.Join(w.conf.State, "clock.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatal(err)
	}
}

// open opens the host without serving it.
func (w *world) open() *Host {
	w.t.Helper()
	w.stop()
	h, err := Open(w.t.Context(), w.conf)
	if err != nil {
		w.t.Fatal(err)
	}
	w.host = h
	w.end = func() {
		if err := h.Close(); err != nil {
			w.t.Error(err)
		}
	}
	return h
}

func (w *world) stop() {
	if w.end != nil {
		w.end()
	}
	w.end, w.host = nil, nil
}

// usual are limits that no test meets by chance.
func usual() Limits {
	return Limits{Connections: 64, Logins: 100_000, OpenFiles: 64, Idle: time.Minute}
}

// knows has the site know the host by an address. It says by which file.
func (w *world) knows(address string) (known string) {
	w.t.Helper()
	key, err := HostKey(w.conf.State)
	if err != nil {
		w.t.Fatal(err)
	}
	known = filepath.Join(w.dir, "known_hosts")
	if err := os.WriteFile(known, []byte(knownhosts.Line([]string{knownhosts.Normalize(address)}, key.PublicKey())+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return known
}

// serve opens the host and serves it.
func (w *world) serve(limits Limits) *Host {
	w.t.Helper()
	h := w.open()
	hostKey, err := HostKey(w.conf.State)
	if err != nil {
		w.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	address := l.Addr().String()
	known := w.knows(address)
	w.conn = sshconn.Config{Address: address, User: "airlock", Key: w.client.private, KnownHosts: known}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- h.Serve(ctx, l, Service{HostKey: hostKey, Clients: map[string]ssh.PublicKey{"airlock": w.client.public, "second": w.second.public}, Limits: limits})
	}()
	w.end = func() {
		stop()
		if err := errors.Join(<-ended, h.Close()); err != nil {
			w.t.Error(err)
		}
	}
	return h
}

// store is airlock's own client.
func (w *world) store() *vaultsftp.Store {
	w.t.Helper()
	s, err := vaultsftp.Dial(w.t.Context(), vaultsftp.Config{Conn: w.conn, Path: w.conf.Folder})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	return s
}

// night has the repository write some blobs of every class, and change the one that
// changes.
func (w *world) night() {
	w.nights++
	for _, class := range []string{"p", "q", "xn0_"} {
		for i := range 3 {
			w.blobs[fmt.Sprintf("%s%030d", class, 10*w.nights+i)] = vaulttest.Random(1000*w.nights+len(w.blobs), 3000*(i+1))
		}
	}
	w.blobs["kopia.repository"] = []byte("format")
	w.blobs["kopia.maintenance"] = fmt.Appendf(nil, "schedule of night %d", w.nights)
}

// plan is what the next window has to do.
func (w *world) plan() *vault.Plan {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.conf.State, "keys", "receipt.pub"))
	if err != nil {
		w.t.Fatal(err)
	}
	host, err := note.NewVerifier(strings.TrimSpace(string(text)))
	if err != nil {
		w.t.Fatal(err)
	}
	in := vault.PlanInput{
		Site: "lab", Vault: "secondary", Window: fmt.Sprintf("w%d", w.nights), Memory: w.memory, Workers: 4, Now: time.Now(),
		SiteKey: w.site, HostKey: host, Trust: []note.Verifier{w.conf.Site},
	}
	for name, data := range w.blobs {
		in.Blobs = append(in.Blobs, blob.Blob{Name: name, Size: int64(len(data)), SHA256: sha256.Sum256(data)})
	}
	p, err := vault.NewPlan(in)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// window sends what lacks, and wants a whole receipt.
func (w *world) window() vault.Report {
	w.t.Helper()
	report, err := w.plan().Send(w.t.Context(), w.store(), w, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if report.Receipt == nil || !report.Receipt.Whole() {
		w.t.Fatalf("receipt: %+v", report.Receipt)
	}
	return report
}

// Open implements vault.Origin.
func (w *world) Open(_ context.Context, name string) (io.ReadCloser, error) {
	data, ok := w.blobs[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(string(data))), nil
}

// file is where a file of the vault lies on this machine.
func (w *world) file(name string) string {
	return filepath.Join(w.conf.Folder, filepath.FromSlash(name))
}

// spoil changes a file's bytes behind the host's back, as a failing disk would.
func (w *world) spoil(name string) {
	w.t.Helper()
	data, err := os.ReadFile(w.file(name))
	if err != nil || len(data) == 0 {
		w.t.Fatal(err, len(data))
	}
	data[len(data)/2] ^= 1
	if err := errors.Join(os.Chmod(w.file(name), 0o600), os.WriteFile(w.file(name), data, 0o600)); err != nil {
		w.t.Fatal(err)
	}
}

// sound wants every generation that the host knows of to be there with every byte, read
// from the folder alone.
func (w *world) sound(want ...int64) {
	w.t.Helper()
	root, err := os.OpenRoot(w.conf.Folder)
	if err != nil {
		w.t.Fatal(err)
	}
	defer root.Close()
	found := map[int64]bool{}
	sums := map[string]blob.Sum{} // generations share most of their blobs
	files, err := fs.Glob(root.FS(), "generations/*.json")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range files {
		file, err := root.ReadFile(f)
		if err != nil {
			w.t.Fatal(err)
		}
		g, err := vault.Decode(file)
		if err != nil {
			continue // anybody's file
		}
		signature, err := root.ReadFile(vault.SignaturePath(g.Number))
		if err != nil || vault.CheckSignature(signature, g.Number, sha256.Sum256(file), w.conf.Site) != nil {
			continue
		}
		found[g.Number] = true
		for _, e := range g.Blobs {
			sum, read := sums[e.At()]
			if !read {
				data, err := root.ReadFile(e.At())
				if err != nil {
					w.t.Errorf("generation %d: blob %s: %v", g.Number, e.Name, err)
				}
				sum = sha256.Sum256(data)
				sums[e.At()] = sum
			}
			if sum != e.SHA256 {
				w.t.Errorf("generation %d: blob %s is not as it was", g.Number, e.Name)
			}
		}
	}
	for _, n := range want {
		if !found[n] {
			w.t.Errorf("generation %d is gone", n)
		}
	}
}
