package doors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"airlock/ledger"
	"airlock/notice"
	"airlock/orchestrator/doors/window"
	"airlock/pause"
	"airlock/state"
)

// ErrNotShut: a door is not proven shut.
var ErrNotShut = errors.New("a door is not proven shut")

// ErrRefused: the window was not held at all.
var ErrRefused = errors.New("the window is refused")

// intentWithin bounds how long an opening waits for the ledger.
const intentWithin = 10 * time.Second

// Opening is a window that shall be held.
type Opening struct {
	Window  string // its name
	Actor   string
	Reason  string
	MaxOpen time.Duration
	Work    func(context.Context) error // what the door is opened for; it gets the time of the window
}

// controller executes the state machine of one vault's doors. Its goroutine is the only
// one that steps the machine. It waits for nothing but its inbox and the clock.
type controller struct {
	// These are set before anything runs, and do not change.

	vault  string       // whose doors these are; "" for a door that no vault names
	doors  [2]*door     // by window.Side; each has a goroutine of its own; nil without an inner door
	shared *innerDoor   // the claim beside those who share the inner door; nil without one
	lease  *leaseHolder // nil for a door that no vault names, which nobody opens
	alarm  func(Alarm)  // calls a person; only the queue calls it, since it may wait
	broke  Broke        // told of a panic; nil: a panic ends the process
	queue  *TaskQueue   // does what the controller may not wait for
	life   context.Context
	inbox  chan message // taken by the goroutine of run alone; anybody may post

	// The queue's tasks alone use these, which are set before it runs: see Doors.Log.

	journal Journal
	folder  state.Folder // the state folder; "" keeps nothing there

	// Only the goroutine of run writes what follows, with mu held; it reads that without, and
	// others read it with mu. mu is never held while anything is waited for (S2).

	mu      sync.Mutex
	changed chan struct{} // closed and made again at every step: whoever waits for a state looks again
	state   window.State  // of the machine, as of the last step
	since   [2]time.Time  // when each door came to be what it is now
	seen    [2]sighting   // the last look at each door: evidence for entries, alarms and the status
	request Opening       // on whose behalf doors move: the window in progress, or the last order
	begun   time.Time     // of that window: what was sent before is none of its opening
	times   Times         // of the vault's door in that window
	timer   timerState    // of the switch that has the vault's door

	// With mu, for run puts in and whoever had the window held takes out.

	ended map[string]error // windows that were refused or are over, and why, by their names

	// Only the goroutine of run uses what follows, but for what watch says of the lock.

	watches [2]watch                // what patrol knows of the doors
	intents [2]*intent              // openings on their way to the ledger (S1) or to a lease (S4): nothing is sent for them yet
	stop    context.CancelCauseFunc // ends the work of the window in progress
	ending  bool                    // the executor is ending: no window is begun any more
	cut     *cut                    // a window of an earlier executor's that has no end yet
}

// sighted is a sighting on its way to the machine.
type sighted struct {
	side window.Side
	sighting
}

// shown is a sighting of a shared inner door that another controller had.
type shown struct{ sighting }

// failed is a command to open that was refused, or never left.
type failed struct {
	side window.Side
	err  error
	sent bool // it, or one before it, may yet be carried out
}

// intent is an opening on its way to the ledger, and back.
type intent struct {
	side    window.Side
	entry   ledger.Entry
	asked   bool // the queue has it
	told    bool // a person was called for it
	refused bool // the ledger has it, and it is to be asked for its lease again
}

// answered is what the ledger said to an intent.
type answered struct {
	*intent
	err error
}

// ending ends the window in course; no other is begun.
type ending struct{ why string }

// reached is closed when everything posted before it was taken.
type reached chan struct{}

// shutOrder has one door shut.
type shutOrder struct {
	side          window.Side
	actor, reason string
	taken         chan<- struct{} // closed once the door is on its way
}

