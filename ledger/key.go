package ledger

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// KeyFiles are where a ledger's own key lies, if it has one that no other signs with:
// the private half, mode 0600, and the public one.
func KeyFiles(ledger string) (private, public string) {
	stem := strings.TrimSuffix(ledger, ".db")
	return stem + ".key", stem + ".pub"
}

// OwnKey reads the key beside a ledger, and makes it, with that name, if there is none.
// Like Open, it is for the one process that writes the ledger.
func OwnKey(ledger, name string) (key note.Signer, made bool, err error) {
	private, public := KeyFiles(ledger)
	text, err := os.ReadFile(private)
	if errors.Is(err, fs.ErrNotExist) {
		made = true
		text, err = makeKey(private, public, name)
	}
	if err != nil {
		return nil, made, fmt.Errorf("the key of ledger %s: %w", ledger, err)
	}
	if key, err = note.NewSigner(strings.TrimSpace(string(text))); err != nil {
		return nil, made, fmt.Errorf("the key of ledger %s: the file %s is damaged: %w", ledger, private, err) // S13: note quotes no key
	}
	return key, made, nil
}

// makeKey writes the public half first: while the private one is missing, the key is not
// made.
func makeKey(private, public, name string) ([]byte, error) {
	secret, open, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(public, []byte(open+"\n"), 0o644); err != nil {
		return nil, err
	}
	unfinished := private + ".new"
	f, err := os.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(secret + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(unfinished, private)
	}
	return []byte(secret), err
}
