package vault_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"airlock/blob"
	"airlock/ledger/proof/notetest"
	"airlock/vault"
	"airlock/vault/local"
	"airlock/vault/vaulttest"

	"golang.org/x/mod/sumdb/note"
)

// world is a repository, a vault and the memory of it, in folders of one test.
type world struct {
	t      testing.TB
	blobs  map[string][]byte // the repository
	sums   map[string][32]byte
	dir    string // the vault's folder
	state  string // the memory's
	memory *vault.Memory
	store  vault.Store
	nights int
	signer note.Signer
	trust  []note.Verifier
	past   *vault.Past
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, blobs: map[string][]byte{}, sums: map[string][32]byte{}}
	w.dir, w.state = filepath.Join(t.TempDir(), "vault"), filepath.Join(t.TempDir(), "state")
	site := notetest.New(t, "lab")
	w.signer = site.Signer
	w.trust = []note.Verifier{site.Verifier}
	w.reopen()
	t.Cleanup(func() {
		if err := errors.Join(w.memory.Close(), w.store.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// reopen is what a new start of the orchestrator does.
func (w *world) reopen() {
	w.t.Helper()
	if w.memory != nil {
		if err := errors.Join(w.memory.Close(), w.store.Close()); err != nil {
			w.t.Fatal(err)
		}
	}
	memory, err := vault.OpenMemory(w.state)
	if err != nil {
		w.t.Fatal(err)
	}
	store, err := local.Open(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	w.memory, w.store = memory, store
}

// write has the repository write a blob, and the catalogue take its hash.
func (w *world) write(name string, data []byte) {
	w.blobs[name], w.sums[name] = data, sha256.Sum256(data)
}

// night adds some blobs of every class, and changes the one that changes.
func (w *world) night() {
	w.nights++
	for _, class := range []string{"p", "q", "xn0_", "n"} {
		for i := range 2 {
			name := fmt.Sprintf("%s%030d", class, 10*w.nights+i)
			w.write(name, vaulttest.Random(len(w.blobs), 100*(w.nights+i)))
		}
	}
	w.write("kopia.repository", []byte("format"))
	w.write("kopia.maintenance", fmt.Appendf(nil, "schedule of night %d", w.nights))
}

func (w *world) input() vault.PlanInput {
	in := vault.PlanInput{
		Site: "lab", Vault: "secondary", Window: fmt.Sprintf("w%d", w.nights), Memory: w.memory, Workers: 3,
		Now:     time.Date(2026, 11, 21, 2, 30, w.nights, 0, time.UTC),
		SiteKey: w.signer, Trust: w.trust, Past: w.past,
	}
	for _, name := range slices.Sorted(maps.Keys(w.sums)) {
		in.Blobs = append(in.Blobs, blob.Blob{Name: name, Size: int64(len(w.blobs[name])), SHA256: w.sums[name]})
	}
	return in
}

func (w *world) plan() *vault.Plan {
	w.t.Helper()
	p, err := vault.NewPlan(w.input())
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// window plans and sends, and fails the test on an error.
func (w *world) window() vault.Report {
	w.t.Helper()
	report, err := w.plan().Send(w.t.Context(), w.store, w, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// Open implements vault.Origin.
func (w *world) Open(_ context.Context, name string) (io.ReadCloser, error) {
	data, ok := w.blobs[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// intact fails the test unless a generation restores to just these blobs.
func (w *world) intact(number int64, want map[string][]byte) {
	w.t.Helper()
	g, err := vault.Load(w.t.Context(), w.store, number)
	if err != nil {
		w.t.Fatalf("generation %d: %v", number, err)
	}
	if len(g.Blobs) != len(want) {
		w.t.Errorf("generation %d has %d blobs of %d", number, len(g.Blobs), len(want))
	}
	for name, data := range want {
		r, err := vault.Reader{Store: w.store, Generation: g}.Open(w.t.Context(), name, 0, -1)
		if err != nil {
			w.t.Errorf("generation %d: %v", number, err)
			continue
		}
		got, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, data) {
			w.t.Errorf("generation %d, blob %s: other bytes, %v", number, name, err)
		}
	}
	report, err := vault.Check(w.t.Context(), w.store, g, 1)
	if err != nil || !report.Sound() || report.Read != len(want) {
		w.t.Errorf("generation %d: %+v, %v", number, report, err)
	}
}

func (w *world) file(name string) string { return filepath.Join(w.dir, filepath.FromSlash(name)) }

func (w *world) overwrite(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(w.file(name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// watched counts and names what a store is asked.
type watched struct {
	vault.Store
	mu    sync.Mutex
	puts  []string
	lists int
	opens int
}

func (w *watched) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	err := w.Store.Put(ctx, name, size, r)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.puts = append(w.puts, name)
	}
	return err
}

func (w *watched) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	w.mu.Lock()
	w.opens++
	w.mu.Unlock()
	return w.Store.Open(ctx, name, off, n)
}

func (w *watched) List(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	w.mu.Lock()
	w.lists++
	w.mu.Unlock()
	return w.Store.List(ctx, dir)
}