func newController(life context.Context, vault string, rules window.Rules, doors [2]*door, alarm func(Alarm)) *controller {
	ctl := &controller{
		vault: vault, doors: doors, alarm: alarm, queue: NewTaskQueue(), life: life,
		inbox: make(chan message, 64), changed: make(chan struct{}),
		state:   window.State{Rules: rules},
		request: Opening{Actor: "start-up", Reason: "doors are read back before anything else runs"},
		ended:   map[string]error{},
	}
	for side, d := range doors {
		ctl.watches[side].wake = make(chan struct{}, 1)
		if d != nil {
			d.report = func(s sighting) { ctl.post(sighted{window.Side(side), s}) }
			d.failed = func(err error, sent bool) { ctl.post(failed{window.Side(side), err, sent}) }
			d.detoured = func(to string, why error) {
				ctl.call(Alarm{At: time.Now(), Door: d.name, Notice: notice.ByAnotherWay.Of(to), Why: why.Error()})
			}
			d.timed = func(t timing) { ctl.post(t) }
			ctl.listens(window.Side(side), d)
			ctl.claims(d)
		}
	}
	return ctl
}

func (ctl *controller) post(m message) {
	select {
	case ctl.inbox <- m:
	case <-ctl.life.Done():
	}
}

// run steps the machine until its life ends. The doors are shut by this goroutine. Its
// queue has a goroutine of its own, which may start later: when there is a ledger.
func (ctl *controller) run() {
	renewals, stop := ctl.lease.start(ctl.life)
	defer stop()
	ctl.step(window.Tick{At: time.Now()})
	due := time.NewTimer(0)
	turn := func() error {
		due.Stop()
		if next := ctl.state.Next(); !next.IsZero() {
			due.Reset(time.Until(next))
		}
		select {
		case <-ctl.life.Done():
		case m := <-ctl.inbox:
			m.deliver(ctl)
		case <-due.C:
			ctl.step(window.Tick{At: time.Now()})
		case <-renewals:
			ctl.renewLease()
		}
		return nil
	}
	for ctl.life.Err() == nil {
		if err := ctl.broke.Contain("the keeper of "+ctl.doors[window.Vault].name, turn); err != nil {
			ctl.fall(err)
		}
	}
}

// fall shuts what a controller that broke may have left open, without asking the machine, and
// has the window end.
func (ctl *controller) fall(why error) {
	if phase := ctl.state.Doors[window.Vault].Phase; phase != window.Shut {
		ctl.doors[window.Vault].instruct(command{})
	}
	_ = ctl.broke.Contain("the end of a window", func() error { // told of like the first
		stepped{window.Cancel{At: time.Now(), Why: why.Error()}}.deliver(ctl)
		return nil
	})
	pause.For(ctl.life, brokeAgain)
}

func (ctl *controller) shutNow(o shutOrder) {
	ctl.mu.Lock()
	if ctl.state.Window == "" {
		ctl.request = Opening{Actor: o.actor, Reason: o.reason}
	}
	ctl.mu.Unlock()
	ctl.withdraw(o.reason)
	ctl.step(window.ShutNow{At: time.Now(), Side: o.side, Why: o.reason})
	close(o.taken)
}

func (ctl *controller) begin(r Opening) {
	var why string
	switch {
	case ctl.ending:
		why = "the executor is ending"
	case !ctl.shared.take(ctl):
		why = "another vault's window has the inner door"
	}
	if why != "" {
		ctl.end(r.Window, fmt.Errorf("%w: %s", ErrRefused, why))
		ctl.broadcast()
		return
	}
	now := time.Now()
	if ctl.state.Window == "" {
		ctl.mu.Lock()
		ctl.request, ctl.begun, ctl.times = r, now, Times{}
		ctl.mu.Unlock()
	}
	ctl.step(window.Begin{At: now, Window: r.Window, MaxOpen: r.MaxOpen})
}

// learn takes what another controller saw of the inner door; on its way through a window, a
// controller believes its own eyes alone.
func (ctl *controller) learn(s sighting) {
	inner := ctl.state.Doors[window.Inner].Phase
	resting := ctl.state.Window == "" && ctl.state.Doors[window.Vault].Phase == window.Shut && (inner == window.Open || inner == window.Shut)
	if resting && !ctl.state.Held && s.at.After(ctl.seen[window.Inner].at) {
		ctl.follow(sighted{window.Inner, s})
		sight := s.sight
		sight.MayStillOpenSince = time.Time{} // whoever shows it has judged that, or no command is under way
		ctl.step(window.Seen{At: s.at, Side: window.Inner, Sight: sight})
	}
}

