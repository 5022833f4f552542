//go:build linux

package openings

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"airlock/lab"
	"airlock/ledger"
)

// everyVariable, when set, has twenty executors killed; seedVariable draws them again.
const (
	everyVariable = "AIRLOCK_EXHAUSTIVE"
	seedVariable  = "OPENINGS_SEED"
)

// way is who is there to shut the door when the executor is killed.
type way int

const (
	byGuard   way = iota
	byWatcher     // no guard runs
	byNobody      // the watcher is killed too, and the next start is late
	ways
)

func (w way) String() string {
	return [...]string{"a guard", "its watcher", "nobody; the next start is late"}[w]
}

// trial is one window whose executor is killed.
type trial struct {
	way   way
	after string        // what the moment is counted from
	delay time.Duration // to the kill
	late  time.Duration // to the next start, where nobody shuts
	soon  bool          // the next start does not wait for the guard's proof

	window     string // its ID; "" where it was killed before that
	began, end time.Time
	killed     time.Time // zero where it had come to its own end
	up         span      // the vault's port, by the sampler
	told       told      // by the status after the next start
}

// The beginnings of a trial's moment.
const (
	begun  = "the start"
	opened = "the opening"
	closed = "the shutting"
)

// span is a stretch for which the port was surely up, and for how long it can have been.
type span struct {
	from, to time.Time
	most     time.Duration
}

func (s span) least() time.Duration { return s.to.Sub(s.from) }

// drawn are the trials of a seed. The first of each way strikes while the port is up.
func drawn(seed uint64, count int) (all []*trial) {
	for i := range count {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		t := &trial{way: way(i) % ways, after: opened, late: time.Second + time.Duration(r.Int64N(int64(3*time.Second))), soon: i >= int(ways) && r.IntN(2) == 0}
		longest := 1800 * time.Millisecond
		switch m := r.IntN(10); {
		case i < int(ways):
			longest = 800 * time.Millisecond
		case m < 6:
		case m < 8:
			t.after, longest = begun, 4*time.Second
		default:
			t.after, longest = closed, 600*time.Millisecond
		}
		t.delay = time.Duration(r.Int64N(int64(longest)))
		all = append(all, t)
	}
	return all
}

// S14 says for how long a door can stand open; S3 that one which nobody measured counts as
// open: whatever tells of such openings tells the same, and never less than was.
func TestOpeningsAreToldAlike(t *testing.T) {
	count := 3
	if os.Getenv(everyVariable) != "" {
		count = 20
	}
	seed := uint64(rand.Uint32())
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d", seed)
	h := newHospital(t)
	all := drawn(seed, count)
	var sofar sums
	for i, one := range all {
		sofar = h.try(i+1, one, sofar)
	}
	h.end(h.serve, syscall.SIGTERM)
	h.compare(all)
}

// try kills a window's executor, and has the next start find what it left.
func (h *hospital) try(number int, one *trial, sofar sums) sums {
	h.t.Helper()
	h.gather()
	h.end(h.serve, syscall.SIGTERM)
	h.guarded(one.way == byGuard)
	seen := len(h.ports.Transitions())
	one.began = time.Now()
	h.kill(one, seen)
	h.await(one, seen)
	one.window = h.begunSince(one.began)
	h.neverLess(number, one, seen, sofar)
	h.startServe()
	if one.window != "" {
		h.until("the window that was cut has an end", func() bool { return h.ended(one.window) })
	}
	one.end = time.Now()
	if h.isUp() {
		h.t.Errorf("S5: trial %d: after the next start the port is up", number)
	}
	one.up = h.up(seen)
	h.status(number, one)
	return h.add()
}

// await is what passes until the next start.
func (h *hospital) await(one *trial, seen int) {
	h.t.Helper()
	if one.way == byNobody {
		<-time.After(one.late)
		return
	}
	h.until("the vault's port is down", func() bool { return !h.isUp() })
	if !one.soon && !one.killed.IsZero() && one.killed.Before(h.up(seen).to) {
		h.until("whoever shut it has proven that", func() bool {
			return len(h.read(h.guardLedger(), ledger.Filter{Kind: ledger.KindDoor, Door: door, To: "shut", Since: one.began})) > 0
		})
	}
}

// kill has a window begin, and its executor end at the trial's moment.
func (h *hospital) kill(one *trial, seen int) {
	h.t.Helper()
	c := h.command(h.t.Context(), airlock, h.with([]string{"window", "secondary", "--reason", "to be killed"})...)
	h.must(c.Start())
	over := make(chan struct{})
	go func() {
		c.Wait() // it is killed, or comes to its own end before
		close(over)
	}()
	there := func(up bool) {
		h.until("the port is up, and down", func() bool {
			select {
			case <-over:
				return true
			default:
				return h.moved(seen, up)
			}
		})
	}
	if one.after != begun {
		there(true)
	}
	if one.after == closed {
		there(false)
	}
	<-time.After(one.delay)
	var watchers []int
	if one.way == byNobody {
		watchers = h.children(c.Process.Pid)
		for _, pid := range watchers { // else it hears of the end first
			_ = syscall.Kill(pid, syscall.SIGSTOP)
		}
	}
	at := time.Now()
	_ = c.Process.Kill() // it may have ended
	for _, pid := range watchers {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	select {
	case <-over:
	case <-time.After(hang):
		h.t.Fatal("the process does not end")
	}
	if !c.ProcessState.Exited() {
		one.killed = at
	}
}

// moved reports whether the port has gone up, or down, since.
func (h *hospital) moved(seen int, up bool) bool {
	for _, t := range h.ports.Transitions()[seen:] {
		if t.Up == up {
			return true
		}
	}
	return false
}

// up is for how long the vault's port was up since; up to now, if it still is.
func (h *hospital) up(seen int) (s span) {
	h.t.Helper()
	var after time.Time
	ups := 0
	for _, t := range h.ports.Transitions()[seen:] {
		switch {
		case t.Port != lab.VaultPort:
		case t.Up:
			ups++
			s.from, after = t.By, t.After
			s.to = time.Now()
		default:
			s.to, s.most = t.After, t.By.Sub(after)
		}
	}
	if ups > 1 {
		h.t.Errorf("the vault's port went up %d times in one trial", ups)
	}
	return s
}

// begunSince is the window that began since; "" for none.
func (h *hospital) begunSince(at time.Time) (id string) {
	h.t.Helper()
	for _, e := range h.read(h.ledger(), ledger.Filter{Kind: ledger.KindWindow, Since: at}) {
		if e.From == "" {
			id = e.Window
		}
	}
	return id
}

func (h *hospital) ended(id string) bool {
	h.t.Helper()
	for _, e := range h.read(h.ledger(), ledger.Filter{Kind: ledger.KindWindow, Window: id}) {
		if e.From != "" {
			return true
		}
	}
	return false
}

func (t *trial) String() string {
	return fmt.Sprintf("%.2f s after %s, beside %s", t.delay.Seconds(), t.after, t.way)
}
