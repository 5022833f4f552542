package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"airlock/notice"
)

// Guard is what a guard says of itself: that it lives, and what it saw last. It lies in
// guard.json beside the guard's ledger, written anew at every interval of the guard.
type Guard struct {
	PID     int             `json:"pid"`
	Version string          `json:"version"`
	At      time.Time       `json:"at"`    // for people
	Clock   Instant         `json:"clock"` // the same, as it counts
	Doors   map[string]Look `json:"doors"`
	Head    string          `json:"head,omitempty"`   // the newest of its ledger, a signed note
	Ledger  string          `json:"ledger,omitempty"` // what became of the ledger's file; empty while all is well
	Alarms  []Alarm         `json:"alarms,omitempty"` // of the last week, oldest first
	// Policy is the policy file by which it runs; nil where nobody said.
	Policy *PolicyFile `json:"policy,omitempty"`
}

// Alarm is what a guard called a person for.
type Alarm struct {
	At   time.Time `json:"at"`
	Door string    `json:"door"`
	notice.Notice
	Why string `json:"why,omitempty"`
}

// PolicyFile tells policy files apart.
type PolicyFile struct {
	Digest string    `json:"digest"` // SHA-256 of its bytes, in hex
	Of     time.Time `json:"of"`     // when it had been written
}

// Look is a guard's last look at a door.
type Look struct {
	At      time.Time     `json:"at"`
	Since   time.Duration `json:"since_ns"`          // the same, since the boot
	State   string        `json:"state"`             // as read: shut, open, unknown
	Way     string        `json:"way,omitempty"`     // the policy's name for how it was read
	Overdue string        `json:"overdue,omitempty"` // shutting or stuck, if it has to be shut and is not proven to be
	Lease   string        `json:"lease,omitempty"`   // why the door has no leave to stand open; empty if it has
	Error   string        `json:"error,omitempty"`   // why it could not be read
}

// GuardFile is where the guard with a ledger at path says that it lives.
func GuardFile(ledger string) string { return filepath.Join(filepath.Dir(ledger), "guard.json") }

// Write puts g in place of what the file said before. Like a lease it is not fsynced.
func (g Guard) Write(path string) error {
	data, err := json.Marshal(g)
	if err == nil {
		err = os.WriteFile(path+".new", data, 0o644)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("the guard's sign of life: %w", err)
	}
	return nil
}

// ReadGuard reads what a guard said last; an error that wraps fs.ErrNotExist if none
// ever did.
func ReadGuard(path string) (Guard, error) {
	var g Guard
	file, err := os.Open(path)
	if err != nil {
		return g, fmt.Errorf("the guard's sign of life: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(file, StatementLimit))
	if err = errors.Join(err, file.Close()); err == nil {
		err = json.Unmarshal(data, &g)
	}
	if err != nil {
		return Guard{}, fmt.Errorf("the guard's sign of life: %w", err)
	}
	return g, nil
}
