package orchestrator

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"airlock/collectors"
	"airlock/ledger"
)

// turn is one of the slots of gatherings. It may be given back before the gathering ends,
// so that a source which answers slowly or has no end keeps nobody else waiting.
type turn struct {
	slots chan struct{}
	once  sync.Once
}

func (t *turn) giveBack() { t.once.Do(func() { <-t.slots }) }

const (
	paceEvery = time.Second
	// A source that gave nothing for so long gives its turn to the next.
	silentTurn = 5 * time.Second
	// A gathering that takes so many times as long as the last one, and so long at the
	// least, gives its turn to the next; and later calls a person.
	farBeyond     = 3
	shortOvertime = 2 * time.Minute
	longOvertime  = 2 * time.Hour
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
		pause(ctx, paceEvery)
		now := time.Now()
		silent, took := w.pace.Silent(now), now.Sub(began)
		switch {
		case silent > w.stalled:
			end(collectors.Stalled(w.stalled))
			return
		case silent > silentTurn, took > max(farBeyond*w.last, shortOvertime):
			w.turn.giveBack()
		}
		if took > max(farBeyond*w.last, longOvertime) && !alarmed {
			alarmed = true
			w.alarm(fmt.Sprintf("it has run for %s, and the last one took %s; so far %s", took.Round(time.Minute), w.last.Round(time.Second), w.told()))
		}
	}
}

// lastTook is how long a system's last good gathering took.
func (s *Site) lastTook(ctx context.Context, system string) time.Duration {
	e, ok := s.journal.last(ctx, ledger.Filter{Kind: ledger.KindGather, System: system, To: resultDone})
	var g Gathered
	if !ok || json.Unmarshal(e.Detail, &g) != nil || g.Accepted != "" {
		return 0
	}
	return g.End.Sub(g.Start)
}
