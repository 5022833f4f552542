package orchestrator

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"airlock/collectors"
	"airlock/ledger"
)

// turn is one of the slots of gatherings. It may be given back before the gathering ends,
// so that a source which answers slowly or has no end keeps nobody else waiting.
type turn struct {
	slots chan struct{}
	early chan struct{} // has room for those that gave theirs back before they went too far
	want  *want         // who waits for one
	once  sync.Once
	given atomic.Bool
	ahead bool // it has a place in early; for the watch, and once that ended
}

func (t *turn) giveBack() {
	t.once.Do(func() {
		t.given.Store(true)
		<-t.slots
	})
}

// giveEarly gives it back if not too many did before they had to: each that goes on
// takes memory.
func (t *turn) giveEarly() {
	if t.given.Load() {
		return
	}
	select {
	case t.early <- struct{}{}:
		t.ahead = true
		t.giveBack()
	default:
	}
}

// end gives back what is left of it.
func (t *turn) end() {
	t.giveBack()
	if t.ahead {
		<-t.early
	}
}

// yields tells whether a gathering that gave its turn back has to let others go first.
func (t *turn) yields() bool { return t.given.Load() && len(t.slots) > 0 }

const (
	paceEvery = time.Second
	// A source that gave nothing for so long gives its turn to the next.
	silentTurn = 5 * time.Second
	// A gathering that takes so many times as long as the last one, and so long at the
	// least, gives its turn to the next; and later calls a person.
	farBeyond     = 3
	shortOvertime = 2 * time.Minute
	// One that never came to a good end may have none, and does so much sooner. It goes on,
	// and yields to those that have a turn; but only so many at once.
	unknownTurn  = 5 * time.Second
	mostEarly    = 4
	longOvertime = 2 * time.Hour
)

// oversight is how a gathering is seen to come to an end.
type oversight struct {
	pace    collectors.Pace
	stalled time.Duration // then it has failed
	last    time.Duration // what the last one took; 0 if there is none
	turn    *turn
	told    func() string // how far it is
	alarm   func(why string)
}

// watch ends a gathering whose source gives nothing, and tells of one without end. It
// returns when ctx ends.
func (w *oversight) watch(ctx context.Context, end context.CancelCauseFunc) {
	began, alarmed := time.Now(), false
	for ctx.Err() == nil {
		w.rest(ctx)
		now := time.Now()
		silent, took := w.pace.Silent(now), now.Sub(began)
		switch {
		case silent > w.stalled:
			end(collectors.Stalled(w.stalled))
			return
		case silent > silentTurn, took > max(farBeyond*w.last, shortOvertime):
			w.turn.giveBack()
		case w.wanted():
			w.turn.giveEarly()
			w.turn.giveBack()
		case w.last == 0 && took > unknownTurn:
			w.turn.giveEarly()
		}
		if took > max(farBeyond*w.last, longOvertime) && !alarmed {
			alarmed = true
			w.alarm(fmt.Sprintf("it has run for %s, and the last one took %s; so far %s", took.Round(time.Minute), w.last.Round(time.Second), w.told()))
		}
	}
}

// wanted reports whether the turn is one that a known source waits for, and this is none.
func (w *oversight) wanted() bool {
	wanted, _ := w.turn.want.look()
	return wanted && w.last == 0
}

// rest is the time between two looks, which ends at once when the turn is wanted.
func (w *oversight) rest(ctx context.Context) {
	wanted, changed := w.turn.want.look()
	switch {
	case w.last > 0, w.turn.given.Load():
		changed = nil
	case wanted:
		return
	}
	t := time.NewTimer(paceEvery)
	defer t.Stop()
	select {
	case <-t.C:
	case <-changed:
	case <-ctx.Done():
	}
}

// lastTook is how long a system's last good gathering took.
func (s *Site) lastTook(ctx context.Context, system string) time.Duration {
	e, ok := s.journal.Newest(ctx, ledger.Filter{Kind: ledger.KindGather, System: system, To: resultDone})
	var g Gathered
	if !ok || json.Unmarshal(e.Detail, &g) != nil || g.Accepted != "" {
		return 0
	}
	return g.End.Sub(g.Start)
}