// follow keeps what was seen as evidence, and times what becomes of the vault's door.
func (ctl *controller) follow(m sighted) {
	ctl.mu.Lock()
	defer ctl.mu.Unlock()
	ctl.seen[m.side] = m.sighting
	if m.side != window.Vault || !m.sight.Read || ctl.begun.IsZero() || m.sent.Before(ctl.begun) {
		return
	}
	p := &ctl.times
	p.OpenedAt = m.sent
	switch phase := ctl.state.Doors[window.Vault].Phase; {
	case phase == window.Opening && m.sight.Up:
		p.SeenOpen, p.before = m.at, m.reading
	case m.sight.Up, phase == window.Stuck:
		p.DownAt = time.Time{} // it goes on counting
	case phase == window.Shutting && p.DownAt.IsZero():
		p.DownAt = m.at
	}
	p.after = m.reading
}

func (ctl *controller) step(e window.Event) {
	state, actions := ctl.advance(e)
	ctl.shared.tell(ctl, state.Doors[window.Vault].Phase == window.Shut)
	for _, a := range actions { // S2: what shuts a door goes first
		if c, ok := a.(window.Command); ok && !c.Open {
			ctl.doors[c.Side].instruct(command{})
		}
	}
	for _, a := range actions {
		if c, ok := a.(window.Command); !ok {
			ctl.act(a, when(e))
		} else if c.Open {
			ctl.open(c.Side)
		}
	}
	for side, d := range ctl.doors {
		if d != nil {
			d.pace(pace(ctl.state, window.Side(side)))
		}
	}
	// A command to open it that was not confirmed may still come: until the door is proven
	// shut, no other controller may believe what it reads.
	if inner := state.Doors[window.Inner].Phase; state.Window == "" && inner != window.Opening && inner != window.Shutting {
		ctl.shared.release(ctl)
	}
	ctl.broadcast()
}

func (ctl *controller) advance(e window.Event) (window.State, []window.Action) {
	ctl.mu.Lock()
	defer ctl.mu.Unlock()
	state, actions := ctl.state.Step(e)
	ctl.state = state
	return state, actions
}

func (ctl *controller) broadcast() {
	ctl.mu.Lock()
	defer ctl.mu.Unlock()
	close(ctl.changed)
	ctl.changed = make(chan struct{})
}

// when is the time at which an event happened: of a sighting, when the switch
// answered.
func when(e window.Event) time.Time {
	if seen, ok := e.(window.Seen); ok {
		return seen.At
	}
	return time.Now()
}

func (ctl *controller) act(a window.Action, at time.Time) {
	switch a := a.(type) {
	case window.Moved:
		ctl.moved(a, at)
	case window.Work:
		ctl.start(a.Window)
	case window.StopWork:
		ctl.stop(errors.New(a.Why))
	case window.Raise:
		ctl.call(Alarm{At: at, Door: ctl.doors[a.Side].name, Notice: a.Notice, Why: ctl.why(a.Side)})
	case window.Refuse:
		ctl.end(a.Window, fmt.Errorf("%w: %s", ErrRefused, a.Why))
	case window.Finish:
		ctl.finish(a)
	}
}

// call calls a person, without waiting until that is done.
func (ctl *controller) call(a Alarm) { ctl.queue.Enqueue(func() { ctl.alarm(a) }) }

// moved notes a change of state without waiting (S2). An opening's entry is kept
// until the command asks for it, for it has to be durable before (S1).
func (ctl *controller) moved(a window.Moved, at time.Time) {
	e := ctl.entry(a, at)
	defer ctl.watchMove(a, at) // its entries come after this one
	if a.Side == window.Vault && a.To == window.Shut {
		ctl.withdrawLease()
		ctl.disarm()
	}
	ctl.intents[a.Side] = nil
	if a.To == window.Opening {
		ctl.intents[a.Side] = &intent{side: a.Side, entry: e}
		return
	}
	ctl.queue.Enqueue(func() { ctl.journal.Note(e) })
	if a.Side == window.Vault {
		ctl.endCut()
	}
	if a.Side == window.Inner && (a.To == window.Open || a.To == window.Shut) {
		ctl.shared.show(ctl, ctl.seen[window.Inner])
	}
}

// entry times a change of state, and says it for the ledger.
func (ctl *controller) entry(a window.Moved, at time.Time) ledger.Entry {
	ctl.mu.Lock()
	defer ctl.mu.Unlock()
	ctl.since[a.Side] = at
	again := !ctl.times.ProvenAt.IsZero()
	if a.Side == window.Vault && a.To == window.Shut {
		ctl.times.ProvenAt = at
		if ctl.times.DownAt.IsZero() {
			ctl.times.DownAt = at
		}
	}
	if a.Side == window.Vault && a.To == window.Stuck {
		ctl.times.DownAt = time.Time{} // the exposure goes on counting
	}
	return ledger.Entry{
		Time: at, Kind: ledger.KindDoor, Actor: ctl.request.Actor, Reason: ctl.request.Reason,
		Door: ctl.doors[a.Side].name, Vault: ctl.vault, Window: ctl.state.Window,
		From: a.From.String(), To: a.To.String(), Detail: ctl.evidence(a, again),
	}
}

