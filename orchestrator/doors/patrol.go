package doors

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"airlock/ledger"
	"airlock/notice"
	"airlock/orchestrator/doors/patrol"
	"airlock/orchestrator/doors/window"
	"airlock/pause"
	"airlock/policies"
	"airlock/switchctl"
)

// Until what a door tells is surely not of the time before its shutting, which an agent may
// serve from its cache, it is looked at more often.
const settleEvery = 10 * time.Second

// The times between two looks that traps ask for: of a trap about the door's port, or
// about the whole switch, and of one about another port.
const (
	trapApart      = time.Second
	otherTrapApart = 10 * time.Second
)

// After a trap about the door's port it is looked at often for a while: what the agent
// tells may be as old as its cache.
const (
	trapEvery = 2 * time.Second
	trapFor   = 12 * time.Second
)

// patrolActor is of all entries of patrol.
const patrolActor = "patrol"

// watch is what patrol knows of one door. The goroutine of the controller writes it, with the
// controller's lock; that reads it without, and others read it with the lock.
type watch struct {
	patrol.Watch
	waiting *sighted      // the first sighting, until what the ledger knows is known; of the controller's goroutine alone
	looked  time.Time     // when patrol last tried
	told    time.Time     // when a trap about the door's port came last
	wake    chan struct{} // has room for one: look now
}

// patrolDetail is the evidence in an entry of patrol.
type patrolDetail struct {
	Differs    []string       `json:"differs,omitempty"` // what is evidence
	Before     *readingDetail `json:"before,omitempty"`
	Early      bool           `json:"before_is_early,omitempty"` // counters that a switch serves late may have moved in the window before
	Now        *readingDetail `json:"now,omitempty"`
	By         string         `json:"by,omitempty"`
	Probe      string         `json:"probe,omitempty"`
	Trap       *trapDetail    `json:"trap,omitempty"`
	ShutSeen   time.Time      `json:"shut_seen,omitzero"` // the last look that saw it shut
	Changed    time.Time      `json:"changed,omitzero"`   // ifLastChange, by this machine's clock
	OpenAtMost float64        `json:"open_at_most_seconds,omitempty"`
	Error      string         `json:"error,omitempty"`
}

type trapDetail struct {
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"`
	Index     int       `json:"index,omitempty"`
	From      string    `json:"from"`
	Authentic bool      `json:"authentic"` // false: anybody may have sent it
}

// patrolled is a sighting that patrol had, and how many failures it bears.
type patrolled struct {
	sighted
	limit int
}

// recalled is what the ledger knows of a door.
type recalled struct {
	side     window.Side
	base     patrol.Observation
	index    int
	unproven bool // it was not shut when the ledger knew of it last, so what is found is of that
}

// trapped is a trap of the switch on which a door lies.
type trapped struct {
	side window.Side
	switchctl.Trap
}

// patrol looks at a door that must be shut, for as long as ctx lives: regularly, and when
// its switch tells something.
func (ctl *controller) patrol(ctx context.Context, side window.Side, p policies.Patrol) {
	d, w := ctl.doors[side], &ctl.watches[side]
	for last := time.Now(); ctx.Err() == nil; {
		next := time.NewTimer(time.Until(last.Add(ctl.apart(side, p))))
		select {
		case <-w.wake:
		case <-next.C:
		case <-ctx.Done():
		}
		next.Stop()
		last = time.Now()
		if ctx.Err() != nil || !ctl.rests(side) {
			continue
		}
		seen, err := d.examine(ctx)
		if err != nil && ctx.Err() != nil {
			return
		}
		ctl.post(patrolled{sighted{side, seen}, p.Misses})
		pause.For(ctx, trapApart)
	}
}

// apart is the time between two regular looks.
func (ctl *controller) apart(side window.Side, p policies.Patrol) time.Duration {
	ctl.mu.Lock()
	defer ctl.mu.Unlock()
	every := time.Duration(p.Every)
	if time.Since(ctl.since[side]) < 2*patrol.CacheLag {
		every = min(every, settleEvery)
	}
	if time.Since(ctl.watches[side].told) < trapFor {
		every = min(every, trapEvery)
	}
	return every
}

// rests reports whether a door is where it belongs and nothing is done with it, so that
// only patrol looks at it.
func (ctl *controller) rests(side window.Side) bool {
	ctl.mu.Lock()
	defer ctl.mu.Unlock()
	phase := ctl.state.Doors[side].Phase
	return ctl.state.Window == "" && (phase == window.Shut || side == window.Inner && phase == window.Open)
}

// mustBeShut reports whether the door has to be shut while nothing is done with it.
func (ctl *controller) mustBeShut(side window.Side) bool {
	return side == window.Vault || ctl.state.Locked
}

