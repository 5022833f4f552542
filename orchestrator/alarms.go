package orchestrator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"airlock/ledger"
	"airlock/notice"
	"airlock/pause"
)

// An alarm begins with an entry of kind alarm, and ends with another one, To alarmOver, once
// its cause is seen to be over: so a restart forgets none, and none stays for ever. What is
// over is read off the status, in one place. An alarm of something that merely happened, such
// as a door that another hand opened, has no cause that could end: it is shown for a week.

const (
	alarmOver       = "over"             // what an entry of kind alarm is about that ends one
	alarmEvents     = 7 * 24 * time.Hour // for so long is shown what merely happened
	alarmsEnd       = time.Minute        // how often it is looked whether any is over
	byTheGuard      = "guard"
	alarmsOfGuard   = "the guard says: "
	alarmsOfGuardJA = "見張りによると、"
)

// cause says of alarms of some kinds when they are over.
type cause struct {
	kinds []*notice.Kind
	over  func(st Status, a Alarm) bool // nil where only the one who raised it knows
}

// causes are those of alarms that something ends.
func causes() []cause {
	atRest := func(st Status, a Alarm) bool {
		d, known := st.Doors[a.Door]
		return !known || d.State == d.Rests
	}
	gathered := func(results ...string) func(Status, Alarm) bool {
		return func(st Status, a Alarm) bool {
			s, known := st.Systems[a.System]
			return !known || slices.Contains(results, s.LastResult) && s.LastRun != nil && s.LastRun.End.After(a.At)
		}
	}
	windows := func(fine func(w *WindowRecord) bool) func(Status, Alarm) bool {
		return func(st Status, a Alarm) bool {
			v, known := st.Vaults[a.Vault]
			return !known || v.LastWindow != nil && v.LastWindow.ProvenAt.After(a.At) && fine(v.LastWindow)
		}
	}
	brought := windows(func(w *WindowRecord) bool { return w.Result == resultDone })
	trusted := func(st Status, _ Alarm) bool { return st.Ledger.Doubt == "" && st.Ledger.Error == "" }
	verified := func(st Status, a Alarm) bool { return st.Ledger.VerifiedAt != nil && st.Ledger.VerifiedAt.After(a.At) }
	of := func(kinds ...*notice.Kind) []*notice.Kind { return kinds }
	return []cause{
		{of(notice.NotProvenShut, notice.ProvenAfterAll, notice.NotReadAtStart, notice.NotReadAnyMore, notice.InnerNotOpened,
			notice.LeaselessUnread, notice.UnreadInLockdown, notice.GuardCannotShut), atRest},
		{of(notice.NoIntent, notice.NoLease), func(st Status, a Alarm) bool { return trusted(st, a) && atRest(st, a) }},
		{of(notice.ProbeProvesNothing), func(st Status, a Alarm) bool { return st.Doors[a.Door].Doubt == "" }},
		{of(notice.NotGathered, notice.GatheringGoesOn), gathered(resultDone, resultInPart, resultHeld)},
		{of(notice.GatheringHeld), func(st Status, a Alarm) bool { return st.Systems[a.System].Held == nil }},
		{of(notice.SnapshotsBraked), gathered(resultDone)},
		{of(notice.WindowFailed, notice.WindowRefused, notice.WindowInPart, notice.WindowCut), func(st Status, a Alarm) bool { return brought(st, a) || st.Vaults[a.Vault].mended() }},
		{of(notice.HostAlarms), windows(func(w *WindowRecord) bool { return w.Receipt != nil && len(w.Receipt.Alarms) == 0 })},
		{of(notice.VaultNotTended), windows(func(w *WindowRecord) bool { return w.Retention != nil && w.Retention.Held == "" })},
		{of(notice.DamageFound), nil},
		{of(notice.NoGuard), func(st Status, _ Alarm) bool { return st.Guard == nil || st.Guard.Missing == "" }},
		{of(notice.LockdownUnknown), func(st Status, _ Alarm) bool { return st.LockdownUnknown == "" }},
		{of(notice.LockdownStands, notice.LockdownNotKept), func(st Status, _ Alarm) bool { return st.Lockdown == nil && st.LockdownUnknown == "" }},
		{of(notice.SIEMTakesNone), func(st Status, _ Alarm) bool { return st.Serving && st.Ledger.Syslog == nil }},
		{of(notice.LedgerNotTrusted, notice.LedgerNotOpened), trusted},
		{of(notice.LedgerNotVerified, notice.VerificationNotKept), verified},
		{of(notice.PolicyChanged, notice.PolicyBroken), func(st Status, a Alarm) bool { return st.Policy == nil || len(st.Policy.Differences) == 0 }},
	}
}

