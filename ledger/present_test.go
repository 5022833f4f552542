package ledger

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"airlock/ledger/proof/notetest"
)

// S1: a ledger whose file is no longer the one at its path is found out.
func TestPresent(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"removed":           os.Remove,
		"its log removed":   func(path string) error { return os.Remove(path + "-wal") },
		"its index removed": func(path string) error { return os.Remove(path + "-shm") },
		"moved away":        func(path string) error { return os.Rename(path, path+".away") },
		"replaced by copy":  replaceByCopy,
	} {
		l := fresh(t)
		mustAppend(t, l, big(10))
		if err := l.Present(); err != nil {
			t.Fatal(err)
		}
		if err := change(l.path); err != nil {
			t.Fatal(err)
		}
		if err := l.Present(); !errors.Is(err, ErrMoved) {
			t.Errorf("%s: %v", name, err)
		}
		if name != "moved away" {
			continue
		}
		if err := os.Rename(l.path+".away", l.path); err != nil {
			t.Fatal(err)
		}
		if err := l.Present(); err != nil {
			t.Errorf("the very same file back: %v", err)
		}
	}
}

func replaceByCopy(path string) error {
	text, err := os.ReadFile(path)
	return errors.Join(err, os.Remove(path), os.WriteFile(path, text, 0o600))
}

// S11: a row that is changed past the triggers while the ledger is open is found before the
// next opening, and not only by the daily look at all of it.
func TestRecent(t *testing.T) {
	signer, key := notetest.Keys(t, "kitano")
	keys := []note.Verifier{key}
	for name, statement := range map[string]string{
		"an entry":         "UPDATE entry SET reason = 'another' WHERE seq = 2",
		"the last entry":   "UPDATE entry SET actor = 'nobody' WHERE seq = (SELECT max(seq) FROM entry)",
		"a stored hash":    "UPDATE tree SET hashes = zeroblob(length(hashes)) WHERE seq = (SELECT max(seq) FROM tree WHERE seq % 2 = 0)",
		"an entry removed": "DELETE FROM entry WHERE seq = 3",
		"the end cut off":  "DELETE FROM entry WHERE seq > 6; DELETE FROM tree WHERE seq > 6",
		"the head":         "UPDATE head SET note = replace(note, char(10) || '10' || char(10), char(10) || '9' || char(10))",
		"":                 "SELECT 1",
	} {
		l, err := Open(t.Context(), t.TempDir()+"/ledger.db", Options{Signer: signer})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			mustAppend(t, l, big(10))
		}
		if _, err := l.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := l.Recent(t.Context(), keys); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"entry", "tree", "head"} {
			rawExec(t, l.path, "DROP TRIGGER "+table+"_stays; DROP TRIGGER "+table+"_is_kept")
		}
		rawExec(t, l.path, statement)
		if err := l.Recent(t.Context(), keys); errors.Is(err, ErrChanged) != (name != "") {
			t.Errorf("%q: %v", name, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// S11: that somebody else wrote shows, whichever entry it was; what this process and those
// that only read do, does not.
func TestForeign(t *testing.T) {
	signer, _ := notetest.Keys(t, "kitano")
	l, err := Open(t.Context(), t.TempDir()+"/ledger.db", Options{Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	foreign := func(what string, want bool) {
		t.Helper()
		if got, err := l.Foreign(t.Context()); err != nil || got != want {
			t.Errorf("%s: written by another: %v, %v", what, got, err)
		}
	}
	foreign("opened", false)
	for range 20 {
		mustAppend(t, l, big(100))
	}
	foreign("own entries", false)
	if _, err := l.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	foreign("an own head", false)
	reader, err := OpenReader(t.Context(), l.path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Verify(t.Context(), nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	foreign("somebody reads", false)
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	foreign("somebody has read", false)
	rawExec(t, l.path, "DROP TRIGGER entry_stays; UPDATE entry SET reason = 'another' WHERE seq = 2")
	foreign("an old entry was changed", true)
	foreign("and that was told", false)
	mustAppend(t, l, big(10))
	foreign("own entries", false)
}
