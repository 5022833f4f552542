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
	Japanese bool
}

// Report is what is told.
type Report struct {
	Config
	Entries     int64 // of the span
	Total       int64 // of the ledger
	Root        string
	Heads       []proof.Head // signed at sizes that the span reached; the last few
	Windows     []Window
	Strange     []Strange // openings that nobody accounts for
	ByHand      []Window
	Failures    []Line
	Locks       []Line
	Restores    []Restore
	Checks      []Line // readings back of repository and vault
	Clock       []Line
	Free        int64 // entries written while the clock was not synchronised
	Versions    []Line
	Alarms      []Line
	Late        int64 // entries that could not be written when they happened
	intervals   []interval
	open        map[string]interval // by door: the one that has not ended
	lastVersion string
}

// Line is one entry as a table shows it.
type Line struct {
	At     time.Time
	Seq    int64
	What   string // door, system or vault
	Result string
	Actor  string
	Reason string
	Guard  bool // it stands in the guard's ledger
}

// Window is one opening.
type Window struct {
	Line
	orchestrator.WindowRecord
}

// Strange is an opening by somebody else.
type Strange struct {
	Line
	From   time.Time     // since when it may have stood open
	AtMost time.Duration // how long, at the most; 0 where nobody can tell
	Ended  bool          // it was proven shut again
	drawn  int           // which of the intervals it is
}

// Restore is one restore, a drill among them.
type Restore struct {
	Line
	orchestrator.Restored
}

// interval is a time during which a door stood open.
type interval struct {
	door     string
	from, to time.Time
	why      string // window, hand, strange
}

// keptHeads is how many heads a report names.
const keptHeads = 10

// Read makes a report of a ledger, and of the guard's, which may be nil.
func Read(ctx context.Context, c Config, from, guard Source) (*Report, error) {
	r := &Report{Config: c, open: map[string]interval{}}
	f := ledger.Filter{Since: c.From, Until: c.To}
	for e, err := range from.Entries(ctx, f) {
		if err != nil {
			return nil, err
		}
		if err := r.take(e); err != nil {
			return nil, fmt.Errorf("ledger entry %d: %w", e.Seq, err)
		}
	}
	for _, i := range r.open {
		i.to = earlier(c.To, c.Made)
		r.intervals = append(r.intervals, i)
	}
	if guard != nil {
		for e, err := range guard.Entries(ctx, f) {
			if err != nil {
				return nil, fmt.Errorf("the guard's ledger: %w", err)
			}
			r.takeGuards(e)
		}
	}
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
	return Line{At: e.Time, Seq: e.Seq, What: strings.Join(about, " · "), Result: e.To, Actor: e.Actor, Reason: e.Reason}
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
	case ledger.KindDoor:
		return r.takeDoor(e)
	case ledger.KindWindow:
		return r.takeWindow(e)
	case ledger.KindPatrol:
		return r.takePatrol(e)
	case ledger.KindGather, ledger.KindUpkeep:
		return r.takeFailure(e)
	case ledger.KindRestore:
		one := Restore{Line: line(e)}
		if err := read(e, &one.Restored); err != nil {
			return err
		}
		r.Restores = append(r.Restores, one)
	case ledger.KindVerify, ledger.KindHeal:
		r.Checks = append(r.Checks, line(e))
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

// takeDoor follows a door from the command that opens it to the proof that it is shut, or,
// where its exposure was measured, for as long as that says, so that all sums agree. What is not known at a start is no opening: the window that was cut has its own end.
func (r *Report) takeDoor(e ledger.Entry) error {
	if r.Open[e.Door] {
		return nil
	}
	var d struct {
		Exposure float64 `json:"exposure_seconds"`
	}
	if err := read(e, &d); err != nil {
		return err
	}
	i, isOpen := r.open[e.Door]
	switch {
	case !isOpen && (e.To == "opening" || e.To == "open"):
		i = interval{door: e.Door, from: e.Time, why: "window"}
		switch {
		case byHand(e.Actor):
			i.why = "hand"
		case e.Window == "":
			i.why = "strange"
		}
		r.open[e.Door] = i
	case isOpen && e.To == "shut":
		if i.to = e.Time; d.Exposure > 0 {
			i.to = i.from.Add(seconds(d.Exposure))
		}
		r.intervals = append(r.intervals, i)
		delete(r.open, e.Door)
	}
	return nil
}

func byHand(actor string) bool { return strings.HasPrefix(actor, "user ") }

func (r *Report) takeWindow(e ledger.Entry) error {
	if e.From == "" {
		return nil // it began; its end has all there is to tell
	}
	w := Window{Line: line(e)}
	if err := read(e, &w.WindowRecord); err != nil {
		return err
	}
	w.WindowRecord.Result = e.To // a window that was cut could not say so itself
	if w.What == "" {
		w.What = w.Vault
	}
	r.Windows = append(r.Windows, w)
	if byHand(e.Actor) {
		r.ByHand = append(r.ByHand, w)
	}
	if failed(e.To) {
		l := w.Line
		l.Reason = w.Error
		r.Failures = append(r.Failures, l)
	}
	return nil
}

func failed(result string) bool {
	return slices.Contains([]string{"failed", "cut", "refused", "in part", "damaged"}, result)
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
	case g.NotRead > 0:
		l.Reason = fmt.Sprintf("%d files could not be read", g.NotRead)
	}
	r.Failures = append(r.Failures, l)
	return nil
}

