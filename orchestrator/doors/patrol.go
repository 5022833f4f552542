package doors

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"airlock/ledger"
	"airlock/notice"
	"airlock/orchestrator/doors/window"
	"airlock/policies"
	"airlock/switchctl"
)

// Agents serve what they tell from caches. What a door tells within cacheLag of its own
// shutting may still speak of the window before, so the reading that later ones are
// compared with is taken after that, and until then the door is looked at more often.
const (
	cacheLag    = 30 * time.Second
	settleEvery = 10 * time.Second
)

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

// changeJitter is how much ifLastChange may differ between two readings of one change:
// some agents reckon it anew from another clock each time.
const changeJitter = 2 * time.Second

// What a patrol's entry is about (To).
const (
	atRest      = "at rest"    // the reading that later ones are compared with
	wasOpened   = "opened"     // somebody else opened the door
	shutAgain   = "shut"       // which is proven shut again
	restarted   = "restarted"  // the switch's agent
	unreadable  = "unreadable" // the door was missed too often
	readable    = "readable"   // and is read again
	patrolActor = "patrol"     // of all of these
)

// watch is what patrol knows of one door. Only the controller's goroutine uses it, but for
// what has the controller's lock.
type watch struct {
	recalled bool          // what the ledger knows is known
	waiting  *sighted      // the first sighting, until then
	unproven bool          // opened, by us or seen so, and not since proven shut: nothing is judged
	since    time.Time     // of the shutting, or the finding, before which nothing is evidence
	last     observation   // the newest look that saw it shut
	base     observation   // what later readings are compared with; zero until one can be relied on
	index    int           // ifIndex at the last use by the first way
	opened   time.Time     // since when it may have stood open, from when it was found so until it is proven shut
	lost     time.Time     // when it was last read, while it cannot be
	trap     *trapDetail   // a linkUp that no window of ours accounts for
	trapAt   time.Time     // when that came
	wake     chan struct{} // has room for one: look now

	doubts int       // looks in a row whose probe could not be heard
	misses int       // with the lock: looks in a row that failed
	looked time.Time // with the lock: when patrol last tried
	told   time.Time // with the lock: when a trap about the door's port came last
}

// observation is a reading by which a door was shut.
type observation struct {
	at             time.Time
	by             string // the way
	reading        switchctl.Reading
	withinCacheLag bool // it was taken within cacheLag of the shutting
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
	base     observation
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
		pause(ctx, trapApart)
	}
}

