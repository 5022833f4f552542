// Package report tells what a ledger holds of a span of time, for people who have to
// answer for it: as one HTML file that needs nothing else, neither scripts nor a network,
// and prints on A4.
//
// It reads entries and believes them. That nobody changed them is shown by audit verify;
// the page names the ledger's root, so that the two can be held together.
package report

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/notice"
	"airlock/orchestrator"
)

// Source is what a report reads of a ledger.
type Source interface {
	Entries(context.Context, ledger.Filter) iter.Seq2[ledger.Entry, error]
	Heads(context.Context) ([]proof.Head, error)
	Count(context.Context) (int64, error)
	Root(context.Context, int64) (proof.Hash, error)
}

// Config says what a report is about.
type Config struct {
	Site     string
	Zone     *time.Location
	From, To time.Time // From ≤ entry < To
	Made     time.Time
	Version  string          // of airlock
	Open     map[string]bool // doors that rest open, which the timeline leaves out
	Serving  bool            // an executor runs while the report is made, so that doors are looked after
	Japanese bool
}

// Report is what is told.
type Report struct {
	Config
	Entries     int64 // of the span
	Total       int64 // of the ledger
	Root        string
	Heads       []proof.Head    // signed at sizes that the span reached; the last few
	Openings    []proof.Opening // by their beginning; all that the page says of openings is made of them
	Watched     []Watched       // when somebody looked after the doors
	Windows     []Window
	ByHand      []Window // in which a door was opened
	Failures    []Line
	Locks       []Line
	Restores    []Restore
	Checks      []Line // readings back of repository and vault
	Clock       []Line
	Free        int64 // entries written while the clock was not synchronised
	Versions    []Line
	Alarms      []Line
	Late        int64           // entries that could not be written when they happened
	begun       map[string]Line // windows that have no end yet
	openings    proof.Openings
	guards      []ledger.Entry // about doors
	lastVersion string
	watching    *Watched  // that has not ended
	last        time.Time // of the newest entry
}

// Line is one entry as a table shows it.
type Line struct {
	At     time.Time
	Seq    int64
	What   string // door, system or vault
	Window string
	Result string
	Actor  string
	Reason string
	Guard  bool          // it stands in the guard's ledger
	Alarm  notice.Notice // of an alarm
}

// Window is one window: what it was for, and what became of it. Opening is nil where it
// opened no door.
type Window struct {
	Line
	orchestrator.WindowRecord
	Opening *proof.Opening
}

// Restore is one restore, a drill among them.
type Restore struct {
	Line
	orchestrator.Restored
}

// longestOpening is how far before its span a report looks for openings that reach into it.
const longestOpening = 31 * 24 * time.Hour

// keptHeads is how many heads a report names.
const keptHeads = 10

// Read makes a report of a ledger, and of the guard's, which may be nil.
func Read(ctx context.Context, c Config, from, guard Source) (*Report, error) {
	r := &Report{Config: c, begun: map[string]Line{}}
	if err := r.watchedBefore(ctx, from); err != nil {
		return nil, err
	}
	f := ledger.Filter{Since: c.From.Add(-longestOpening), Until: c.To}
	for e, err := range from.Entries(ctx, f) {
		if err != nil {
			return nil, err
		}
		r.openings.Take(&e)
		if e.Time.Before(c.From) {
			continue
		}
		r.watch(e)
		if err := r.take(e); err != nil {
			return nil, fmt.Errorf("ledger entry %d: %w", e.Seq, err)
		}
	}
	if err := r.stopWatching(ctx, from); err != nil {
		return nil, err
	}
	if guard != nil {
		for e, err := range guard.Entries(ctx, f) {
			if err != nil {
				return nil, fmt.Errorf("the guard's ledger: %w", err)
			}
			if err := r.takeGuards(e); err != nil {
				return nil, fmt.Errorf("the guard's ledger: entry %d: %w", e.Seq, err)
			}
		}
	}
	r.account()
	return r, r.seal(ctx, from)
}