// open opens a door once the ledger has taken the intent (S1). A command that is
// repeated needs no second one.
func (ctl *controller) open(side window.Side) {
	i := ctl.intents[side]
	switch {
	case side == window.Inner && !ctl.shared.takeToOpen(ctl):
		// Another controller has it, or a door that is not proven shut (S6): the machine
		// will ask again.
	case i == nil:
		ctl.doors[side].instruct(command{open: true, longest: ctl.longest(side)})
	case i.refused:
		i.refused = false
		ctl.requestLease(i)
	case !i.asked:
		i.asked = true
		i.entry.Time = time.Now()
		e := i.entry
		ctl.queue.Enqueue(func() {
			ctx, cancel := context.WithTimeout(ctl.life, intentWithin)
			defer cancel()
			_, err := ctl.journal.Append(ctx, e)
			ctl.post(answered{i, err})
		})
	}
}

// longest is for how long the door may stand open from now on; 0 for one that rests open.
func (ctl *controller) longest(side window.Side) time.Duration {
	if side == window.Inner {
		return 0
	}
	return time.Until(ctl.state.Hard)
}

// withdraw takes back what still waits for the ledger: no command was sent, so none has
// to be reckoned with.
func (ctl *controller) withdraw(why string) {
	for side, i := range ctl.intents {
		if i != nil {
			ctl.step(window.Unsent{At: time.Now(), Side: window.Side(side), Why: why})
		}
	}
}

// intended gets the lease of a door whose intent is durable, unless it was told to shut
// since.
func (ctl *controller) intended(a answered) {
	if ctl.intents[a.side] != a.intent {
		return
	}
	if a.err == nil {
		ctl.requestLease(a.intent)
		return
	}
	a.asked = false
	now := time.Now()
	ctl.call(Alarm{At: now, Door: a.entry.Door, Notice: notice.NoIntent.Of(), Why: a.err.Error()})
	ctl.step(window.Unlogged{At: now, Side: a.side})
}

// evidence is what the entry of a change of state holds: what was read, or why
// nothing could be. An opening that ended before has told its exposure then.
func (ctl *controller) evidence(a window.Moved, again bool) json.RawMessage {
	d := sightDetail(ctl.seen[a.Side])
	if a.Side == window.Inner {
		d.Side = a.Side.String()
	}
	if a.Side == window.Vault && a.To == window.Shut && !again {
		d.Exposure = ctl.times.Exposure().Seconds()
	}
	return ledger.Detail(d)
}

// why explains an alarm by the last thing that was seen of the door.
func (ctl *controller) why(side window.Side) string {
	ctl.mu.Lock()
	defer ctl.mu.Unlock()
	return ctl.seen[side].String()
}

// start begins what the window is for. It gets no more time than the window has.
func (ctl *controller) start(id string) {
	ctx, stop := context.WithCancelCause(ctl.life)
	ctl.stop = stop
	ctl.mu.Lock()
	work, hard := ctl.request.Work, ctl.state.Hard
	ctl.mu.Unlock()
	go func() {
		defer stop(nil)
		ctx, cancel := context.WithDeadline(ctx, hard)
		defer cancel()
		e := window.Worked{Window: id}
		if err := ctl.broke.Contain("window "+id, func() error { return work(ctx) }); err != nil {
			e.Failed = err.Error()
		}
		e.At = time.Now()
		ctl.post(stepped{e})
	}()
}

func (ctl *controller) finish(a window.Finish) {
	var err error
	if a.Cause != "" {
		err = errors.New(a.Cause)
	}
	if ctl.state.Doors[window.Vault].Phase == window.Stuck || ctl.state.Doors[window.Inner].Phase == window.Stuck {
		err = errors.Join(ErrNotShut, err)
	}
	ctl.end(a.Window, err)
}

func (ctl *controller) end(id string, err error) {
	ctl.mu.Lock()
	defer ctl.mu.Unlock()
	ctl.ended[id] = err
	if ctl.state.Window == "" {
		ctl.request = Opening{Actor: "patrol", Reason: "after window " + id}
	}
}

