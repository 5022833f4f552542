package doors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"airlock/ledger"
	"airlock/notice"
	"airlock/orchestrator/doors/window"
	"airlock/switchctl"
)

// timerMargin is what the switch's own timer has over the time for which a door may stand
// open: it is there for when nobody else shuts it (S4).
const timerMargin = 2 * time.Minute

const (
	armWithin    = 30 * time.Second // a few commands on a slow console
	disarmWithin = 30 * time.Second
	disarmAgain  = 30 * time.Second // doubled at each try, up to
	disarmMost   = 10 * time.Minute
)

// timing is what became of the switch's own timer.
type timing struct {
	at    time.Time
	armed bool
	by    string        // the way
	after time.Duration // of an armed one
	maybe bool          // nobody knows whether it is
	err   error         // it could not be taken back
}

// arm has the switch itself shut the door after longest and a margin (S4), by the first
// way that can. Where none can, there is nothing to arm. A repeated opening needs it no
// second time.
func (d *door) arm(ctx context.Context, longest time.Duration) error {
	if !d.timer || longest == 0 || d.opening {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, armWithin)
	defer cancel()
	t := timing{armed: true, after: longest + timerMargin}
	for i, by := range d.ways {
		err := d.withTimer(ctx, i, func(p switchctl.Timer) error {
			d.armed[i] = true
			return p.Arm(ctx, t.after)
		})
		if errors.Is(err, errors.ErrUnsupported) {
			d.armed[i] = false
			continue
		}
		if err != nil {
			if d.armed[i] {
				d.timed(timing{maybe: true})
			}
			return fmt.Errorf("the switch's own timer cannot be set (timer: none on the door does without it): %w", err)
		}
		t.at, t.by = time.Now(), by.name
		d.timed(t)
		return nil
	}
	return nil
}

// disarm takes the timer back, or tells that it could not. The door is shut, so all that
// is left for the timer to do is to surprise a later window.
func (d *door) disarm(ctx context.Context) {
	ctx, done := d.interruptible(ctx, false)
	defer done()
	ctx, cancel := context.WithTimeout(ctx, disarmWithin)
	defer cancel()
	known := slices.Contains(d.armed, true) // else an earlier run armed it, by whichever way
	t := timing{}
	for i, by := range d.ways {
		if known && !d.armed[i] {
			continue
		}
		err := d.withTimer(ctx, i, func(p switchctl.Timer) error { return p.Disarm(ctx) })
		switch {
		case err == nil:
			t.by = by.name
		case !errors.Is(err, errors.ErrUnsupported):
			t.err = errors.Join(t.err, fmt.Errorf("by %s: %w", by.name, err))
			continue
		}
		d.armed[i] = false
	}
	t.at = time.Now()
	d.timed(t)
}

// withTimer calls f with the timer of one of the ways. Where that has none, the error wraps
// errors.ErrUnsupported.
func (d *door) withTimer(ctx context.Context, i int, f func(switchctl.Timer) error) error {
	port, err := d.portBy(ctx, i)
	if err != nil {
		return err
	}
	err = fmt.Errorf("switch %s has no timer: %w", d.ways[i].name, errors.ErrUnsupported)
	if timer, ok := port.(switchctl.Timer); ok {
		err = f(timer)
	}
	if port != d.port {
		err = errors.Join(err, port.Close())
	}
	return err
}

// portBy is the port by one of the ways: the one in use has it already, or resolves it.
func (d *door) portBy(ctx context.Context, i int) (switchctl.Port, error) {
	if i == d.inUse {
		return d.find(ctx, false)
	}
	sw, err := d.ways[i].session.open(ctx)
	if err != nil {
		return nil, err
	}
	port, err := sw.Find(ctx, d.ways[i].lookup)
	if err != nil {
		return nil, errors.Join(err, d.ways[i].session.drop(sw))
	}
	if err := d.admit(ctx, sw, port, i); err != nil {
		return nil, errors.Join(err, port.Close())
	}
	return port, nil
}

// timing follows what becomes of the timer, and notes it.
func (ctl *controller) timing(t timing) {
	d := ctl.doors[window.Vault]
	ctl.mu.Lock()
	was := ctl.timer
	switch {
	case t.err != nil:
		ctl.timer.disarmFailures++
	case t.maybe:
		ctl.timer.armed = true
	default:
		ctl.timer = timerState{armed: t.armed}
	}
	now, request, id := ctl.timer, ctl.request, ctl.state.Window
	ctl.mu.Unlock()
	ctl.broadcast()
	switch {
	case t.err != nil:
		if was.disarmFailures == 0 {
			ctl.call(Alarm{At: t.at, Door: d.name, Notice: notice.TimerStays.Of(), Why: t.err.Error()})
		}
		time.AfterFunc(min(disarmAgain<<min(was.disarmFailures, 16), disarmMost), func() { ctl.post(timing{maybe: true}) })
		return
	case t.maybe:
		ctl.disarm()
		return
	case !now.armed && !was.armed:
		return
	}
	e := ledger.Entry{
		Time: t.at, Kind: ledger.KindTimer, Actor: request.Actor, Reason: request.Reason,
		Door: d.name, Vault: ctl.vault, Window: id, To: timerDisarmed,
		Detail: ledger.Detail(timerDetail{By: t.by, After: t.after.Seconds()}),
	}
	if now.armed {
		e.To = timerArmed
	}
	ctl.queue.Enqueue(func() { ctl.journal.Note(e) })
}

// What the ledger says of a switch's own timer.
const (
	timerArmed    = "armed"
	timerDisarmed = "disarmed"
)

// timerState is what is known of the switch's own timer.
type timerState struct {
	armed          bool // it may be running
	disarmFailures int  // tries to take it back
}

type timerDetail struct {
	By    string  `json:"by,omitempty"`
	After float64 `json:"after_seconds,omitempty"`
}

// disarm has the timer taken back once the door is proven shut.
func (ctl *controller) disarm() {
	if ctl.timer.armed && ctl.state.Doors[window.Vault].Phase == window.Shut {
		replace(ctl.doors[window.Vault].disarms, struct{}{})
	}
}
