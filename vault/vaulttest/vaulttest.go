// Package vaulttest holds what every vault.Store must pass, whatever is behind it.
package vaulttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"airlock/vault"
)

// Conformance runs the suite. open gives a Store on a new, empty vault for each test,
// and closes it when the test ends.
func Conformance(t *testing.T, open func(t *testing.T) vault.Store) {
	for name, test := range map[string]func(*testing.T, vault.Store){
		"PutOpenList":       putOpenList,
		"OddNames":          oddNames,
		"Ranges":            ranges,
		"Large":             large,
		"ExistingUntouched": existingUntouched,
		"OneWins":           oneWins,
		"CutUpload":         cutUpload,
		"WrongSize":         wrongSize,
		"ErrorAtTheEnd":     errorAtTheEnd,
		"Cancel":            cancel,
		"Refused":           refused,
		"Missing":           missing,
		"ManyFolders":       manyFolders,
		"Remove":            remove,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Random gives n bytes that are the same for the same seed.
func Random(seed, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	r.Read(b) // never fails
	return b
}

// Put puts bytes and fails the test if the store does not take them.
func Put(t *testing.T, s vault.Store, name string, data []byte) {
	t.Helper()
	if err := s.Put(t.Context(), name, int64(len(data)), bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
}

// Get reads a whole file.
func Get(t *testing.T, s vault.Store, name string) []byte {
	t.Helper()
	return get(t, s, name, 0, -1)
}

func get(t *testing.T, s vault.Store, name string, off, n int64) []byte {
	t.Helper()
	r, err := s.Open(t.Context(), name, off, n)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return data
}

// Absent fails the test if there is such a file, or any unfinished one.
func Absent(t *testing.T, s vault.Store, name string) {
	t.Helper()
	if r, err := s.Open(t.Context(), name, 0, -1); err == nil {
		t.Errorf("%s is there, after a failed Put", name)
		r.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	nothingIncoming(t, s)
}

func nothingIncoming(t *testing.T, s vault.Store) {
	t.Helper()
	left, err := s.List(t.Context(), vault.Incoming)
	if err != nil || len(left) > 0 {
		t.Errorf("incoming/ holds %d files, %v", len(left), err)
	}
}

func putOpenList(t *testing.T, s vault.Store) {
	files := map[string][]byte{
		"kopia.repository.f":        Random(1, 1000),
		"p/abc/def.f":               Random(2, 70_000),
		"p/abc/empty.f":             {},
		"generations/00000001.json": []byte("{}\n"),
		"病院/眼科 (右).dcm":             []byte("日本語の名前"),
		".shards":                   []byte("hidden"),
	}
	for name, data := range files {
		Put(t, s, name, data)
	}
	for name, data := range files {
		if got := Get(t, s, name); !bytes.Equal(got, data) {
			t.Errorf("%s: got %d bytes back, not the %d that were put", name, len(got), len(data))
		}
		infos, err := s.List(t.Context(), path.Dir(name))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(infos, func(i fs.FileInfo) bool {
			return i.Name() == path.Base(name) && i.Size() == int64(len(data)) && !i.IsDir()
		}) {
			t.Errorf("%s is not listed with its size", name)
		}
	}
	nothingIncoming(t, s)
}

// A name that a server cannot have, or would take for another one, is refused, and
// nothing is left behind; any other name is kept as it is.
func oddNames(t *testing.T, s vault.Store) {
	Put(t, s, "odd/x", []byte("first"))
	for i, name := range []string{"odd/ 'q\"$& %2f;\u3099é", "odd/q$& %2f;\u3099é", "odd/x:stream", "odd/x::$DATA", "odd/x.", "odd/x ", "odd/*", "odd/CON"} {
		data := Random(i, 10+i)
		err := s.Put(t.Context(), name, int64(len(data)), bytes.NewReader(data))
		switch {
		case errors.Is(err, fs.ErrInvalid):
			continue
		case err != nil:
			t.Errorf("%q: %v", name, err)
			continue
		}
		if !bytes.Equal(Get(t, s, name), data) {
			t.Errorf("%q: other bytes came back", name)
		}
		infos, err := s.List(t.Context(), "odd")
		if err != nil || !slices.ContainsFunc(infos, func(i fs.FileInfo) bool { return "odd/"+i.Name() == name }) {
			t.Errorf("%q is not listed by its name: %v", name, err)
		}
	}
	if got := Get(t, s, "odd/x"); string(got) != "first" {
		t.Errorf("odd/x reads %q", got)
	}
	nothingIncoming(t, s)
}

func ranges(t *testing.T, s vault.Store) {
	data := Random(3, 600_000)
	Put(t, s, "p/r", data)
	for _, c := range [][2]int{{0, 0}, {0, 1}, {1, 10}, {32_767, 2}, {100, 500_000}, {599_999, 1}, {599_999, 5}, {600_000, 1}, {700_000, 9}} {
		want := data[min(c[0], len(data)):min(c[0]+c[1], len(data))]
		if got := get(t, s, "p/r", int64(c[0]), int64(c[1])); !bytes.Equal(got, want) {
			t.Errorf("from %d, %d bytes: got %d others", c[0], c[1], len(got))
		}
	}
	if got := get(t, s, "p/r", 250_000, -1); !bytes.Equal(got, data[250_000:]) {
		t.Errorf("from 250000 to the end: got %d others", len(got))
	}
}

func large(t *testing.T, s vault.Store) {
	data := Random(4, 21<<20+17)
	Put(t, s, "p/large", data)
	if !bytes.Equal(Get(t, s, "p/large"), data) {
		t.Error("other bytes came back")
	}
}

// S9: nothing that arrives can change what the vault already holds.
func existingUntouched(t *testing.T, s vault.Store) {
	first := Random(5, 50_000)
	Put(t, s, "p/x", first)
	for _, second := range [][]byte{Random(6, 50_000), Random(6, 10), {}, first} {
		err := s.Put(t.Context(), "p/x", int64(len(second)), bytes.NewReader(second))
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("putting %d bytes over it: %v, want fs.ErrExist", len(second), err)
		}
		if !bytes.Equal(Get(t, s, "p/x"), first) {
			t.Fatal("the first bytes are gone")
		}
	}
	if err := s.Put(t.Context(), "p", 1, bytes.NewReader([]byte{1})); err == nil {
		t.Error("a folder was replaced by a file")
	}
	nothingIncoming(t, s)
}

// S9, with two at once: exactly one wins, and its bytes are whole.
func oneWins(t *testing.T, s vault.Store) {
	const racers = 6
	var all [racers][]byte
	var won atomic.Int32
	winner := atomic.Int32{}
	// The gate opens once each has handed over its first byte, so that all have
	// looked, and seen no such name, before any is whole.
	var gate sync.WaitGroup
	gate.Add(racers)
	var racing sync.WaitGroup
	for i := range racers {
		all[i] = Random(10+i, 300_000)
		racing.Go(func() {
			body := &gated{r: bytes.NewReader(all[i]), pass: sync.OnceFunc(func() { gate.Done(); gate.Wait() })}
			err := s.Put(t.Context(), "p/same", 300_000, body)
			if err == nil {
				won.Add(1)
				winner.Store(int32(i))
			} else if !errors.Is(err, fs.ErrExist) {
				t.Errorf("racer %d: %v", i, err)
			}
		})
	}
	racing.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d of %d won", won.Load(), racers)
	}
	if !bytes.Equal(Get(t, s, "p/same"), all[winner.Load()]) {
		t.Error("not the winner's bytes")
	}
	nothingIncoming(t, s)
}

type gated struct {
	r    io.Reader
	pass func()
}

func (g *gated) Read(b []byte) (int, error) {
	g.pass()
	return g.r.Read(b)
}

var errCut = errors.New("the share went away")

// S10: a cut in mid-upload leaves no file, and the next try succeeds.
func cutUpload(t *testing.T, s vault.Store) {
	data := Random(7, 2<<20)
	for _, n := range []int{0, 1, 1 << 20, len(data) - 1} {
		r := io.MultiReader(bytes.NewReader(data[:n]), failing{errCut})
		if err := s.Put(t.Context(), "p/abc/cut", int64(len(data)), r); !errors.Is(err, errCut) {
			t.Fatalf("after %d bytes: %v, want it to wrap the reader's error", n, err)
		}
		Absent(t, s, "p/abc/cut")
	}
	Put(t, s, "p/abc/cut", data)
	if !bytes.Equal(Get(t, s, "p/abc/cut"), data) {
		t.Error("the retry put other bytes")
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func wrongSize(t *testing.T, s vault.Store) {
	for _, n := range []int{0, 99_999, 100_001, 300_000} {
		if err := s.Put(t.Context(), "q/size", 100_000, bytes.NewReader(Random(8, n))); err == nil {
			t.Errorf("%d bytes were taken for 100000", n)
		}
		Absent(t, s, "q/size")
	}
}

// A reader may refuse after its last byte, when the hash turns out to be another.
func errorAtTheEnd(t *testing.T, s vault.Store) {
	for _, n := range []int{0, 5, 400_000} {
		r := io.MultiReader(bytes.NewReader(Random(9, n)), failing{errCut})
		if err := s.Put(t.Context(), "q/end", int64(n), r); !errors.Is(err, errCut) {
			t.Errorf("%d bytes: %v, want the reader's error", n, err)
		}
		Absent(t, s, "q/end")
	}
}

func cancel(t *testing.T, s vault.Store) {
	Put(t, s, "p/there", Random(1, 1000))
	gone := errors.New("the window is over")
	ctx, stop := context.WithCancelCause(t.Context())
	blocked := &endless{stop: func() { stop(gone) }, after: 3 << 20}
	if err := s.Put(ctx, "p/endless", 1<<40, blocked); !errors.Is(err, gone) {
		t.Errorf("put: %v, want the cause of the cancellation", err)
	}
	Absent(t, s, "p/endless")
	for what, call := range map[string]func() error{
		"put":  func() error { return s.Put(ctx, "p/late", 1, bytes.NewReader([]byte{1})) },
		"open": func() error { _, err := s.Open(ctx, "p/there", 0, -1); return err },
		"list": func() error { _, err := s.List(ctx, "p"); return err },
	} {
		if err := call(); !errors.Is(err, gone) {
			t.Errorf("%s after the end: %v", what, err)
		}
	}
	Absent(t, s, "p/late")
	Put(t, s, "p/endless", []byte("the store is still of use"))
}

// endless gives zeros for ever, and calls stop after some of them.
type endless struct {
	stop  func()
	after int
}

func (e *endless) Read(b []byte) (int, error) {
	if e.after -= len(b); e.after < 0 {
		e.stop()
	}
	clear(b)
	return len(b), nil
}

func refused(t *testing.T, s vault.Store) {
	for _, name := range []string{"", ".", "..", "../x", "a/../../x", "/etc/x", "a//b", "a/", "a/./b", `a\..\b`, "a\x00b", "a\nb", "incoming/x", "Incoming/x"} {
		if err := s.Put(t.Context(), name, 1, bytes.NewReader([]byte{1})); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("put %q: %v", name, err)
		}
		if _, err := s.Open(t.Context(), name, 0, -1); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("open %q: %v", name, err)
		}
	}
	if _, err := s.List(t.Context(), ".."); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("list ..: %v", err)
	}
}

func missing(t *testing.T, s vault.Store) {
	for _, name := range []string{"x", "no/such/file"} {
		if _, err := s.Open(t.Context(), name, 0, 1); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open %s: %v", name, err)
		}
	}
	for _, dir := range []string{".", "no/such"} {
		if infos, err := s.List(t.Context(), dir); err != nil || len(infos) != 0 {
			t.Errorf("list %s: %v, %v", dir, infos, err)
		}
	}
}