// lasts reports whether something ends the alarm, and whether that has come.
func (a Alarm) lasts(st Status) (until, over bool) {
	for _, e := range causes() {
		if a.Is(e.kinds...) {
			return true, e.over != nil && !a.At.After(st.Time) && e.over(st, a) // else the status is older than the alarm
		}
	}
	return false, false
}

// grave reports whether a person has to look at once.
func (a Alarm) grave() bool {
	if k := notice.Find(a.Code); k != nil {
		return k.Severity == notice.Critical
	}
	return a.Door != "" // by an older airlock
}

// identify gives an alarm the ID by which its end is known.
func (a Alarm) identify() Alarm {
	sum := sha256.Sum256([]byte(strings.Join([]string{a.At.UTC().Format(time.RFC3339Nano), a.Door, a.System, a.Vault, a.What}, "\x00")))
	a.ID = hex.EncodeToString(sum[:6])
	return a
}

// subject is what two alarms have in common of which the later says all.
func (a Alarm) subject() string {
	return strings.Join([]string{a.By, a.Door, a.System, a.Vault, a.What}, "\x00")
}

// current are the alarms whose causes are not over, oldest first; of several about the same,
// the newest, with when the first of them was. The guard's stand among them.
func current(st Status, all []Alarm) []Alarm {
	shown := []Alarm{}
	for _, a := range append(guardAlarms(st), all...) {
		until, over := a.lasts(st)
		if over || !until && st.Time.Sub(a.At) > alarmEvents {
			continue
		}
		a.At = inZone(a.At, st.Time.Location())
		a.Since, a.Lasts, a.Grave = a.At, until, a.grave()
		if i := slices.IndexFunc(shown, func(b Alarm) bool { return b.subject() == a.subject() }); i >= 0 {
			a.Since = shown[i].Since
			shown = slices.Delete(shown, i, i+1)
		}
		shown = append(shown, a)
	}
	slices.SortStableFunc(shown, func(a, b Alarm) int { return a.At.Compare(b.At) })
	return shown[max(0, len(shown)-keptAlarms):]
}

// guardAlarms are the alarms of a guard on this machine, as it tells them.
func guardAlarms(st Status) (all []Alarm) {
	if st.Guard == nil {
		return nil
	}
	for _, a := range st.Guard.Alarms {
		all = append(all, Alarm{At: inZone(a.At, st.Time.Location()), Door: a.Door, Notice: a.Notice, Why: a.Why, By: byTheGuard}.identify())
	}
	return all
}

// recalledAlarms are the alarms that the ledger has begun and not ended, oldest first. Entries from
// before alarms had IDs are left to the ledger.
func recalledAlarms(ctx context.Context, r *ledger.Reader) ([]Alarm, error) {
	var all []Alarm
	for e, err := range r.Entries(ctx, ledger.Filter{Kind: ledger.KindAlarm}) {
		if err != nil {
			return nil, err
		}
		var a Alarm
		if json.Unmarshal(e.Detail, &a) != nil || a.ID == "" {
			continue
		}
		all = slices.DeleteFunc(all, func(b Alarm) bool { return b.ID == a.ID })
		if e.To != alarmOver {
			all = append(all, a)
		}
	}
	return all, nil
}

// recallAlarms puts those of earlier runs before those of this one.
func (s *Site) recallAlarms(ctx context.Context) {
	if s.journal.Err() != nil {
		return
	}
	before, err := recalledAlarms(ctx, &s.journal.Ledger.Reader)
	if err != nil {
		s.options.Log.Warn("the alarms of earlier runs are in the ledger alone", "error", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarms = append(before, s.alarms...)
}

// endAlarms writes down which alarms are over, until ctx ends.
func (s *Site) endAlarms(ctx context.Context) {
	pause.Every(ctx, alarmsEnd, func() { s.endAlarmsNow(ctx) })
}

func (s *Site) endAlarmsNow(ctx context.Context) {
	st, err := s.Status(ctx)
	if err != nil || ctx.Err() != nil {
		return // S15: nothing is known to be over
	}
	s.noteOver(s.over(func(a Alarm) bool {
		_, ended := a.lasts(st)
		return ended
	}))
}

func (s *Site) noteOver(over []Alarm) {
	for _, a := range over {
		s.options.Log.Info("over: " + a.String())
		s.journal.Note(ledger.Entry{
			Time: time.Now(), Kind: ledger.KindAlarm, Actor: "airlock", Reason: a.What,
			Door: a.Door, System: a.System, Vault: a.Vault, To: alarmOver, Detail: detail(a),
		})
	}
}

// over takes out the alarms that have ended.
func (s *Site) over(ended func(Alarm) bool) (over []Alarm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarms = slices.DeleteFunc(s.alarms, func(a Alarm) bool {
		if !ended(a) {
			return false
		}
		over = append(over, a)
		return true
	})
	return over
}