// seal names what holds the entries together.
func (r *Report) seal(ctx context.Context, from Source) error {
	var err error
	if r.Total, err = from.Count(ctx); err != nil {
		return err
	}
	root, err := from.Root(ctx, r.Total)
	if err != nil {
		return err
	}
	r.Root = root.String()
	heads, err := from.Heads(ctx)
	r.Heads = heads[max(0, len(heads)-keptHeads):]
	return err
}

// line is what every table shows of an entry.
func line(e ledger.Entry) Line {
	var about []string
	for _, name := range []string{e.Door, e.System, e.Vault} {
		if name != "" {
			about = append(about, name)
		}
	}
	return Line{At: e.Time, Seq: e.Seq, What: strings.Join(about, " · "), Window: e.Window, Result: e.To, Actor: e.Actor, Reason: e.Reason}
}

// check is a reading back, or a repair, and of what.
func (r *Report) check(e ledger.Entry) Line {
	l, t := line(e), r.words()
	switch {
	case e.Kind == ledger.KindHeal:
		l.What = t("repair") + " · " + t("repository") + " ← " + e.Vault
	case e.Vault == "":
		l.What = t("repository")
	}
	return l
}

// take adds an entry to whatever it belongs to.
func (r *Report) take(e ledger.Entry) error {
	r.Entries++
	if e.Late {
		r.Late++
	}
	if e.Clock == proof.ClockFree {
		r.Free++
	}
	switch e.Kind {
	case ledger.KindWindow:
		return r.takeWindow(e)
	case ledger.KindGather, ledger.KindUpkeep:
		return r.takeFailure(e)
	case ledger.KindRestore:
		one := Restore{Line: line(e)}
		if err := read(e, &one.Restored); err != nil {
			return err
		}
		r.Restores = append(r.Restores, one)
	case ledger.KindVerify, ledger.KindHeal:
		r.Checks = append(r.Checks, r.check(e))
	case ledger.KindLock, ledger.KindRelease:
		r.Locks = append(r.Locks, line(e))
	case ledger.KindClock:
		r.Clock = append(r.Clock, line(e))
	case ledger.KindAlarm:
		return r.takeAlarm(e)
	case ledger.KindStart:
		return r.takeStart(e)
	}
	return nil
}

func read(e ledger.Entry, into any) error {
	if len(e.Detail) == 0 {
		return nil
	}
	return json.Unmarshal(e.Detail, into)
}

func byHand(actor string) bool { return strings.HasPrefix(actor, "user ") }

func (r *Report) takeWindow(e ledger.Entry) error {
	if e.From == "" {
		r.begun[e.Window] = line(e) // who had it held, and why, if its end cannot say so
		return nil
	}
	w := Window{Line: line(e)}
	if err := read(e, &w.WindowRecord); err != nil {
		return err
	}
	w.WindowRecord.Result = e.To // a window that was cut could not say so itself
	if w.What == "" {
		w.What = w.Vault
	}
	if failed(e.To) {
		l := w.Line
		if w.Error != "" {
			l.Reason = w.Error
		}
		r.Failures = append(r.Failures, l)
	}
	if begun, ok := r.begun[e.Window]; ok && e.To == "cut" {
		w.Line.Actor, w.Line.Reason = begun.Actor, begun.Reason
	}
	delete(r.begun, e.Window)
	r.Windows = append(r.Windows, w)
	return nil
}

func failed(result string) bool {
	return slices.Contains([]string{"failed", "cut", "refused", "in part", "damaged", "held"}, result)
}

// takeFailure keeps what went wrong of gatherings and upkeep.
func (r *Report) takeFailure(e ledger.Entry) error {
	if !failed(e.To) {
		return nil
	}
	var g orchestrator.Gathered
	if err := read(e, &g); err != nil {
		return err
	}
	l := line(e)
	switch {
	case g.Error != "":
		l.Reason = g.Error
	case g.Held != "":
		l.Reason = g.Held
	case g.NotRead > 0:
		l.Reason = fmt.Sprintf("%d files could not be read", g.NotRead)
	}
	r.Failures = append(r.Failures, l)
	return nil
}