// apart is the time between two regular looks.
func (ctl *controller) apart(side window.Side, p policies.Patrol) time.Duration {
	ctl.mu.Lock()
	defer ctl.mu.Unlock()
	every := time.Duration(p.Every)
	if time.Since(ctl.since[side]) < 2*cacheLag {
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
	w := &ctl.watches[m.side]
	if !ctl.mustBeShut(m.side) || ctl.state.Window != "" || ctl.state.Doors[m.side].Phase != window.Shut {
		return
	}
	ctl.mu.Lock()
	w.misses++
	missed := w.misses
	ctl.mu.Unlock()
	ctl.follow(m.sighted)
	if missed < m.limit {
		return
	}
	w.lost = w.last.at
	ctl.report(m.side, m.at, unreadable, fmt.Sprintf("%d looks in a row failed", missed), patrolDetail{ShutSeen: w.last.at, Error: m.err.Error()})
	ctl.step(window.Lost{At: m.at, Side: m.side})
}

// doubted counts a look of a door that reads as shut and whose probe could not be heard.
// That is no evidence against the door, and no proof for it either: nothing changes but
// that no window opens it, and that a person is called when it lasts.
func (ctl *controller) doubted(m patrolled) {
	w := &ctl.watches[m.side]
	ctl.follow(m.sighted)
	if w.doubts++; w.doubts == m.limit {
		ctl.call(Alarm{At: m.at, Door: ctl.doors[m.side].name, Notice: notice.ProbeProvesNothing.Of(), Why: m.doubt})
	}
}

// see takes a sighting: as evidence, and for the machine. Where patrol finds that the
// door was open meanwhile, it is shut and proven shut anew.
func (ctl *controller) see(m sighted, patrol bool) {
	told := m.sight
	if m.undecided() {
		if phase := ctl.state.Doors[m.side].Phase; phase == window.Shut || phase == window.Unknown {
			told = window.Sight{} // S15: it changes nothing
		}
	} else if m.err == nil {
		ctl.watches[m.side].doubts = 0
	}
	found := ctl.judge(m)
	ctl.follow(m)
	if m.sight.Shut() && m.at.Before(m.mayStillOpenSince.Add(ctl.state.Rules.Lag)) {
		return // S3: it proves nothing yet, for a command to open may still be carried out
	}
	ctl.step(window.Seen{At: m.at, Side: m.side, Sight: told})
	if found != "" && patrol {
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
	w := &ctl.watches[m.side]
	if m.err != nil {
		return ""
	}
	if !w.recalled {
		if w.waiting == nil {
			w.waiting = &m
		}
		return ""
	}
	ctl.compareIndex(m)
	if w.unproven || !ctl.mustBeShut(m.side) || !m.at.After(w.since) {
		return ""
	}
	ctl.readAgain(m)
	if m.sight.Up || m.sight.Link || m.probe == probeAnswers {
		ctl.foundOpen(m)
		return ""
	}
	if m.probe == probePending {
		return ""
	}
	return ctl.foundShut(m)
}

// readAgain ends what misses began.
func (ctl *controller) readAgain(m sighted) {
	w := &ctl.watches[m.side]
	ctl.mu.Lock()
	w.misses = 0
	ctl.mu.Unlock()
	if !w.lost.IsZero() {
		ctl.report(m.side, m.at, readable, fmt.Sprintf("it could not be read for %s", m.at.Sub(w.lost).Round(time.Second)), patrolDetail{
			ShutSeen: w.lost, Now: sightDetail(m.sighting).Reading, By: m.by,
		})
		w.lost = time.Time{}
	}
}

// foundOpen notes a door that somebody else opened and that is open still. The alarm, and
// the shutting, are the machine's.
func (ctl *controller) foundOpen(m sighted) {
	w := &ctl.watches[m.side]
	d := ctl.compared(m)
	from := w.last.at
	if moved := changedAt(m.reading); w.last.by == m.by && m.reading.Row.Oper == switchctl.OperUp && changed(w.last.reading, m.reading) {
		d.Differs, d.Changed = append(d.Differs, "ifLastChange"), moved
		if moved = moved.Add(-cacheLag); moved.After(from) && moved.Before(m.at) { // it may have been noticed late
			from = moved
		}
	}
	d.Differs = append([]string{"ifAdminStatus and ifOperStatus: found open"}, d.Differs...)
	w.unproven, w.base, w.trap, w.opened = true, observation{}, nil, from
	if !from.IsZero() {
		d.OpenAtMost = m.at.Sub(from).Seconds()
	}
	ctl.report(m.side, m.at, wasOpened, "found open, by no window of ours", d)
}

// foundShut judges a door that is shut.
func (ctl *controller) foundShut(m sighted) string {
	w := &ctl.watches[m.side]
	now := observation{at: m.at, by: m.by, reading: m.reading}
	d := ctl.compared(m)
	again := w.last.by == m.by && hasRestarted(w.last, now)
	if w.last.by == m.by {
		d.Differs = w.differs(now, again)
	}
	if again {
		ctl.report(m.side, m.at, restarted, "the switch's agent restarted; its counters and ifLastChange may have begun anew", d)
	}
	if w.trap != nil && !m.at.Before(w.trapAt) {
		d.Differs, w.trap = append(d.Differs, "a linkUp trap"), nil
	}
	if len(d.Differs) == 0 {
		w.last = now
		if wanted := w.base.at.IsZero() || w.base.withinCacheLag || again; wanted && !m.at.Before(w.since.Add(cacheLag)) {
			w.base = now
			ctl.report(m.side, m.at, atRest, "what later readings are compared with", patrolDetail{Now: d.Now, By: m.by})
		}
		return ""
	}
	return ctl.foundTraces(m, d)
}

// foundTraces answers what shows that a door that is shut was open.
func (ctl *controller) foundTraces(m sighted, d patrolDetail) string {
	w, traces := &ctl.watches[m.side], strings.Join(d.Differs, ", ")
	until, longest := m.at, ""
	if moved := changedAt(m.reading); w.last.by == m.by && changed(w.last.reading, m.reading) && moved.After(w.last.at) && moved.Before(until) {
		d.Changed, until = moved, moved
	}
	if !w.last.at.IsZero() {
		open := until.Sub(w.last.at)
		d.OpenAtMost, longest = open.Seconds(), fmt.Sprintf("; open for %s at most", open.Round(time.Second))
	}
	why := "was open meanwhile, by no window of ours: " + traces
	ctl.report(m.side, m.at, wasOpened, why, d)
	ctl.call(Alarm{At: m.at, Door: ctl.doors[m.side].name, Notice: notice.OpenedMeanwhile.Of(), Why: traces + longest})
	w.since, w.base = m.at, observation{}
	w.last = observation{at: m.at, by: m.by, reading: m.reading}
	return why
}

// compared is what every entry about a sighting holds.
func (ctl *controller) compared(m sighted) patrolDetail {
	w, seen := &ctl.watches[m.side], sightDetail(m.sighting)
	d := patrolDetail{Now: seen.Reading, By: m.by, Probe: m.probe, ShutSeen: w.last.at, Trap: w.trap}
	before := w.base
	if before.at.IsZero() {
		before = w.last
	}
	if !before.at.IsZero() {
		d.Before, d.Early = sightDetail(sighting{at: before.at, reading: before.reading}).Reading, before.withinCacheLag
	}
	return d
}

// differs says what of a reading shows that the port was up since the base was read. Of
// an agent that restarted, ifLastChange is no evidence; its counters are, unless they are
// as they were or stand at zero.
func (w *watch) differs(now observation, again bool) []string {
	// Without a reading that was surely not told late, what is told now may speak of our own
	// window, but for a change that came later.
	if w.base.at.IsZero() || w.base.withinCacheLag {
		if w.last.reading.Uptime > 0 && changed(w.last.reading, now.reading) && changedAt(now.reading).After(w.since.Add(cacheLag)) {
			return []string{"ifLastChange"}
		}
		return nil
	}
	if w.base.by != now.by {
		return nil
	}
	var differs []string
	if !again && changed(w.base.reading, now.reading) {
		differs = append(differs, "ifLastChange")
	}
	was, is := w.base.reading, now.reading
	for _, c := range []struct {
		name    string
		was, is uint64
	}{{"ifInOctets", was.InOctets, is.InOctets}, {"ifOutOctets", was.OutOctets, is.OutOctets}} {
		if !was.WideOctets || !is.WideOctets { // as many bits as both have
			c.was, c.is = uint64(uint32(c.was)), uint64(uint32(c.is))
		}
		if c.was != c.is && !(again && c.is == 0) {
			differs = append(differs, fmt.Sprintf("%s %d, was %d", c.name, c.is, c.was))
		}
	}
	return differs
}

// changed reports whether ifLastChange tells of another change. Agents that do not know
// leave it, and their uptime, at zero.
func changed(was, is switchctl.Reading) bool {
	return was.Uptime > 0 && is.Uptime > 0 && (is.Row.LastChange-was.Row.LastChange).Abs() > changeJitter
}

// changedAt is ifLastChange by this machine's clock.
func changedAt(r switchctl.Reading) time.Time { return r.At.Add(r.Row.LastChange - r.Uptime) }

// hasRestarted reports whether the agent's clock began anew between two readings. Its
// 32 bits of hundredths end after 497 days, which is no restart.
func hasRestarted(was, is observation) bool {
	const turns = time.Duration(1<<32) * 10 * time.Millisecond
	if was.reading.Uptime == 0 || is.reading.Uptime == 0 {
		return false
	}
	elapsed := is.reading.At.Sub(was.reading.At)
	behind := (was.reading.Uptime + elapsed - is.reading.Uptime) % turns
	if behind > turns/2 {
		behind -= turns
	}
	return behind > 5*time.Second+elapsed/1000 // clocks are not all alike
}

// compareIndex notes that the door's port has another ifIndex than when it was used
// last, by whichever use (S7).
func (ctl *controller) compareIndex(m sighted) {
	w, d, is := &ctl.watches[m.side], ctl.doors[m.side], m.reading.Row.Index
	if is == 0 || m.by != "" && m.by != d.ways[0].name {
		return
	}
	if w.index != 0 && w.index != is {
		e := ledger.Entry{
			Time: m.at, Kind: ledger.KindPort, Actor: ctl.request.Actor, Reason: "the port's ifIndex is another one than when it was used last", Door: d.name, Vault: ctl.vault,
			From: fmt.Sprintf("index %d", w.index), To: fmt.Sprintf("index %d", is), Detail: ledger.Detail(sightDetail(m.sighting)),
		}
		ctl.queue.Enqueue(func() { ctl.journal.Note(e) })
	}
	w.index = is
}

// watchMove follows a door's way, and says how long one stood open that somebody else
// had opened.
func (ctl *controller) watchMove(a window.Moved, at time.Time) {
	w := &ctl.watches[a.Side]
	switch a.To {
	case window.Opening, window.Open:
		w.unproven, w.base = true, observation{}
	case window.Shut:
		if s := ctl.seen[a.Side]; s.err == nil && s.sight.Shut() {
			w.last = observation{at: s.at, by: s.by, reading: s.reading}
		}
		if !w.unproven {
			return
		}
		w.unproven, w.since, w.base, w.trap = false, at, observation{}, nil
		if !w.opened.IsZero() {
			open := at.Sub(w.opened)
			ctl.report(a.Side, at, shutAgain, fmt.Sprintf("it stood open for %s at most", open.Round(time.Second)),
				patrolDetail{ShutSeen: w.opened, OpenAtMost: open.Seconds(), Now: sightDetail(ctl.seen[a.Side]).Reading})
			w.opened = time.Time{}
		}
	}
}

// report writes an entry of patrol, without waiting.
func (ctl *controller) report(side window.Side, at time.Time, to, reason string, d patrolDetail) {
	e := ledger.Entry{
		Time: at, Kind: ledger.KindPatrol, Actor: patrolActor, Reason: reason,
		Door: ctl.doors[side].name, Vault: ctl.vault, To: to, Detail: ledger.Detail(d),
	}
	ctl.queue.Enqueue(func() { ctl.journal.Note(e) })
}

// recall takes what the ledger knows, and judges by it what was seen until then.
func (ctl *controller) recall(r recalled) {
	w := &ctl.watches[r.side]
	w.recalled, w.base, w.last, w.index = true, r.base, r.base, r.index
	w.unproven, w.since = r.unproven, r.base.at
	first := w.waiting
	w.waiting = nil
	if w.since.IsZero() {
		w.since = time.Now() // nobody knows what came before
	}
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
			r.base = observation{last.Time, seen.By, seen.Reading.reading(), true}
		}
	}
	newer := ledger.Filter{Kind: ledger.KindPatrol, Door: door, To: atRest, AfterSeq: last.Seq}
	var rest patrolDetail
	if e, ok := past.Last(ctx, newer); ok && !r.unproven && json.Unmarshal(e.Detail, &rest) == nil && rest.Now != nil {
		r.base, r.index = observation{e.Time, rest.By, rest.Now.reading(), false}, rest.Now.Index
	}
	return r
}

