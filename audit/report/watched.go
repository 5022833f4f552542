package report

import (
	"context"
	"time"

	"airlock/ledger"
)

// Watched is a time during which an executor looked after the doors: while airlock serve
// ran. An executor that was killed is believed to have watched up to its last entry. Of any
// other time the ledger can tell how a door was found afterwards, and no more.
type Watched struct{ From, To time.Time }

// serving is the reason of the entries with which airlock serve begins and ends.
const serving = "airlock serve"

// watchedBefore finds whether an executor ran when the span began.
func (r *Report) watchedBefore(ctx context.Context, from Source) error {
	var last ledger.Entry
	for _, kind := range []ledger.Kind{ledger.KindStart, ledger.KindStop} {
		for e, err := range from.Entries(ctx, ledger.Filter{Kind: kind, Until: r.From}) {
			if err != nil {
				return err
			}
			if e.Kind == kind && e.Seq > last.Seq {
				last = e
			}
		}
	}
	if last.Kind == ledger.KindStart && last.Reason == serving {
		r.watching = &Watched{r.From, r.From}
	}
	return nil
}

// watch follows executors as they begin and end.
func (r *Report) watch(e ledger.Entry) {
	switch {
	case e.Kind == ledger.KindStart:
		r.stopWatchingAt(r.last) // the one before was killed, or has ended
		if e.Reason == serving {
			r.watching = &Watched{e.Time, e.Time}
		}
	case e.Kind == ledger.KindStop:
		r.stopWatchingAt(e.Time)
	}
	r.last = e.Time
}

func (r *Report) stopWatchingAt(t time.Time) {
	if w := r.watching; w != nil && t.After(w.From) {
		w.To = t
		r.Watched = append(r.Watched, *w)
	}
	r.watching = nil
}

// stopWatching ends with the span: one that runs while the report is made has watched up to
// then, and so has one of which a later entry tells.
func (r *Report) stopWatching(ctx context.Context, from Source) error {
	alive := r.Serving
	for e, err := range from.Entries(ctx, ledger.Filter{Since: r.To}) {
		if err != nil {
			return err
		}
		if !e.Time.Before(r.To) {
			alive = e.Kind != ledger.KindStart
			break
		}
	}
	if alive {
		r.last = r.until()
	}
	r.stopWatchingAt(r.last)
	return nil
}

// unwatched are the parts of a stretch of time for which nobody can tell.
func (r *Report) unwatched(from, to time.Time) []Watched {
	var gaps []Watched
	for _, w := range r.Watched {
		if !w.To.After(from) || !w.From.Before(to) {
			continue
		}
		if w.From.After(from) {
			gaps = append(gaps, Watched{from, w.From})
		}
		from = w.To
	}
	if from.Before(to) {
		gaps = append(gaps, Watched{from, to})
	}
	return gaps
}
