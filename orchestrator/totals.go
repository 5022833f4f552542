package orchestrator

import (
	"context"
	"maps"
	"sync"
	"time"

	"airlock/ledger"
)

// LastRun is a system's last gathering, whatever came of it.
type LastRun struct {
	Start   time.Time `json:"start"`
	End     time.Time `json:"end"`
	Files   int64     `json:"files"`
	Bytes   int64     `json:"bytes"`
	NotRead int64     `json:"not_read"` // files
}

func lastRun(g Gathered, zone *time.Location) *LastRun {
	return &LastRun{g.Start.In(zone), g.End.In(zone), g.Files, g.Bytes, g.NotRead}
}

// Totals are how often what came of what, since the executor began. They only grow.
type Totals struct {
	Windows map[Tally]int64 `json:"-"` // of vaults
	Gathers map[Tally]int64 `json:"-"` // of systems
	Alarms  int64           `json:"alarms"`
}

// Tally is what is counted: of whom, and what came of it.
type Tally struct{ Of, Result string }

// totals counts entries of the ledger as they come. It is safe for concurrent use.
type totals struct {
	mu    sync.Mutex
	begun bool
	seq   map[ledger.Kind]int64 // up to which was counted
	sum   Totals
}

// count takes in what was written since it was asked last; the first time it only begins. A
// ledger that cannot be read just now is counted the next time.
func (t *totals) count(ctx context.Context, r *ledger.Reader) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.begun {
		n, err := r.Count(ctx)
		if err != nil {
			return
		}
		t.seq, t.begun = map[ledger.Kind]int64{ledger.KindWindow: n, ledger.KindGather: n, ledger.KindAlarm: n}, true
		t.sum = Totals{Windows: map[Tally]int64{}, Gathers: map[Tally]int64{}}
	}
	for kind, after := range t.seq {
		for e, err := range r.Entries(ctx, ledger.Filter{Kind: kind, AfterSeq: after}) {
			if err != nil {
				return
			}
			t.seq[kind] = e.Seq
			t.take(e)
		}
	}
}

func (t *totals) take(e ledger.Entry) {
	switch {
	case e.Kind == ledger.KindAlarm && e.To != alarmOver:
		t.sum.Alarms++
	case e.Kind == ledger.KindGather:
		t.sum.Gathers[Tally{e.System, e.To}]++
	case e.Kind == ledger.KindWindow && e.From != "": // its end
		t.sum.Windows[Tally{e.Vault, e.To}]++
	}
}

// copied is nil before anything could be counted.
func (t *totals) copied() *Totals {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.begun {
		return nil
	}
	return &Totals{maps.Clone(t.sum.Windows), maps.Clone(t.sum.Gathers), t.sum.Alarms}
}