// Many workers come to folders that none has made yet.
func manyFolders(t *testing.T, s vault.Store) {
	var working sync.WaitGroup
	for i := range 48 {
		working.Go(func() {
			name := fmt.Sprintf("p/%03d/file%d.f", i%5, i)
			if err := s.Put(t.Context(), name, 100, bytes.NewReader(Random(i, 100))); err != nil {
				t.Error(err)
			}
		})
	}
	working.Wait()
	var names []string
	for i := range 5 {
		infos, err := s.List(t.Context(), fmt.Sprintf("p/%03d", i))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(infos, func(a, b fs.FileInfo) int { return bytes.Compare([]byte(a.Name()), []byte(b.Name())) }) {
			t.Error("the listing is not sorted")
		}
		for _, info := range infos {
			names = append(names, info.Name())
		}
	}
	if len(names) != 48 {
		t.Errorf("%d files of 48", len(names))
	}
	nothingIncoming(t, s)
}

// Only what retention may remove can be removed, and a second time is no error; or, where
// the vault's host keeps by its own rules, nothing can.
func remove(t *testing.T, s vault.Store) {
	far, can := s.(vault.Remover)
	if !can {
		return
	}
	goes := []string{vault.GenerationPath(7), vault.SignaturePath(7), vault.BlobPath("p0123456789abcdef0123456789abcdef")}
	stays := []string{"kopia.repository.f", ".shards", "p/readme.txt"}
	for _, name := range slices.Concat(goes, stays) {
		Put(t, s, name, Random(1, 10))
	}
	if err := far.Remove(t.Context(), goes[0]); errors.Is(err, fs.ErrPermission) {
		for _, name := range append(goes, stays...) {
			if err := far.Remove(t.Context(), name); err == nil || !bytes.Equal(Get(t, s, name), Random(1, 10)) {
				t.Errorf("S9: %s was removed from a vault that removes nothing: %v", name, err)
			}
		}
		return
	}
	for _, name := range goes {
		for range 2 {
			if err := far.Remove(t.Context(), name); err != nil {
				t.Errorf("remove %s: %v", name, err)
			}
		}
		Absent(t, s, name)
	}
	for _, name := range append(stays, "../x", "p", "") {
		if err := far.Remove(t.Context(), name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("remove %q: %v", name, err)
		}
	}
	for _, name := range stays {
		if !bytes.Equal(Get(t, s, name), Random(1, 10)) {
			t.Errorf("%s is another", name)
		}
	}
}

// DiskFull wants a Store on a disk with room for about 1 MiB.
func DiskFull(t *testing.T, s vault.Store) {
	Put(t, s, "p/small", Random(1, 100_000))
	err := s.Put(t.Context(), "p/big", 8<<20, bytes.NewReader(Random(2, 8<<20)))
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("putting 8 MiB: %v, want ENOSPC", err)
	}
	Absent(t, s, "p/big")
	Put(t, s, "p/after", Random(3, 100_000)) // the unfinished file gave its room back
	if !bytes.Equal(Get(t, s, "p/small"), Random(1, 100_000)) {
		t.Error("what was there is damaged")
	}
}
