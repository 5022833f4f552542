package lease

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLockdown(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	if l, err := Locked(state); l != nil || err != nil {
		t.Fatalf("nobody locked it, and there is %+v, %v", l, err)
	}
	first := Lockdown{At: time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC), By: "operator", UID: 1001, Reason: "ransomware in radiology"}
	if err := errors.Join(Lock(state, first), Lock(state, Lockdown{By: "somebody-else", Reason: "drill"})); err != nil {
		t.Fatal(err)
	}
	if l, err := Locked(state); err != nil || l == nil || *l != first {
		t.Errorf("there is %+v, %v; the first one was %+v", l, err, first)
	}
	if files, err := os.ReadDir(state); err != nil || len(files) != 1 {
		t.Errorf("beside the lockdown something was left: %v, %v", files, err)
	}
	if err := errors.Join(Unlock(state), Unlock(state)); err != nil {
		t.Error(err)
	}
	if l, err := Locked(state); l != nil || err != nil {
		t.Errorf("it was released, and there is %+v, %v", l, err)
	}
}

// A lockdown whose file is damaged, or cannot be reached, stands.
func TestDoubtfulLockdown(t *testing.T) {
	dir := t.TempDir()
	write := func(state, text string) string {
		path := filepath.Join(dir, state)
		if err := errors.Join(os.Mkdir(path, 0o700), os.WriteFile(filepath.Join(path, lockdownFile), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	folder := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(folder, lockdownFile), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, state := range map[string]string{
		"empty":           write("empty", ""),
		"torn":            write("torn", `{"at":"2026-11-`),
		"a folder":        folder,
		"state no folder": filepath.Join(write("file", "{}"), lockdownFile),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Locked(state)
			if l == nil || err == nil || !strings.Contains(l.Reason, "lockdown") {
				t.Fatalf("there is %+v, %v", l, err)
			}
			if name == "state no folder" {
				return
			}
			if err := Lock(state, Lockdown{Reason: "again"}); err != nil {
				t.Error(err)
			}
			if err := Unlock(state); err != nil {
				t.Error(err)
			}
			if l, err := Locked(state); l != nil || err != nil {
				t.Errorf("it was released, and there is %+v, %v", l, err)
			}
		})
	}
}

func TestLockdownThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Lock(file, Lockdown{}); err == nil {
		t.Error("it is locked where there is no folder")
	}
}
