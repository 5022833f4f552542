package orchestrator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"airlock/ledger"
	"airlock/orchestrator/doors/window"
)

// openAgain is what a person does about an inner door that nobody owes its opening.
func openAgain(door string) string {
	return "; gatherings that go through it fail; when the matter is settled: airlock open " + door + " --reason TEXT"
}

// keptShut says, of each inner door that is shut while nothing keeps it so, who shut it: a
// person's will is not undone by airlock, and must not be forgotten either.
func keptShut(ctx context.Context, r *ledger.Reader, st *Status) {
	if st.Lockdown != nil {
		return
	}
	for name, d := range st.Doors {
		passing := slices.ContainsFunc(st.Running, func(p Progress) bool { return strings.HasPrefix(p.Task, "window ") })
		if d.Rests != window.Open.String() || d.State != window.Shut.String() || passing {
			continue
		}
		d.Kept = fmt.Sprintf("%s rests open, and was found shut", name) + openAgain(name)
		if r != nil {
			if e, ok := shutByHand(ctx, r, name); ok {
				d.Kept = fmt.Sprintf("%s rests open, and was shut by %s on %s", name, e.Actor, e.Time.In(st.Time.Location()).Format("2006-01-02 15:04")) + openAgain(name)
			}
		}
		st.Doors[name] = d
	}
}

// shutByHand is the entry by which a person shut a door that was not open since. What a
// lockdown proved anew in between changes nothing.
func shutByHand(ctx context.Context, r *ledger.Reader, door string) (ledger.Entry, bool) {
	f := ledger.Filter{Kind: ledger.KindDoor, Door: door, To: window.Open.String()}
	open, _, err := r.Last(ctx, f)
	if err != nil {
		return ledger.Entry{}, false
	}
	f.To, f.AfterSeq = window.Shutting.String(), open.Seq
	for e, err := range r.Entries(ctx, f) {
		if err != nil {
			break
		}
		if strings.HasPrefix(e.Reason, byHand) {
			return e, true
		}
	}
	return ledger.Entry{}, false
}

// lockedOut says which doors that rest open are shut by the lockdown. They are where they
// belong; what is to go through them fails all the same.
func lockedOut(st Status) []string {
	var shut []string
	for name, d := range st.Doors {
		if st.Lockdown != nil && d.Rests == window.Open.String() && d.State == window.Shut.String() {
			shut = append(shut, name)
		}
	}
	if len(shut) == 0 {
		return nil
	}
	slices.Sort(shut)
	return []string{fmt.Sprintf("a lockdown stands since %s, by %s (%s), and keeps %s shut: what goes through there fails until another person ends it: airlock release --reason TEXT",
		st.Lockdown.At.In(st.Time.Location()).Format("2006-01-02 15:04"), st.Lockdown.By, st.Lockdown.Reason, strings.Join(shut, ", "))}
}

// kept are the sentences about inner doors that are shut and stay so.
func (s *Site) kept(ctx context.Context) []string {
	st, err := s.Status(ctx)
	if err != nil {
		return nil
	}
	all := lockedOut(st)
	for _, name := range slices.Sorted(maps.Keys(st.Doors)) {
		if k := st.Doors[name].Kept; k != "" {
			all = append(all, k)
		}
	}
	return all
}