// takePatrol keeps openings by others. One that was found standing open has a second
// entry when it was proven shut, with the whole time.
func (r *Report) takePatrol(e ledger.Entry) error {
	var d struct {
		ShutSeen time.Time `json:"shut_seen"`
		AtMost   float64   `json:"open_at_most_seconds"`
	}
	if e.To != "opened" && e.To != "shut" {
		return nil
	}
	if err := read(e, &d); err != nil {
		return err
	}
	s := Strange{Line: line(e), From: d.ShutSeen, AtMost: time.Duration(d.AtMost * float64(time.Second)), Ended: e.To == "shut"}
	if s.From.IsZero() {
		s.From = e.Time.Add(-s.AtMost)
	}
	if n := len(r.Strange) - 1; s.Ended && n >= 0 && r.Strange[n].What == s.What && !r.Strange[n].Ended {
		r.Strange[n].AtMost, r.Strange[n].Ended = max(s.AtMost, r.Strange[n].AtMost), true
		r.intervals[r.Strange[n].drawn].to = e.Time
		return nil
	}
	s.drawn = len(r.intervals)
	r.Strange = append(r.Strange, s)
	r.intervals = append(r.intervals, interval{e.Door, s.From, e.Time, "strange"})
	return nil
}

func (r *Report) takeAlarm(e ledger.Entry) error {
	var a orchestrator.Alarm
	if err := read(e, &a); err != nil {
		return err
	}
	l := line(e)
	if a.Why != "" {
		l.Reason += ": " + a.Why
	}
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

// takeGuards keeps what the guard had to do: a door that it found without leave.
func (r *Report) takeGuards(e ledger.Entry) {
	l := line(e)
	l.Guard = true
	switch {
	case e.Kind == ledger.KindDoor && e.To == "shutting":
		r.Strange = append(r.Strange, Strange{Line: l, From: e.Time})
	case e.Kind == ledger.KindDoor && e.To == "shut":
		for n := range r.Strange {
			if s := &r.Strange[n]; s.Guard && s.What == l.What && !s.Ended {
				s.Ended, s.AtMost = true, e.Time.Sub(s.From)
				r.intervals = append(r.intervals, interval{e.Door, s.From, e.Time, "strange"})
			}
		}
	case e.Kind == ledger.KindAlarm:
		r.Alarms = append(r.Alarms, l)
	}
}

// Opened are the windows in which a door was really opened.
func (r *Report) Opened() []Window {
	return slices.DeleteFunc(slices.Clone(r.Windows), func(w Window) bool { return w.OpenedAt.IsZero() })
}

// Exposure is the time for which doors stood open in windows, and the longest of them.
func (r *Report) Exposure() (sum, longest time.Duration) {
	for _, w := range r.Windows {
		d := seconds(w.Exposure)
		sum, longest = sum+d, max(longest, d)
	}
	return sum, longest
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
