package lease

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"airlock/state"
)

func TestLockdown(t *testing.T) {
	state := state.Folder(filepath.Join(t.TempDir(), "state"))
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
	if files, err := os.ReadDir(string(state)); err != nil || len(files) != 1 {
		t.Errorf("beside the lockdown something was left: %v, %v", files, err)
	}
	if err := errors.Join(Unlock(state), Unlock(state)); err != nil {
		t.Error(err)
	}
	if l, err := Locked(state); l != nil || err != nil {
		t.Errorf("it was released, and there is %+v, %v", l, err)
	}
}

// S15: a file that cannot be read is no lockdown, and no leave either: nobody knows. A
// person can lock in spite of it, and end it.
func TestLockdownThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	made := func(name string, file func(path string) error) state.Folder {
		state := state.Folder(filepath.Join(dir, name))
		if err := errors.Join(os.Mkdir(string(state), 0o700), file(state.Lockdown())); err != nil {
			t.Fatal(err)
		}
		return state
	}
	text := func(s string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(s), 0o600) }
	}
	for name, state := range map[string]state.Folder{
		"empty":           made("empty", text("")),
		"torn":            made("torn", text(`{"at":"2026-11-`)),
		"of nobody":       made("of nobody", text(`{"at":"2026-11-22T01:02:03Z","reason":"ransomware"}`)),
		"of no time":      made("of no time", text(`{"by":"user root","reason":"ransomware"}`)),
		"an empty object": made("object", text(`{}`)),
		"a folder":        made("folder", func(path string) error { return os.Mkdir(path, 0o700) }),
		"a pipe":          made("pipe", func(path string) error { return syscall.Mkfifo(path, 0o600) }),
		"a loop":          made("loop", func(path string) error { return os.Symlink(path, path) }),
		"state no folder": state.Folder(made("file", text("{}")).Lockdown()),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Locked(state)
			if l != nil || err == nil || !strings.HasPrefix(err.Error(), "the lockdown file cannot be read: ") {
				t.Fatalf("there is %+v, %v", l, err)
			}
			if name == "state no folder" {
				return
			}
			if err := Lock(state, Lockdown{Reason: "again"}); err != nil {
				t.Error(err)
			}
			if l, err := Locked(state); err != nil || l == nil || l.Reason != "again" || l.By != nobodyKnown || l.At.IsZero() {
				t.Errorf("after somebody locked there is %+v, %v", l, err)
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

// S15: without a descriptor to spare it is still known that there is no lockdown, and not
// what one says.
func TestLockdownWithoutDescriptors(t *testing.T) {
	free, locked := t.TempDir(), t.TempDir()
	if err := Lock(state.Folder(locked), Lockdown{By: "user root", Reason: "ransomware"}); err != nil {
		t.Fatal(err)
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	l, err := Locked(state.Folder(free))
	held, doubt := Locked(state.Folder(locked))
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if l != nil || err != nil {
		t.Errorf("where nobody locked there is %+v, %v", l, err)
	}
	if held != nil || !errors.Is(doubt, syscall.EMFILE) {
		t.Errorf("where somebody locked there is %+v, %v", held, doubt)
	}
	if held, doubt = Locked(state.Folder(locked)); held == nil || doubt != nil {
		t.Errorf("afterwards there is %+v, %v", held, doubt)
	}
}

func TestLockdownThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Lock(state.Folder(file), Lockdown{}); err == nil {
		t.Error("it is locked where there is no folder")
	}
}
