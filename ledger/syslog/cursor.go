package syslog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"airlock/ledger"
	"airlock/wholefile"
)

// cursor is how far a ledger was told: the last entry that surely arrived. When that
// was recorded tells one ledger from another that took its place.
type cursor struct {
	Seq      int64     `json:"seq"`
	Recorded time.Time `json:"recorded,omitzero"`
}

func cursorAt(e ledger.Entry) cursor { return cursor{e.Seq, e.Recorded} }

func (c cursor) same(e ledger.Entry) bool { return c.Seq == e.Seq && c.Recorded.Equal(e.Recorded) }

// readCursor returns the cursor kept in a file; the zero one if there is none.
func readCursor(file string) (cursor, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return cursor{}, nil
	}
	var c cursor
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		return cursor{}, fmt.Errorf("how far the ledger was told: %w; remove %s, and it is told from its beginning", err, file)
	}
	return c, nil
}

// keep puts the cursor into its file, durably and whole.
func (c cursor) keep(file string) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	err = wholefile.Replace(file, append(text, '\n'), 0o600)
	if err != nil {
		return fmt.Errorf("how far the ledger was told: %w", err)
	}
	return nil
}