// patrolled takes what patrol saw. An inner door that rests open is only kept true.
func (ctl *controller) patrolled(m patrolled) {
	w := &ctl.watches[m.side]
	ctl.mu.Lock()
	w.looked = time.Now()
	ctl.mu.Unlock()
	switch {
	case m.err != nil:
		ctl.missed(m)
	case !ctl.mustBeShut(m.side):
		ctl.learn(m.sighting)
	case m.undecided():
		ctl.doubted(m)
	default:
		ctl.see(m.sighted, true)
	}
}

// missed counts a look that failed, and gives the door up for lost when it is one too
// many: what nobody can read counts as open (S3).
func (ctl *controller) missed(m patrolled) {
	if !ctl.mustBeShut(m.side) || ctl.state.Window != "" || ctl.state.Doors[m.side].Phase != window.Shut {
		return
	}
	next, lost, found := ctl.watches[m.side].Missed(m.at, m.limit)
	ctl.know(m.side, next)
	ctl.follow(m.sighted)
	if lost {
		ctl.report(m.side, found, m.err)
		ctl.step(window.Lost{At: m.at, Side: m.side})
	}
}

// doubted counts a look of a door that reads as shut and whose probe could not be heard.
// That is no evidence against the door, and no proof for it either: nothing changes but
// that no window opens it, and that a person is called when it lasts.
func (ctl *controller) doubted(m patrolled) {
	next := ctl.watches[m.side].Watch
	next.Doubts++
	ctl.know(m.side, next)
	ctl.follow(m.sighted)
	if next.Doubts == m.limit {
		ctl.call(Alarm{At: m.at, Door: ctl.doors[m.side].name, Notice: notice.ProbeProvesNothing.Of(), Why: m.doubt})
	}
}

// see takes a sighting: as evidence, and for the machine. Where patrol finds that the
// door was open meanwhile, it is shut and proven shut anew.
func (ctl *controller) see(m sighted, patrolled bool) {
	told := m.sight
	if m.undecided() {
		if phase := ctl.state.Doors[m.side].Phase; phase == window.Shut || phase == window.Unknown {
			told = window.Sight{} // S15: it changes nothing
		}
	} else if m.err == nil {
		next := ctl.watches[m.side].Watch
		next.Doubts = 0
		ctl.know(m.side, next)
	}
	found := ctl.judge(m)
	ctl.follow(m)
	ctl.step(window.Seen{At: m.at, Side: m.side, Sight: told})
	if found != "" && patrolled {
		ctl.shutAgain(m.side, found)
	}
}

func (ctl *controller) shutAgain(side window.Side, why string) {
	ctl.shutNow(shutOrder{side, patrolActor, why, make(chan struct{})})
}

// judge holds a sighting against what was seen before, and says what shows that somebody
// else opened the door, "" if nothing does. The door may be shut again by now; one that
// is not is the machine's business too, which shuts it.
func (ctl *controller) judge(m sighted) string {
	if m.err != nil {
		return ""
	}
	w, l := &ctl.watches[m.side], ctl.look(m)
	if !w.Recalled {
		if w.waiting == nil {
			w.waiting = &m
		}
		return ""
	}
	ctl.compareIndex(m, w.Moved(l))
	next, found := w.See(l, ctl.mustBeShut(m.side))
	ctl.know(m.side, next)
	return ctl.tell(m.side, found)
}

// look is a sighting for patrol.
func (ctl *controller) look(m sighted) patrol.Look {
	return patrol.Look{
		At: m.at, By: m.by, First: m.by == "" || m.by == ctl.doors[m.side].ways[0].name, Reading: m.reading,
		Probe: m.probe, Open: m.sight.Up || m.sight.Link || m.probe == probeAnswers, Pending: m.probe == probePending,
	}
}

// know keeps what patrol knows of a door from now on.
func (ctl *controller) know(side window.Side, next patrol.Watch) {
	ctl.mu.Lock()
	defer ctl.mu.Unlock()
	ctl.watches[side].Watch = next
}

// tell notes what patrol found, and calls a person where a door that is shut was open; why it
// has to be shut anew then, "" if it has not.
func (ctl *controller) tell(side window.Side, found []patrol.Finding) (why string) {
	for _, f := range found {
		ctl.report(side, f, nil)
		if f.Traces != "" {
			ctl.call(Alarm{At: f.At, Door: ctl.doors[side].name, Notice: notice.OpenedMeanwhile.Of(), Why: f.Traces})
			why = f.Why
		}
	}
	return why
}

// compareIndex notes that the door's port had another ifIndex when it was used last, by
// whichever use (S7); 0 says that it had not.
func (ctl *controller) compareIndex(m sighted, from int) {
	if from == 0 {
		return
	}
	e := ledger.Entry{
		Time: m.at, Kind: ledger.KindPort, Actor: ctl.request.Actor, Reason: "the port's ifIndex is another one than when it was used last", Door: ctl.doors[m.side].name, Vault: ctl.vault,
		From: fmt.Sprintf("index %d", from), To: fmt.Sprintf("index %d", m.reading.Row.Index), Detail: ledger.Detail(sightDetail(m.sighting)),
	}
	ctl.queue.Enqueue(func() { ctl.journal.Note(e) })
}