// pace is how often a door is looked at, by what is waited for.
func pace(s window.State, side window.Side) time.Duration {
	if !s.Watch(side) {
		return 0
	}
	switch s.Doors[side].Phase {
	case window.Opening, window.Shutting:
		return 25 * time.Millisecond
	case window.Unknown:
		return 500 * time.Millisecond
	}
	return 2 * time.Second
}

// hold has one window held, and returns once it is over: every door where it belongs,
// or stuck, which is ErrNotShut. ErrRefused: nothing was opened. When ctx ends, the
// window is ended and the doors are shut before hold returns.
func (ctl *controller) hold(ctx context.Context, r Opening) (Times, error) {
	for side, d := range ctl.doors {
		if d == nil {
			continue
		}
		s, err := d.examine(ctx)
		if err == nil {
			err = s.undecidable()
		}
		if err != nil {
			return Times{}, fmt.Errorf("%w: door %s: %w", ErrRefused, d.name, err)
		}
		if side == int(window.Inner) && s.sight.Up {
			d.probe.listenNow(ctx)
		}
		ctl.post(sighted{window.Side(side), s})
	}
	for _, d := range ctl.doors { // once both were resolved
		if d != nil && d.objection() != "" {
			return Times{}, fmt.Errorf("%w: door %s: %s", ErrRefused, d.name, d.objection())
		}
	}
	ctl.post(r)
	done := ctx.Done()
	for {
		ctl.mu.Lock()
		changed := ctl.changed
		err, over := ctl.ended[r.Window]
		times := ctl.times
		delete(ctl.ended, r.Window)
		ctl.mu.Unlock()
		if over {
			return times, err
		}
		select {
		case <-changed:
		case <-done:
			done = nil
			ctl.post(stepped{window.Cancel{At: time.Now(), Why: "interrupted: " + context.Cause(ctx).Error()}})
		case <-ctl.life.Done():
			return times, context.Cause(ctl.life)
		}
	}
}

// shut shuts one door and returns once it is proven shut, or stuck (ErrNotShut).
func (ctl *controller) shut(ctx context.Context, side window.Side, actor, reason string) error {
	taken := make(chan struct{})
	ctl.post(shutOrder{side, actor, reason, taken})
	select {
	case <-taken: // from here on, shut means proven anew
	case <-ctl.life.Done():
		return context.Cause(ctl.life)
	}
	return ctl.await(ctx, func() bool { return shutOrStuck(ctl.state, side) })
}

// settle returns once every door was read and is where it belongs, or stuck, which is
// ErrNotShut.
func (ctl *controller) settle(ctx context.Context) error {
	r := make(reached)
	ctl.post(r)
	select {
	case <-r:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-ctl.life.Done():
		return context.Cause(ctl.life)
	}
	return ctl.await(ctx, func() bool {
		disarming := ctl.timer.armed && ctl.timer.disarmFailures == 0 && ctl.state.Doors[window.Vault].Phase == window.Shut
		return ctl.state.Window == "" && (resting(ctl.state, window.Vault) || ctl.doors[window.Vault].isBarred()) && !disarming &&
			(ctl.doors[window.Inner] == nil || resting(ctl.state, window.Inner) || ctl.state.Doors[window.Inner].Tries > 0 || ctl.doors[window.Inner].isBarred())
	})
}

func resting(s window.State, side window.Side) bool {
	return shutOrStuck(s, side) || side == window.Inner && s.Doors[side].Phase == window.Open && !s.Locked
}

// await waits until there holds, which is called with the lock held.
func (ctl *controller) await(ctx context.Context, there func() bool) error {
	for {
		ctl.mu.Lock()
		changed, ok, stuck := ctl.changed, there(), ctl.stuck()
		ctl.mu.Unlock()
		if ok && stuck != "" {
			return fmt.Errorf("%w: %s", ErrNotShut, stuck)
		}
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ctl.life.Done():
			return context.Cause(ctl.life)
		}
	}
}

// stuck names the doors that cannot be proven shut, and why.
func (ctl *controller) stuck() string {
	var names string
	for side, d := range ctl.doors {
		if d != nil && (ctl.state.Doors[side].Phase == window.Stuck || d.isBarred()) {
			if names != "" {
				names += "; "
			}
			names += d.name + ": " + ctl.seen[side].String()
		}
	}
	return names
}
