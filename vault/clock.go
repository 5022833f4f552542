package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"airlock/lease"
	"airlock/wholefile"
)

// Witness is what a clock showed last, kept in a file. Nothing is dropped by age while
// there is trouble with the clock: whoever can set it could otherwise have every
// generation expire.
type Witness struct {
	Wall    time.Time     `json:"wall"`
	Clock   lease.Instant `json:"clock"`             // the same by a clock that nobody can set, while the machine is up
	Trouble string        `json:"trouble,omitempty"` // until a person says that the clock is right
	// First is what it showed when it was first looked at since the machine was started,
	// or since a person said that it is right: many small steps are a large one.
	First *Moment `json:"first,omitempty"`
}

// Moment is an instant by both clocks.
type Moment struct {
	Wall  time.Time     `json:"wall"`
	Clock lease.Instant `json:"clock"`
}

// What a clock may do without a person.
const (
	clockStep  = 5 * time.Minute     // apart from the machine's own count of time
	longestOff = 45 * 24 * time.Hour // from one start of the machine to the next
)

// judge says what is wrong with the clock, "" if nothing is.
func (w Witness) judge(wall time.Time, clock lease.Instant) string {
	passed := wall.Sub(w.Wall)
	switch {
	case w.Wall.IsZero():
		return ""
	case passed < -clockStep:
		return fmt.Sprintf("the clock went back from %s to %s", w.Wall.Format(time.RFC3339), wall.Format(time.RFC3339))
	case clock.Boot == w.Clock.Boot:
		from := Moment{w.Wall, w.Clock}
		if w.First != nil && w.First.Clock.Boot == clock.Boot {
			from = *w.First
		}
		counted := clock.Since - from.Clock.Since
		if apart := wall.Sub(from.Wall) - counted; apart.Abs() > clockStep+counted/1000 {
			return fmt.Sprintf("the clock jumped from %s to %s, and %s passed", from.Wall.Format(time.RFC3339), wall.Format(time.RFC3339), counted.Round(time.Second))
		}
	case passed > longestOff:
		return fmt.Sprintf("the host was off from %s to %s, or its clock jumped", w.Wall.Format(time.RFC3339), wall.Format(time.RFC3339))
	}
	return ""
}

// ReadWitness is the zero Witness where there is no file.
func ReadWitness(file string) (w Witness, err error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &w)
	}
	if err != nil {
		return w, fmt.Errorf("what the clock showed last: %w", err)
	}
	return w, nil
}

// WatchClock compares the clock, which shows wall now, with what it showed last, and
// keeps what it shows. Trouble stays until right: a person says that the clock is. fresh
// tells trouble that was not known before.
func WatchClock(file string, wall time.Time, right bool) (now Witness, fresh bool, err error) {
	before, err := ReadWitness(file)
	if err != nil && !right {
		return Witness{}, false, err
	}
	clock, err := lease.Now()
	if err != nil {
		return Witness{}, false, err
	}
	now = Witness{Wall: wall.UTC(), Clock: clock, Trouble: before.Trouble}
	if now.Trouble == "" {
		now.Trouble = before.judge(now.Wall, clock)
		fresh = now.Trouble != "" && !right
	}
	if now.First = before.First; right || now.First == nil || now.First.Clock.Boot != clock.Boot {
		now.First = &Moment{now.Wall, clock}
	}
	if right {
		now.Trouble = ""
	}
	data, err := json.Marshal(now)
	if err != nil {
		return Witness{}, false, err
	}
	return now, fresh, wholefile.Replace(file, append(data, '\n'), 0o600)
}
