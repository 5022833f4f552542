package console

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"airlock/orchestrator"
)

// Severity is how bad a problem is, as monitoring programs count.
type Severity int

// The severities, worst last.
const (
	OK Severity = iota
	Warning
	Critical
)

// Problem is something that is not as it should be.
type Problem struct {
	Severity Severity
	Text     string
}

// String is the problem with its severity in front.
func (p Problem) String() string {
	return [...]string{"OK", "WARNING", "CRITICAL"}[p.Severity] + ": " + p.Text
}

// Problems lists what is wrong, worst first. Critical are a lockdown, one of which nobody knows,
// a door that is not where it belongs, waits for a person's word or whose probe proves nothing, a
// guard that is not heard of any more, that does not run where no executor does, or that finds a
// door overdue, a ledger that cannot be written or trusted, a gathering that is held, an RPO that
// is not met, and a window that failed, since the next one may come too late; an inner door that
// keeps gatherings out is a warning, and so are a guard that never was, a SIEM that takes no
// entries, and a policy file that is not the one that runs. No executor is critical. An alarm that
// none of these tells is a problem of its own: as long as it lasts, or for a day.
func Problems(st orchestrator.Status) []Problem {
	var all problems
	all.doors(st)
	all.executors(st)
	all.records(st)
	all.vaults(st)
	all.systems(st)
	all.alarms(st)
	slices.SortStableFunc(all, func(a, b Problem) int { return int(b.Severity - a.Severity) })
	return all
}

// problems are those found so far.
type problems []Problem

func (p *problems) add(s Severity, format string, args ...any) {
	*p = append(*p, Problem{s, fmt.Sprintf(format, args...)})
}

// doors are a lockdown, and doors that are not where they belong.
func (p *problems) doors(st orchestrator.Status) {
	if l := st.Lockdown; l != nil {
		p.add(Critical, "lockdown since %s, by %s: %s", l.At.In(st.Time.Location()).Format("2006-01-02 15:04"), l.By, l.Reason)
	}
	if st.LockdownUnknown != "" {
		p.add(Critical, "%s", st.LockdownUnknown)
	}
	for _, name := range slices.Sorted(maps.Keys(st.Doors)) {
		if d := st.Doors[name]; Amiss(st, name) {
			p.add(Critical, "door %s is %s (%s)", name, d.State, d.Proof)
		} else if d.Kept != "" {
			p.add(Warning, "%s", d.Kept)
		}
		if d := st.Doors[name]; d.Barred != "" {
			p.add(Critical, "door %s: %s", name, d.Barred)
		}
		if d := st.Doors[name]; d.Doubt != "" {
			p.add(Critical, "door %s: %s", name, d.Doubt)
		}
	}
}

// executors are an executor and a guard that do not run, and what the guard finds.
func (p *problems) executors(st orchestrator.Status) {
	if g := st.Guard; !st.Serving && (g == nil || g.Missing == "") {
		p.add(Critical, "no executor runs, so nothing is gathered or copied by schedule: start airlock serve")
	}
	if g := st.Guard; g != nil {
		switch {
		case g.Missing == "":
		case !st.Serving:
			p.add(Critical, "neither an executor nor a guard runs, so nothing is gathered and nobody shuts a door: start airlock serve and airlock guard (%s)", g.Missing)
		case g.HeardAt.IsZero():
			p.add(Warning, "%s", g.Missing) // one of four layers was never there; no door is the worse for it yet
		default:
			p.add(Critical, "%s", g.Missing)
		}
		if g.Ledger != "" {
			p.add(Critical, "the guard's ledger is not what it was: %s; put the very file back, or restart the guard", g.Ledger)
		}
		for _, name := range slices.Sorted(maps.Keys(g.Doors)) {
			if d := g.Doors[name]; d.Overdue != "" && g.Missing == "" {
				p.add(Critical, "the guard reads door %s as %s, without leave (%s)", name, d.State, d.Overdue)
			}
		}
	}
}

// records are a policy that is not the one that runs, and a ledger that is not written or trusted.
func (p *problems) records(st orchestrator.Status) {
	if st.Policy != nil {
		for _, what := range st.Policy.Differences {
			p.add(Warning, "%s", what)
		}
	}
	if st.Ledger.Error != "" {
		p.add(Critical, "ledger: %s", st.Ledger.Error)
	}
	if st.Ledger.Doubt != "" {
		p.add(Critical, "the ledger cannot be trusted, so no vault's door is opened: %s", st.Ledger.Doubt)
	}
	if l := st.Ledger.Syslog; l != nil {
		p.add(Warning, "the SIEM takes no entries since %s: %s", l.Failing.Format("2006-01-02 15:04"), l.Error)
	}
}

