package orchestrator

import (
	"errors"
	"os"
	"testing"

	"airlock/state"
)

// A lock file that somebody takes away lets no second executor in.
func TestLockFileThatIsTakenAway(t *testing.T) {
	state := state.Folder(t.TempDir())
	first, err := takeLock(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(state.Lock()); err != nil {
		t.Fatal(err)
	}
	if _, err := takeLock(state); !errors.Is(err, ErrBusy) {
		t.Errorf("a second one: %v", err)
	}
	if err := first.Unlock(); err != nil {
		t.Fatal(err)
	}
	second, err := takeLock(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Unlock(); err != nil {
		t.Error(err)
	}
}
