package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/ledger/proof"
	"airlock/ledger/proof/notetest"
)

// A damaged ledger is kept, and the new one says in whose place it stands.
func TestSetAside(t *testing.T) {
	signer, _ := notetest.Keys(t, "kitano")
	for name, spoil := range map[string]func(t *testing.T, path string){
		"an entry was changed": func(t *testing.T, path string) {
			rawExec(t, path, "DROP TRIGGER entry_stays; UPDATE entry SET reason = 'another' WHERE seq = 3; "+triggerText("entry_stays"))
		},
		"cut short": func(t *testing.T, path string) {
			if err := os.Truncate(path, 5000); err != nil {
				t.Fatal(err)
			}
		},
		"gone, but for its -wal": func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.WriteFile(path+"-wal", []byte("x"), 0o600)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger.db")
			l, err := Open(t.Context(), path, Options{Signer: signer})
			if err != nil {
				t.Fatal(err)
			}
			mustAppend(t, l, at(0), at(1), at(2))
			head, err := l.Checkpoint(t.Context())
			if err = errors.Join(err, l.Close()); err != nil {
				t.Fatal(err)
			}
			spoil(t, path)
			damage, _ := os.ReadFile(path)
			if err := Keep(path, at(7)); err != nil {
				t.Fatal(err)
			}
			_, err = Open(t.Context(), path, Options{})
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("opening it: %v", err)
			}
			moved, last, err := SetAside(path, err)
			if err != nil {
				t.Fatal(err)
			}
			if readable := name == "an entry was changed"; readable != (last == head) || !readable && last != (proof.Head{}) {
				t.Errorf("its last head is %+v, want %+v", last, head)
			}
			if kept, _ := os.ReadFile(moved); !bytes.Equal(kept, damage) {
				t.Error("the damaged file was changed")
			}
			l = open(t, path)
			mustAppend(t, l, at(3))
			all := wantWhole(t, &l.Reader, 3)
			var d Aside
			if err := json.Unmarshal(all[0].Detail, &d); err != nil {
				t.Fatal(err)
			}
			if all[0].Kind != KindLedger || d.File != filepath.Base(moved) || d.Head != last.Note || !strings.Contains(d.Why, "damaged") {
				t.Errorf("the first entry is %+v", all[0])
			}
			if !all[1].Late || !all[1].Time.Equal(at(7).Time) {
				t.Errorf("the emergency file's entry is %+v", all[1])
			}
		})
	}
}
