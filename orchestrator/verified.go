package orchestrator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"airlock/ledger/proof"
)

// LedgerVerified says when the whole ledger was found sound, and what it was then.
type LedgerVerified struct {
	At      time.Time  `json:"at"`
	Entries int64      `json:"entries"`
	Root    proof.Hash `json:"root"`
}

const verifiedFile = "verified.json"

// KeepVerified keeps it in the state folder, for the status. It is a convenience and no
// evidence.
func KeepVerified(state string, v LedgerVerified) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	name := filepath.Join(state, verifiedFile)
	if err := os.WriteFile(name+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("when the ledger was verified: %w", err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return fmt.Errorf("when the ledger was verified: %w", err)
	}
	return nil
}

// verifiedAt is when that was; nil if it never was, or cannot be read.
func verifiedAt(state string, zone *time.Location) (*time.Time, error) {
	text, err := os.ReadFile(filepath.Join(state, verifiedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var v LedgerVerified
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		return nil, fmt.Errorf("when the ledger was verified: %w", err)
	}
	at := v.At.In(zone)
	return &at, nil
}
