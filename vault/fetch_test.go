package vault_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"

	"airlock/vault"
)

// shelf takes blobs.
type shelf struct {
	mu    sync.Mutex
	blobs map[string][]byte
	order []string
}

func (s *shelf) take(_ context.Context, e vault.Entry, r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs[e.Name] = data
	s.order = append(s.order, e.Name[:1])
	return nil
}

// What was sent comes back, in kopia's own order; what is damaged or gone in the vault
// does not, and keeps nothing else from coming.
func TestFetch(t *testing.T) {
	w := newWorld(t)
	w.night()
	w.window()
	w.night()
	w.window()
	g, err := vault.Load(t.Context(), w.store, 2)
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{blobs: map[string][]byte{}}
	var last vault.Progress
	got, err := vault.Fetch(t.Context(), w.store, g.Blobs, s.take, func(p vault.Progress) { last = p })
	if err != nil || got.Blobs != len(w.blobs) || len(got.Lacks) > 0 || !maps.EqualFunc(s.blobs, w.blobs, bytes.Equal) {
		t.Fatalf("%+v, %v; %d blobs of %d came", got, err, len(s.blobs), len(w.blobs))
	}
	rank := map[string]int{"p": 0, "q": 1, "n": 2, "x": 2, "k": 3}
	if !slices.IsSortedFunc(s.order, func(a, b string) int { return rank[a] - rank[b] }) {
		t.Errorf("they came in the order %v", s.order)
	}
	if last.Blobs != len(w.blobs) || last.Bytes != last.BytesTotal || got.Bytes != last.Bytes {
		t.Errorf("progress ended at %+v", last)
	}

	const changed, gone, cut = "p000000000000000000000000000020", "q000000000000000000000000000021", "n000000000000000000000000000010"
	w.overwrite(vault.BlobPath(changed), string(make([]byte, len(w.blobs[changed]))))
	w.overwrite(vault.BlobPath(cut), "short")
	if err := os.Remove(w.file(vault.BlobPath(gone))); err != nil {
		t.Fatal(err)
	}
	s = &shelf{blobs: map[string][]byte{}}
	got, err = vault.Fetch(t.Context(), w.store, g.Blobs, s.take, nil)
	var lacks []string
	for _, l := range got.Lacks {
		lacks = append(lacks, l.Name)
	}
	if err != nil || !slices.Equal(lacks, []string{cut, changed, gone}) || len(s.blobs) != len(w.blobs)-3 || got.Blobs != len(s.blobs) {
		t.Errorf("%+v, %v; %d came", got, err, len(s.blobs))
	}

	full := func(context.Context, vault.Entry, io.Reader) error { return syscall.ENOSPC }
	if _, err := vault.Fetch(t.Context(), w.store, g.Blobs, full, nil); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a disk without room: %v", err)
	}
	over, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if got, err := vault.Fetch(over, w.store, g.Blobs, s.take, nil); !errors.Is(err, enough) || got.Blobs > 0 {
		t.Errorf("cancelled: %+v, %v", got, err)
	}
}