// heard takes a trap of the door's switch, and has the door looked at. What is seen then
// counts. Only an authentic linkUp of the door's own port that no window of ours accounts
// for is kept as evidence beside that, for the port may be down again before anybody looks;
// any other trap may be anybody's, and accuses nobody.
func (ctl *controller) heard(t trapped) {
	w := &ctl.watches[t.side]
	ours := t.IfIndex == 0 || w.index == 0 || t.IfIndex == w.index
	if !ours && time.Since(w.looked) < otherTrapApart {
		return
	}
	if ours {
		ctl.mu.Lock()
		w.told = t.At
		ctl.mu.Unlock()
	}
	made := t.At
	if last := w.last.reading; t.Uptime > 0 && last.Uptime > 0 { // the switch's own clock tells when it was sent
		if at := last.At.Add(t.Uptime - last.Uptime); at.Before(t.At) {
			made = at
		}
	}
	if t.Authentic && t.Kind == switchctl.LinkUp && t.IfIndex != 0 && t.IfIndex == w.index && w.trap == nil && !w.unproven && ctl.mustBeShut(t.side) &&
		ctl.state.Window == "" && made.After(w.since.Add(cacheLag)) {
		w.trap = &trapDetail{At: t.At, Kind: string(t.Kind), Index: t.IfIndex, From: t.From.String(), Authentic: t.Authentic}
		w.trapAt = t.At
	}
	select {
	case w.wake <- struct{}{}:
	default: // it is awake already
	}
}
