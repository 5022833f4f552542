package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/vault"
	"airlock/vault/vaulttest"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	vaulttest.Conformance(t, func(t *testing.T) vault.Store { return open(t, filepath.Join(t.TempDir(), "v")) })
}

func TestDiskFull(t *testing.T) {
	vaulttest.DiskFull(t, open(t, vaulttest.TinyDisk(t)))
}

// S9: a window removes only its own temporary files.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	kept := vaulttest.PlantLeftovers(t, dir)
	vaulttest.Put(t, open(t, dir), "p/x", []byte("x"))
	vaulttest.OnlyIncoming(t, dir, kept)
}

func TestOpenWantsTheFolderAbove(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "not", "mounted"))
	if err == nil || !strings.Contains(err.Error(), "mount its disk") {
		t.Errorf("got %v", err)
	}
}

// S9: no symbolic link in the vault leads a file out of it.
func TestSymlinkLeadsNowhere(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "p")); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir).Put(t.Context(), "p/x", 1, strings.NewReader("x")); err == nil {
		t.Error("put through the link")
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside: %v, %v", left, err)
	}
}

// Where there are no hard links, a rename must not replace either.
func TestRenameNoReplace(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.renameNoReplace("a", "b"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("onto b: %v", err)
	}
	if got := string(vaulttest.Get(t, s, "b")); got != "b" {
		t.Errorf("b reads %q", got)
	}
	if err := s.renameNoReplace("a", "c"); err != nil {
		t.Error(err)
	}
	if got := string(vaulttest.Get(t, s, "c")); got != "a" {
		t.Errorf("c reads %q", got)
	}
}
