package orchestrator

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/ledger"
)

// S1, S11: an entry that is changed under a running executor opens no door, however old it
// is; and when it is put back and looked at, doors are opened again.
func TestOldEntryChangedUnderneath(t *testing.T) {
	h := newHospital(t)
	path := h.policy.State.Ledger()
	l, err := ledger.Open(t.Context(), path, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3000 { // more than are read before each opening
		l.Note(ledger.Entry{Time: time.Now(), Kind: ledger.KindUpkeep, Actor: "airlock", Reason: "long ago", To: "done"})
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	change := func(statement string) {
		t.Helper()
		db, err := sql.Open("sqlite3", path)
		if err != nil {
			t.Fatal(err)
		}
		var trigger string // put back to the letter, as somebody would who knows the ledger
		err = db.QueryRow("SELECT sql FROM sqlite_master WHERE name = 'entry_stays'").Scan(&trigger)
		if err == nil {
			_, err = db.Exec("DROP TRIGGER entry_stays; " + statement + "; " + trigger)
		}
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	h.within(func(s *Site) {
		if err := s.custody.Trust(t.Context()); err != nil {
			t.Fatal(err)
		}
		change("UPDATE entry SET reason = 'never' WHERE seq = 2")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.custody.Trust(gone); err == nil || errors.Is(err, ledger.ErrChanged) { // S15
			t.Errorf("whoever asks went away, and that is told as %v", err)
		}
		if st, err := s.Status(t.Context()); err != nil || st.Ledger.Doubt != "" {
			t.Errorf("a cancelled look doubts the ledger: %s, %v", st.Ledger.Doubt, err)
		}
		_, err := s.Window(t.Context(), "secondary", byTest, silent)
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "entry 2") {
			t.Errorf("an entry of long ago was changed, and the window is %v", err)
		}
		if moved := h.moved(); len(moved) > 0 {
			t.Errorf("the ports moved: %q", moved)
		}
		if st, err := s.Status(t.Context()); err != nil || st.Ledger.Doubt == "" {
			t.Errorf("the status has no doubt: %v", err)
		}
		change("UPDATE entry SET reason = 'long ago' WHERE seq = 2")
		if err := os.Remove(filepath.Join(string(h.policy.State), "verified.json")); err != nil { // as audit verify does when all is sound
			t.Fatal(err)
		}
		if err := s.custody.Trust(t.Context()); err != nil {
			t.Errorf("it was put back, and %v", err)
		}
	})
}

// S11: what refuses changes was taken out of the ledger under a running executor: no door is
// opened by one that may be changed from now on.
func TestTriggersDroppedUnderneath(t *testing.T) {
	h := newHospital(t)
	h.within(func(s *Site) {
		if err := s.custody.Trust(t.Context()); err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite3", h.policy.State.Ledger())
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.Exec("DROP TRIGGER entry_is_kept")
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, err = s.Window(t.Context(), "secondary", byTest, silent)
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "entry_is_kept is missing") {
				t.Errorf("the window is %v", err)
			}
		}
		if moved := h.moved(); len(moved) > 0 {
			t.Errorf("the ports moved: %q", moved)
		}
		if st, err := s.Status(t.Context()); err != nil || st.Ledger.Doubt == "" {
			t.Errorf("the status has no doubt: %v", err)
		}
	})
}
