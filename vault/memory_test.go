package vault

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/blob"
)

func openMemory(t *testing.T, dir string) *Memory {
	t.Helper()
	m, err := OpenMemory(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return m
}

func holds(m *Memory, name string, sum blob.Sum) bool {
	known := m.recall()
	_, held := known.holdings().held[heldKey{name, sum}]
	return held
}

// A memory may know too little, never too much: at no instant of a rewriting, wherever
// the power is cut, does it tell of a blob that the listing did not bear out.
func TestForgettingIsFirst(t *testing.T) {
	dir := t.TempDir()
	g := sampleGeneration()
	g.Lacks = nil
	file := encode(t, g)
	gone, there := g.Blobs[1], g.Blobs[2]
	m := openMemory(t, dir)
	if err := m.seal(g, file); err != nil {
		t.Fatal(err)
	}
	if !holds(openMemory(t, dir), gone.Name, gone.SHA256) {
		t.Fatal("a sealed generation is not remembered")
	}
	if err := m.rewrite(g, file, []Entry{there}); err != nil {
		t.Fatal(err)
	}
	journal := filepath.Join(dir, memoryJournal)
	whole, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	// The first line, which forgets, is durable before anything follows.
	for n := strings.Index(string(whole), "\n") + 1; n <= len(whole); n++ {
		if err := os.WriteFile(journal, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		after := openMemory(t, dir)
		if holds(after, gone.Name, gone.SHA256) {
			t.Fatalf("after %d bytes of the journal it tells of %s", n, gone.Name)
		}
		if n == len(whole) && (!holds(after, there.Name, there.SHA256) || after.Last().Number != g.Number) {
			t.Error("the rewritten memory is not remembered")
		}
	}
}

// A generation that landed after the forgetting is believed.
func TestForgettingEndsWithTheNextGeneration(t *testing.T) {
	dir := t.TempDir()
	g := sampleGeneration()
	m := openMemory(t, dir)
	if err := m.rewrite(g, encode(t, g), nil); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(filepath.Join(dir, memoryJournal))
	if err != nil {
		t.Fatal(err)
	}
	g = sampleGeneration()
	g.Number++
	if err := m.seal(g, encode(t, g)); err != nil {
		t.Fatal(err)
	}
	// The power is cut before the journal was emptied.
	if err := os.WriteFile(filepath.Join(dir, memoryJournal), old, 0o600); err != nil {
		t.Fatal(err)
	}
	if e := g.Blobs[2]; !holds(openMemory(t, dir), e.Name, e.SHA256) {
		t.Error("what the sealed generation holds is not remembered")
	}
}

func TestDamagedJournal(t *testing.T) {
	dir := t.TempDir()
	m := openMemory(t, dir)
	e := Entry{Name: "p1", Size: 1, SHA256: sha256.Sum256(nil)}
	if err := errors.Join(m.confirm(e), m.Close()); err != nil {
		t.Fatal(err)
	}
	journal := filepath.Join(dir, memoryJournal)
	text, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(journal, append(append(text, "{rot}\n"...), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	known := openMemory(t, dir).recall()
	if known.strange == "" || len(known.landed) != 1 {
		t.Errorf("a damaged line: %q, %d blobs known", known.strange, len(known.landed))
	}
}
