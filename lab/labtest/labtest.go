//go:build linux

// Package labtest gives a test a hospital of its own from package lab.
package labtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"airlock/lab"
)

// Up brings a hospital up that comes down with the test. o's Name and Dir are chosen
// here. Where the machine cannot have a lab the test is skipped, or fails with CI=true.
func Up(t testing.TB, o lab.Options) *lab.Hospital {
	t.Helper()
	if err := lab.Missing(o.CLI); err != nil {
		skip(t, err.Error())
	}
	o = Options(t, o)
	h, err := lab.Up(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Down(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// Options gives o a name and a folder that no other test has. Not below t.TempDir,
// where FRR's user cannot pass and socket names grow too long.
func Options(t testing.TB, o lab.Options) lab.Options {
	t.Helper()
	dir, err := os.MkdirTemp("", "al-t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	o.Name, o.Dir = filepath.Base(dir)[len("al-"):], dir
	return o
}

// Want skips the test where a program is not installed, or fails it with CI=true.
func Want(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			skip(t, p+" is not installed; lab/install.sh installs it")
		}
	}
}

func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
