package ledger

import (
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"airlock/ledger/proof"
)

// stepOver is by how much the wall clock has to leave the steady one for that to be an
// entry.
const stepOver = time.Second

// Clock is where a ledger has its times from. It is safe for concurrent use.
type Clock interface {
	Read() ClockReading
}

// ClockReading is the time by two clocks at one instant.
type ClockReading struct {
	Wall   time.Time        // UTC, without a monotonic reading
	Steady time.Duration    // since some instant, by a clock that nobody sets
	State  proof.ClockState // of the wall clock
	Error  time.Duration    // of the wall clock, at most; 0 if that is not known
}

// machineClock is this machine's.
type machineClock struct{ began time.Time }

func (c machineClock) Read() ClockReading {
	now := time.Now()
	r := ClockReading{Wall: now.UTC().Round(0), Steady: now.Sub(c.began)}
	r.State, r.Error = discipline()
	return r
}

// timekeeper stamps entries, and sees when the wall clock is set.
type timekeeper struct {
	clock Clock
	run   string
	began time.Duration

	mu   sync.Mutex
	last ClockReading
}

func newTimekeeper(c Clock) *timekeeper {
	if c == nil {
		c = machineClock{time.Now()}
	}
	r := c.Read()
	return &timekeeper{clock: c, run: rand.Text()[:13], began: r.Steady, last: r}
}

// stamp says in e when it was handed in. If the wall clock was set since the last
// stamp, it returns the entry that tells so and belongs before e.
func (k *timekeeper) stamp(e *Entry) (step *Entry) {
	r, step := k.read()
	k.mark(e, r)
	return step
}

func (k *timekeeper) mark(e *Entry, r ClockReading) {
	e.Run, e.Mono, e.Clock, e.ClockError = k.run, r.Steady-k.began, r.State, r.Error
}

// read reads the clock, and compares it with the last reading.
func (k *timekeeper) read() (ClockReading, *Entry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.clock.Read()
	by := r.Wall.Sub(k.last.Wall) - (r.Steady - k.last.Steady)
	before := r.Wall.Add(-by)
	k.last = r
	if by.Abs() <= stepOver {
		return r, nil
	}
	return r, k.step(r, before, "the wall clock was stepped")
}

// resume compares the clock with the time at which an earlier run recorded last.
func (k *timekeeper) resume(recorded time.Time) *Entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	if recorded.Sub(k.last.Wall) <= stepOver {
		return nil
	}
	return k.step(k.last, recorded, "the wall clock is behind the last entry of the run before")
}

func (k *timekeeper) step(r ClockReading, before time.Time, what string) *Entry {
	by := r.Wall.Sub(before)
	e := Entry{
		Time: r.Wall, Kind: KindClock, Actor: "ledger", Reason: fmt.Sprintf("%s by %+.3f s", what, by.Seconds()),
		Detail: fmt.Appendf(nil, `{"seconds":%.3f,"before":%q,"after":%q}`, by.Seconds(), before.Format(time.RFC3339Nano), r.Wall.Format(time.RFC3339Nano)),
	}
	k.mark(&e, r)
	return &e
}
