package vaulttest

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"airlock/vault"
)

// Need skips a test that lacks what it needs; in CI that is a failure.
func Need(t testing.TB, met bool, what string) {
	t.Helper()
	if met {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("needs %s", what)
	}
	t.Skipf("needs %s", what)
}

// TinyDisk mounts a disk of 1 MiB for the time of the test. It takes root.
func TinyDisk(t *testing.T) string {
	t.Helper()
	Need(t, os.Geteuid() == 0, "root, to mount a tmpfs")
	dir := t.TempDir()
	err := syscall.Mount("airlock-test", dir, "tmpfs", 0, "size=1m")
	Need(t, err == nil, "the right to mount a tmpfs")
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// PlantLeftovers puts into dir's incoming/ what a cut two days ago, a cut just now
// and other people leave there, and returns the names that must stay.
func PlantLeftovers(t *testing.T, dir string) (kept []string) {
	t.Helper()
	old := vault.TempName("FORMERRUN", "1")
	kept = []string{vault.TempName("OTHERRUN", "1"), "somebody's.part", "airlock-readme"}
	if err := os.MkdirAll(filepath.Join(dir, vault.Incoming), 0o700); err != nil {
		t.Fatal(err)
	}
	for i, name := range append([]string{old}, kept...) {
		file := filepath.Join(dir, vault.Incoming, name)
		if err := os.WriteFile(file, []byte("unfinished"), 0o600); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			continue // written just now
		}
		then := time.Now().Add(-48 * time.Hour)
		if err := os.Chtimes(file, then, then); err != nil {
			t.Fatal(err)
		}
	}
	return kept
}

// OnlyIncoming fails the test unless dir's incoming/ holds just these names.
func OnlyIncoming(t *testing.T, dir string, want []string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(dir, vault.Incoming))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, f.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("incoming/ holds %q, want %q", got, want)
	}
}
