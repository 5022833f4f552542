package proof

import (
	"errors"
	"strings"
	"testing"
	"time"

	"airlock/ledger/proof/notetest"
)

// Whoever has the key and the file alone sees that a ledger was put back, or forked, and
// no change of the file goes unseen.
func TestContradiction(t *testing.T) {
	key, public := notetest.Keys(t, "kitano")
	_, stranger := notetest.Keys(t, "kitano")
	head, err := SignHead(300, Hash{1}, key)
	if err != nil {
		t.Fatal(err)
	}
	found := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	for what, c := range map[string]*Conflict{
		"an older copy": {head, 120, Hash{2}}, "two ledgers": {head, 300, Hash{2}},
	} {
		file, err := SignContradiction(c, "vault secondary, generation 7", found, key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := OpenContradiction(file, stranger, public)
		if err != nil || got.Kept != head || got.Ledger.Size != c.Size || !got.Found.Equal(found) || got.KeptBy != "vault secondary, generation 7" {
			t.Fatalf("%s: %+v, %v\n%s", what, got, err, file)
		}
		if !strings.Contains(got.String(), what) {
			t.Errorf("%q does not say %s", got, what)
		}
		if _, err := OpenContradiction(file, stranger); !errors.Is(err, ErrNoContradiction) {
			t.Errorf("%s: by another key: %v", what, err)
		}
		for at := range file {
			changed := []byte(string(file))
			changed[at] ^= 1
			if again, err := OpenContradiction(changed, public); err == nil {
				t.Fatalf("%s: with byte %d changed it is taken: %+v", what, at, again)
			}
			if _, err := OpenContradiction(file[:at], public); err == nil {
				t.Fatalf("%s: cut after %d bytes it is taken", what, at)
			}
		}
	}
	for what, c := range map[string]*Conflict{"that grew": {head, 301, Hash{2}}, "that is the same": {head, 300, Hash{1}}} {
		file, err := SignContradiction(c, "x", found, key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenContradiction(file, public); !errors.Is(err, ErrNoContradiction) {
			t.Errorf("a ledger %s: %v", what, err)
		}
	}
}