// vaults are windows that were not done.
func (p *problems) vaults(st orchestrator.Status) {
	for _, name := range slices.Sorted(maps.Keys(st.Vaults)) {
		if w := st.Vaults[name].LastWindow; w != nil && w.Result != "done" && !w.Mended {
			severity := Critical
			if w.Result == "in part" && len(w.Gone) == 0 { // S16: a vault without its history is none
				severity = Warning
			}
			p.add(severity, "vault %s: last window %s: %s%s", name, w.Result, w.Error, bound(w))
		}
	}
}

// systems are gatherings that are held, late or failed.
func (p *problems) systems(st orchestrator.Status) {
	for _, name := range slices.Sorted(maps.Keys(st.Systems)) {
		if h := st.Systems[name].Held; h != nil {
			p.add(Critical, "system %s: its gatherings are held since %s: %s; look at its source; if it is right so: airlock accept %s --reason TEXT", name, h.Since.Format("2006-01-02 15:04"), h.Why, name)
		}
		switch s := st.Systems[name]; {
		case !s.RPOMet:
			p.add(Critical, "system %s: its RPO is not met (%s)", name, lastSuccess(s))
		case s.LastError != "" && s.Held == nil:
			p.add(Warning, "system %s: last gathering %s: %s", name, s.LastResult, s.LastError)
		}
	}
}

// alarms are those that none of the others tells.
func (p *problems) alarms(st orchestrator.Status) {
	for _, a := range st.Alarms {
		if a.Since.IsZero() || st.Time.Sub(a.At) > alarmsCall && !a.Lasts || saidBefore(st, a) {
			continue
		}
		severity := Warning
		if a.Grave {
			severity = Critical
		}
		p.add(severity, "alarm of %s: %s", a.At.In(st.Time.Location()).Format("2006-01-02 15:04"), a)
	}
}

// alarmsCall is for how long an alarm of something that merely happened is a problem: long
// enough for everybody who polls, and for the one who reads it in the morning.
const alarmsCall = 24 * time.Hour

// saidBefore reports whether an alarm is one of the other problems already.
func saidBefore(st orchestrator.Status, a orchestrator.Alarm) bool {
	w := st.Vaults[a.Vault].LastWindow
	s := st.Systems[a.System]
	switch {
	case !a.Lasts:
		return false
	case a.Door != "":
		d := st.Doors[a.Door]
		return Amiss(st, a.Door) || d.Doubt != "" || d.Barred != ""
	case a.System != "":
		return s.Held != nil || s.LastError != ""
	case w != nil && w.Result != "done":
		return true
	}
	return st.Ledger.Doubt != "" || st.Ledger.Error != "" || st.Ledger.Syslog != nil || st.LockdownUnknown != "" || st.Lockdown != nil ||
		st.Policy != nil && len(st.Policy.Differences) > 0 || st.Guard != nil && st.Guard.Missing != ""
}

// Amiss reports whether a door is not where it belongs. An open door is where it
// belongs while a window of its vault is in course; one that is only on its way to being
// shut is amiss where nobody is there to finish that.
func Amiss(st orchestrator.Status, name string) bool {
	d := st.Doors[name]
	switch {
	case d.State == "open" && d.Vault != "" && st.Serving:
		passing := slices.ContainsFunc(st.Running, func(p orchestrator.Progress) bool { return p.Task == "window "+d.Vault })
		return d.Amiss() && !passing
	case d.State == "shutting" || d.State == "opening":
		return !st.Serving && d.Rests == "shut"
	}
	return d.Amiss()
}

func lastSuccess(s orchestrator.SystemStatus) string {
	if s.LastSuccess == nil {
		return "never gathered whole"
	}
	return "last gathered whole " + s.LastSuccess.Format("2006-01-02 15:04")
}

// bound says that nobody measured for how long a window's door stood open: the number alone,
// in a monitoring program's performance data, would pass for a measurement (S3).
func bound(w *orchestrator.WindowRecord) string {
	if !w.AtMost {
		return ""
	}
	return fmt.Sprintf("; nobody measured it: its door stood open for at most %.3f s", w.Exposure)
}
