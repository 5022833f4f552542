package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The export verifies on a machine with nothing but the verifier: no library, no folder,
// no environment.
func TestAlone(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can take everything away")
	}
	e := newEvidence(t)
	root := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(root, "airlock-audit"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for from, to := range map[string]string{e.file: "export", e.head: "head"} {
		if err := os.Rename(from, filepath.Join(root, to)); err != nil {
			t.Fatal(err)
		}
	}
	alone := exec.CommandContext(t.Context(), "/airlock-audit", "verify", "/export", "--key", e.key, "--head", "/head")
	alone.Env, alone.Dir = []string{}, "/"
	alone.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Cloneflags: syscall.CLONE_NEWNET}
	if out, err := alone.CombinedOutput(); err != nil || !strings.Contains(string(out), "result       verified\n") {
		t.Errorf("%v\n%s", err, out)
	}
}
