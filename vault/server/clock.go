package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"airlock/lease"
)

// witness is what the host's clock showed last, kept in clock.json. Nothing is dropped
// by age while there is trouble with the clock: whoever can set it could otherwise have
// every generation expire.
type witness struct {
	Wall    time.Time     `json:"wall"`
	Clock   lease.Instant `json:"clock"`             // the same by a clock that nobody can set, while the machine is up
	Trouble string        `json:"trouble,omitempty"` // until a person says that the clock is right
}

// What a clock may do without a person.
const (
	clockStep  = 5 * time.Minute     // apart from the machine's own count of time
	longestOff = 45 * 24 * time.Hour // from one start of the machine to the next
)

// judge says what is wrong with the clock, "" if nothing is.
func (w witness) judge(wall time.Time, clock lease.Instant) string {
	passed := wall.Sub(w.Wall)
	switch {
	case w.Wall.IsZero():
		return ""
	case passed < -clockStep:
		return fmt.Sprintf("the clock went back from %s to %s", w.Wall.Format(time.RFC3339), wall.Format(time.RFC3339))
	case clock.Boot == w.Clock.Boot:
		counted := clock.Since - w.Clock.Since
		if apart := passed - counted; apart.Abs() > clockStep+counted/1000 {
			return fmt.Sprintf("the clock jumped from %s to %s, and %s passed", w.Wall.Format(time.RFC3339), wall.Format(time.RFC3339), counted.Round(time.Second))
		}
	case passed > longestOff:
		return fmt.Sprintf("the host was off from %s to %s, or its clock jumped", w.Wall.Format(time.RFC3339), wall.Format(time.RFC3339))
	}
	return ""
}

func (h *Host) witnessFile() string { return filepath.Join(h.conf.State, "clock.json") }

func (h *Host) readWitness() (w witness, err error) {
	data, err := os.ReadFile(h.witnessFile())
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &w)
	}
	if err != nil {
		return w, fmt.Errorf("what the clock showed last: %w; if the clock is right, say so: airlock vault prune --clock-is-right", err)
	}
	return w, nil
}

// watchClock compares the clock with what it showed last, and keeps what it shows now.
// Trouble stays until a person says that the clock is right.
func (h *Host) watchClock(right bool) (trouble string, err error) {
	before, err := h.readWitness()
	if err != nil && !right {
		return "", err
	}
	clock, err := lease.Now()
	if err != nil {
		return "", err
	}
	now := witness{Wall: h.conf.Now().UTC(), Clock: clock, Trouble: before.Trouble}
	if now.Trouble == "" {
		now.Trouble = before.judge(now.Wall, clock)
		if now.Trouble != "" && !right {
			h.alarm("the clock of the vault's host", now.Trouble+"; nothing is dropped until a person has set it right and run: airlock vault prune --clock-is-right")
		}
	}
	if right {
		now.Trouble = ""
	}
	data, err := json.Marshal(now)
	if err != nil {
		return "", err
	}
	return now.Trouble, writeWhole(h.witnessFile(), append(data, '\n'), 0o600)
}