// watchMove follows a door's way, and says how long one stood open that somebody else
// had opened.
func (ctl *controller) watchMove(a window.Moved, at time.Time) {
	w := ctl.watches[a.Side]
	switch a.To {
	case window.Opening, window.Open:
		ctl.know(a.Side, w.Opens())
	case window.Shut:
		var last *patrol.Observation
		s := ctl.seen[a.Side]
		if s.err == nil && !s.at.IsZero() {
			last = &patrol.Observation{At: s.at, By: s.by, Reading: s.reading}
		}
		next, found := w.Shut(at, last, s.sight.Shut())
		ctl.know(a.Side, next)
		ctl.tell(a.Side, found)
	}
}

// report writes an entry of patrol, without waiting; err is why nothing could be read.
func (ctl *controller) report(side window.Side, f patrol.Finding, err error) {
	e := ledger.Entry{
		Time: f.At, Kind: ledger.KindPatrol, Actor: patrolActor, Reason: f.Why,
		Door: ctl.doors[side].name, Vault: ctl.vault, To: f.What, Detail: ledger.Detail(patrolDetailOf(f.Evidence, err)),
	}
	ctl.queue.Enqueue(func() { ctl.journal.Note(e) })
}

// patrolDetailOf is what the ledger is to hold of evidence.
func patrolDetailOf(e patrol.Evidence, err error) patrolDetail {
	d := patrolDetail{Differs: e.Differs, By: e.By, Probe: e.Probe, ShutSeen: e.ShutSeen, Changed: e.Changed, OpenAtMost: e.OpenAtMost.Seconds()}
	if e.Before != nil {
		d.Before, d.Early = detailOf(e.Before.Reading, e.Before.At), e.Before.WithinCacheLag
	}
	if e.Now != nil {
		d.Now = detailOf(e.Now.Reading, e.Now.At)
	}
	if t := e.Trap; t != nil {
		d.Trap = &trapDetail{At: t.At, Kind: string(t.Kind), Index: t.IfIndex, From: t.From.String(), Authentic: t.Authentic}
	}
	if err != nil {
		d.Error = err.Error()
	}
	return d
}

// recall takes what the ledger knows, and judges by it what was seen until then.
func (ctl *controller) recall(r recalled) {
	w := &ctl.watches[r.side]
	ctl.know(r.side, w.Recall(r.base, r.index, r.unproven, time.Now()))
	first := w.waiting
	w.waiting = nil
	if first == nil {
		return
	}
	if phase := ctl.state.Doors[r.side].Phase; phase == window.Shut {
		defer ctl.watchMove(window.Moved{Side: r.side, To: phase}, ctl.since[r.side])
	}
	if found := ctl.judge(*first); found != "" && ctl.state.Window == "" {
		ctl.shutAgain(r.side, found)
	}
}

// recall reads in the ledger how the door was when airlock saw it last.
func recall(ctx context.Context, past Past, side window.Side, door string) recalled {
	r := recalled{side: side}
	last, ok := past.Last(ctx, ledger.Filter{Kind: ledger.KindDoor, Door: door})
	if !ok {
		return r
	}
	r.unproven = last.To != window.Shut.String()
	var seen doorDetail
	if json.Unmarshal(last.Detail, &seen) == nil && seen.Reading != nil {
		r.index = seen.Reading.Index
		if !r.unproven {
			r.base = patrol.Observation{At: last.Time, By: seen.By, Reading: seen.Reading.reading(), WithinCacheLag: true}
		}
	}
	newer := ledger.Filter{Kind: ledger.KindPatrol, Door: door, To: patrol.AtRest, AfterSeq: last.Seq}
	var rest patrolDetail
	if e, ok := past.Last(ctx, newer); ok && !r.unproven && json.Unmarshal(e.Detail, &rest) == nil && rest.Now != nil {
		r.base, r.index = patrol.Observation{At: e.Time, By: rest.By, Reading: rest.Now.reading()}, rest.Now.Index
	}
	return r
}

// heard takes a trap of the door's switch, and has the door looked at. What is seen then
// counts; the trap itself, where Hear keeps it.
func (ctl *controller) heard(t trapped) {
	w := &ctl.watches[t.side]
	ours := w.Ours(t.Trap)
	if !ours && time.Since(w.looked) < otherTrapApart {
		return
	}
	if ours {
		ctl.mu.Lock()
		w.told = t.At
		ctl.mu.Unlock()
	}
	ctl.know(t.side, w.Hear(t.Trap, ctl.mustBeShut(t.side) && ctl.state.Window == ""))
	select {
	case w.wake <- struct{}{}:
	default: // it is awake already
	}
}