func (r *Report) takeAlarm(e ledger.Entry) error {
	if e.To == "over" { // it was told when it began
		return nil
	}
	var a orchestrator.Alarm
	if err := read(e, &a); err != nil {
		return err
	}
	l := line(e)
	l.Alarm, l.Reason = a.Notice, a.Why
	r.Alarms = append(r.Alarms, l)
	return nil
}

// takeStart keeps when another version began to run.
func (r *Report) takeStart(e ledger.Entry) error {
	var d struct {
		Version string `json:"version"`
	}
	if err := read(e, &d); err != nil {
		return err
	}
	if d.Version != r.lastVersion {
		r.lastVersion = d.Version
		l := line(e)
		l.Result = d.Version
		r.Versions = append(r.Versions, l)
	}
	return nil
}

// takeGuards keeps what the guard did, and whom it called.
func (r *Report) takeGuards(e ledger.Entry) error {
	switch e.Kind {
	case ledger.KindDoor:
		r.guards = append(r.guards, e)
	case ledger.KindAlarm:
		l := line(e)
		l.Guard, l.Alarm, l.Reason = true, notice.Notice{What: e.Reason}, ""
		if err := read(e, &l.Alarm); err != nil { // an older guard's has no code
			return err
		}
		r.Alarms = append(r.Alarms, l)
	}
	return nil
}

// account makes openings of what was taken, and gives each window its own.
func (r *Report) account() {
	elsewhere := func(o proof.Opening) bool {
		return r.Open[o.Door] || o.Over() && o.To.Before(r.From) || !o.From.Before(r.To)
	}
	r.Openings = slices.DeleteFunc(proof.WithGuard(r.openings.End(), r.guards), elsewhere)
	by := map[string]*proof.Opening{}
	for i := range r.Openings {
		if o := &r.Openings[i]; !o.Unexplained {
			by[o.Window] = o
		}
	}
	for i := range r.Windows {
		w := &r.Windows[i]
		w.Opening = by[w.Line.Window]
		if w.Opening != nil && byHand(w.Line.Actor) {
			r.ByHand = append(r.ByHand, *w)
		}
	}
}

// until is up to when an opening counts here.
func (r *Report) until() time.Time { return earlier(r.To, r.Made) }

// Explained are the openings by windows, Strange those that no window accounts for.
func (r *Report) Explained() []proof.Opening {
	return r.openingsThat(func(o proof.Opening) bool { return !o.Unexplained })
}

// Strange are the openings that nobody accounts for.
func (r *Report) Strange() []proof.Opening {
	return r.openingsThat(func(o proof.Opening) bool { return o.Unexplained })
}

// Bounded are the openings of which nobody measured how long they lasted.
func (r *Report) Bounded() []proof.Opening {
	return r.openingsThat(func(o proof.Opening) bool { return o.AtMost && !o.Unexplained })
}

func (r *Report) openingsThat(are func(proof.Opening) bool) []proof.Opening {
	return slices.DeleteFunc(slices.Clone(r.Openings), func(o proof.Opening) bool { return !are(o) })
}

// Lasted is for how long a door stood open, at the most where nobody measured it.
func (r *Report) Lasted(o proof.Opening) time.Duration { return o.Lasted(r.until()) }

// Exposure is the time for which doors stood open, whoever opened them, and the longest of
// all openings. Where nobody measured one of them, they are bounds.
func (r *Report) Exposure() (sum, longest time.Duration, bounded bool) {
	for _, o := range r.Openings {
		d := r.Lasted(o)
		sum, longest, bounded = sum+d, max(longest, d), bounded || o.AtMost
	}
	return sum, longest, bounded
}

// Newest is the newest signed head; nil without one.
func (r *Report) Newest() *proof.Head {
	if n := len(r.Heads); n > 0 && r.Heads[n-1].Note != "" {
		return &r.Heads[n-1]
	}
	return nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
