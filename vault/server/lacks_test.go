package server

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/vault"

	"golang.org/x/mod/sumdb/note"
)

// A receipt names no more lacking blobs than fit, and is not taken for whole by that: the
// next one names those that are left.
func TestReceiptNamesWhatFits(t *testing.T) {
	w := newWorld(t)
	w.serve(usual())
	g := vault.Generation{Number: 1, Site: "lab", Vault: "secondary", Window: "w1", Time: time.Now().UTC().Truncate(time.Millisecond)}
	for n := range vault.MaxLacks + 5 {
		g.Blobs = append(g.Blobs, vault.Entry{Name: fmt.Sprintf("p%030d", n), Size: 1, SHA256: sha256.Sum256([]byte{1})})
	}
	file, err := g.Encode()
	if err != nil {
		t.Fatal(err)
	}
	signature, err := vault.SignGeneration(1, sha256.Sum256(file), w.site)
	if err != nil {
		t.Fatal(err)
	}
	s := w.store()
	put := func(name, text string) {
		t.Helper()
		if err := s.Put(t.Context(), name, int64(len(text)), strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	put(vault.GenerationPath(1), string(file))
	put(vault.SignaturePath(1), string(signature))
	first := w.receipt(s, 1)
	if len(first.Lacks) != vault.MaxLacks || first.Whole() || first.Blobs != vault.MaxLacks+5 {
		t.Errorf("%d of %d blobs are said to lack", len(first.Lacks), first.Blobs)
	}
	for _, l := range first.Lacks[:7] { // of others, there are as many left
		e, _ := g.Blob(l.Name)
		put(e.At(), "\x01")
	}
	next := w.receipt(s, 1)
	if len(next.Lacks) != vault.MaxLacks-2 || next.Whole() || next.Lacks[0].Name == first.Lacks[0].Name {
		t.Errorf("then %d blobs are said to lack, %s first", len(next.Lacks), next.Lacks[0].Name)
	}
}

// receipt asks the host for one.
func (w *world) receipt(s vault.Store, number int64) vault.Receipt {
	w.t.Helper()
	key, err := os.ReadFile(filepath.Join(w.conf.State, "keys", "receipt.pub"))
	if err != nil {
		w.t.Fatal(err)
	}
	host, err := note.NewVerifier(strings.TrimSpace(string(key)))
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := s.Open(w.t.Context(), vault.ReceiptPath(number), 0, 8<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	file, err := io.ReadAll(body)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := vault.OpenReceipt(file, host)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}
