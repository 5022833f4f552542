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
	"airlock/switchctl"
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

// Times is what happened to the vault's door during one window.
type Times struct {
	OpenedAt time.Time // the command to open was sent
	SeenOpen time.Time // it was read back as up
	DownAt   time.Time // the first read-back of ifAdminStatus down
	ProvenAt time.Time // the proof of closure

	before, after switchctl.Reading // of the port, when it was read back as up and last
}

// Octets is what the port itself counted between the first reading and the last, both
// ways; 0 where its counters went backwards.
func (p Times) Octets() uint64 {
	in, out := p.after.InOctets-p.before.InOctets, p.after.OutOctets-p.before.OutOctets
	if p.after.InOctets < p.before.InOctets || p.after.OutOctets < p.before.OutOctets {
		return 0
	}
	return in + out
}

// Speed is the port's, in bit/s, when it was read back as up; 0 where it told none.
func (p Times) Speed() uint64 { return p.before.Row.Speed }

// Exposure is the time from sending the command that opened the door to the first
// read-back of ifAdminStatus down, or to the proof of closure where that first
// failed; up to now while there is no proof, and zero if the door was never opened.
func (p Times) Exposure() time.Duration {
	switch {
	case p.OpenedAt.IsZero():
		return 0
	case p.DownAt.IsZero():
		return time.Since(p.OpenedAt)
	}
	return p.DownAt.Sub(p.OpenedAt)
}

// innerDoor is an inner door that several vaults share. One keeper at a time has the
// claim on it, for a window or to open it, and nobody opens it while any of the vaults'
// doors is not proven shut (S6). A nil innerDoor is no door, and free.
type innerDoor struct {
	mu      sync.Mutex
	holder  *keeper
	open    map[*keeper]bool // whose vault's door counts as open
	keepers []*keeper        // who share it; they do not change once one of them runs
}

// join makes k one of those who share the door.
func (i *innerDoor) join(k *keeper) {
	k.shared = i
	i.keepers = append(i.keepers, k)
	i.tell(k, false)
}

// show tells the others what k saw of the door, without waiting: who is at rest would
// otherwise believe what was so when it looked last.
func (i *innerDoor) show(k *keeper, s sighting) {
	if i == nil {
		return
	}
	for _, other := range i.keepers {
		if other == k {
			continue
		}
		select {
		case other.inbox <- shown{s}:
		default:
		}
	}
}

// tell says whether the door of k's vault is proven shut.
func (i *innerDoor) tell(k *keeper, shut bool) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.open == nil {
		i.open = map[*keeper]bool{}
	}
	i.open[k] = true
	if shut {
		delete(i.open, k)
	}
}

func (i *innerDoor) take(k *keeper) bool {
	if i == nil {
		return true
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.holder == nil {
		i.holder = k
	}
	return i.holder == k
}

// takeToOpen is take for opening the door.
func (i *innerDoor) takeToOpen(k *keeper) bool {
	if !i.take(k) {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.open) == 0
}

func (i *innerDoor) release(k *keeper) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.holder == k {
		i.holder = nil
	}
}

// keeper executes the state machine of one vault's doors. Its goroutine is the only
// one that steps the machine. It waits for nothing but its inbox and the clock.
type keeper struct {
	vault   string
	doors   [2]*door
	shared  *innerDoor // nil without an inner door
	lease   *permit    // nil for a door that no vault names, which nobody opens
	journal Journal    // for the clerk, and there before it runs
	alarm   func(Alarm)
	broke   Broke  // nil: a panic ends the process
	folder  string // the state folder; "" keeps nothing there
	clerk   *TaskQueue
	life    context.Context // outlives every window
	inbox   chan message

	mu      sync.Mutex
	changed chan struct{} // closed and made anew at every step
	state   window.State
	since   [2]time.Time
	seen    [2]sighting
	request Opening // of the window in course, or the last
	begun   time.Time
	passage Times
	timer   timerState
	ended   map[string]error // windows that were refused or finished, until somebody fetches them

	// Only the goroutine of run uses what follows.
	watches [2]watch                // what patrol knows of the doors
	intents [2]*intent              // openings that the ledger has not taken yet (S1)
	stop    context.CancelCauseFunc // ends the work
	ending  bool                    // no window is begun any more
	cut     *cut                    // a window of an earlier executor's that has no end yet
}

// sighted is a sighting on its way to the machine.
type sighted struct {
	side window.Side
	sighting
}

// shown is a sighting of a shared inner door that another keeper had.
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
	asked   bool // the clerk has it
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

// order has one door shut.
type order struct {
	side          window.Side
	actor, reason string
	taken         chan<- struct{} // closed once the door is on its way
}

func newKeeper(life context.Context, vault string, rules window.Rules, doors [2]*door, alarm func(Alarm)) *keeper {
	k := &keeper{
		vault: vault, doors: doors, alarm: alarm, clerk: NewTaskQueue(), life: life,
		inbox: make(chan message, 64), changed: make(chan struct{}),
		state:   window.State{Rules: rules},
		request: Opening{Actor: "start-up", Reason: "doors are read back before anything else runs"},
		ended:   map[string]error{},
	}
	for side, d := range doors {
		k.watches[side].wake = make(chan struct{}, 1)
		if d != nil {
			d.report = func(s sighting) { k.post(sighted{window.Side(side), s}) }
			d.failed = func(err error, sent bool) { k.post(failed{window.Side(side), err, sent}) }
			d.detoured = func(to string, why error) {
				k.call(Alarm{At: time.Now(), Door: d.name, Notice: notice.ByAnotherWay.Of(to), Why: why.Error()})
			}
			d.timed = func(t timing) { k.post(t) }
			k.listens(window.Side(side), d)
			k.claims(d)
		}
	}
	return k
}

func (k *keeper) post(m message) {
	select {
	case k.inbox <- m:
	case <-k.life.Done():
	}
}

// run steps the machine until its life ends. The doors are shut by this goroutine. Its
// clerk has a goroutine of its own, which may start later: when there is a ledger.
func (k *keeper) run() {
	renewals, stop := k.lease.start(k.life)
	defer stop()
	k.step(window.Tick{At: time.Now()})
	due := time.NewTimer(0)
	turn := func() error {
		due.Stop()
		if next := k.state.Next(); !next.IsZero() {
			due.Reset(time.Until(next))
		}
		select {
		case <-k.life.Done():
		case m := <-k.inbox:
			m.deliver(k)
		case <-due.C:
			k.step(window.Tick{At: time.Now()})
		case <-renewals:
			k.renew()
		}
		return nil
	}
	for k.life.Err() == nil {
		if err := k.broke.Contain("the keeper of "+k.doors[window.Vault].name, turn); err != nil {
			k.fall(err)
		}
	}
}

// fall shuts what a keeper that broke may have left open, without asking the machine, and
// has the window end.
func (k *keeper) fall(why error) {
	if phase := k.state.Doors[window.Vault].Phase; phase != window.Shut {
		k.doors[window.Vault].command(telling{})
	}
	_ = k.broke.Contain("the end of a window", func() error { // told of like the first
		stepped{window.Cancel{At: time.Now(), Why: why.Error()}}.deliver(k)
		return nil
	})
	pause(k.life, brokeAgain)
}

func (k *keeper) shutNow(o order) {
	k.mu.Lock()
	if k.state.Window == "" {
		k.request = Opening{Actor: o.actor, Reason: o.reason}
	}
	k.mu.Unlock()
	k.withdraw(o.reason)
	k.step(window.ShutNow{At: time.Now(), Side: o.side, Why: o.reason})
	close(o.taken)
}

func (k *keeper) begin(r Opening) {
	var why string
	switch {
	case k.ending:
		why = "the executor is ending"
	case !k.shared.take(k):
		why = "another vault's window has the inner door"
	}
	if why != "" {
		k.end(r.Window, fmt.Errorf("%w: %s", ErrRefused, why))
		k.broadcast()
		return
	}
	now := time.Now()
	if k.state.Window == "" {
		k.mu.Lock()
		k.request, k.begun, k.passage = r, now, Times{}
		k.mu.Unlock()
	}
	k.step(window.Begin{At: now, Window: r.Window, MaxOpen: r.MaxOpen})
}

// learn takes what another keeper saw of the inner door; on its way through a window, a
// keeper believes its own eyes alone.
func (k *keeper) learn(s sighting) {
	inner := k.state.Doors[window.Inner].Phase
	resting := k.state.Window == "" && k.state.Doors[window.Vault].Phase == window.Shut && (inner == window.Open || inner == window.Shut)
	if resting && !k.state.Held && s.at.After(k.seen[window.Inner].at) {
		k.follow(sighted{window.Inner, s})
		k.step(window.Seen{At: s.at, Side: window.Inner, Sight: s.sight})
	}
}

// follow keeps what was seen as evidence, and times the passage of the vault's door.
func (k *keeper) follow(m sighted) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen[m.side] = m.sighting
	if m.side != window.Vault || !m.sight.Read || k.begun.IsZero() || m.sent.Before(k.begun) {
		return
	}
	p := &k.passage
	p.OpenedAt = m.sent
	switch phase := k.state.Doors[window.Vault].Phase; {
	case phase == window.Opening && m.sight.Up:
		p.SeenOpen, p.before = m.at, m.reading
	case m.sight.Up, phase == window.Stuck:
		p.DownAt = time.Time{} // it goes on counting
	case phase == window.Shutting && p.DownAt.IsZero():
		p.DownAt = m.at
	}
	p.after = m.reading
}

func (k *keeper) step(e window.Event) {
	state, actions := k.advance(e)
	k.shared.tell(k, state.Doors[window.Vault].Phase == window.Shut)
	for _, a := range actions { // S2: what shuts a door goes first
		if c, ok := a.(window.Command); ok && !c.Open {
			k.doors[c.Side].command(telling{})
		}
	}
	for _, a := range actions {
		if c, ok := a.(window.Command); !ok {
			k.act(a, when(e))
		} else if c.Open {
			k.open(c.Side)
		}
	}
	for side, d := range k.doors {
		if d != nil {
			d.pace(pace(k.state, window.Side(side)))
		}
	}
	// A command to open it that was not confirmed may still come: until the door is proven
	// shut, no other keeper may believe what it reads.
	if inner := state.Doors[window.Inner].Phase; state.Window == "" && inner != window.Opening && inner != window.Shutting {
		k.shared.release(k)
	}
	k.broadcast()
}

func (k *keeper) advance(e window.Event) (window.State, []window.Action) {
	k.mu.Lock()
	defer k.mu.Unlock()
	state, actions := k.state.Step(e)
	k.state = state
	return state, actions
}

func (k *keeper) broadcast() {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.changed)
	k.changed = make(chan struct{})
}

// when is the time at which an event happened: of a sighting, when the switch
// answered.
func when(e window.Event) time.Time {
	if seen, ok := e.(window.Seen); ok {
		return seen.At
	}
	return time.Now()
}

func (k *keeper) act(a window.Action, at time.Time) {
	switch a := a.(type) {
	case window.Moved:
		k.moved(a, at)
	case window.Work:
		k.start(a.Window)
	case window.StopWork:
		k.stop(errors.New(a.Why))
	case window.Raise:
		k.call(Alarm{At: at, Door: k.doors[a.Side].name, Notice: a.Notice, Why: k.why(a.Side)})
	case window.Refuse:
		k.end(a.Window, fmt.Errorf("%w: %s", ErrRefused, a.Why))
	case window.Finish:
		k.finish(a)
	}
}

// call calls a person, without waiting until that is done.
func (k *keeper) call(a Alarm) { k.clerk.Enqueue(func() { k.alarm(a) }) }

// moved notes a change of state without waiting (S2). An opening's entry is kept
// until the command asks for it, for it has to be durable before (S1).
func (k *keeper) moved(a window.Moved, at time.Time) {
	e := k.entry(a, at)
	defer k.watchMove(a, at) // its entries come after this one
	if a.Side == window.Vault && a.To == window.Shut {
		k.withdrawLease()
		k.disarm()
	}
	k.intents[a.Side] = nil
	if a.To == window.Opening {
		k.intents[a.Side] = &intent{side: a.Side, entry: e}
		return
	}
	k.clerk.Enqueue(func() { k.journal.Note(e) })
	if a.Side == window.Vault {
		k.endCut()
	}
	if a.Side == window.Inner && (a.To == window.Open || a.To == window.Shut) {
		k.shared.show(k, k.seen[window.Inner])
	}
}

// entry times a change of state, and says it for the ledger.
func (k *keeper) entry(a window.Moved, at time.Time) ledger.Entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.since[a.Side] = at
	again := !k.passage.ProvenAt.IsZero()
	if a.Side == window.Vault && a.To == window.Shut {
		k.passage.ProvenAt = at
		if k.passage.DownAt.IsZero() {
			k.passage.DownAt = at
		}
	}
	if a.Side == window.Vault && a.To == window.Stuck {
		k.passage.DownAt = time.Time{} // the exposure goes on counting
	}
	return ledger.Entry{
		Time: at, Kind: ledger.KindDoor, Actor: k.request.Actor, Reason: k.request.Reason,
		Door: k.doors[a.Side].name, Vault: k.vault, Window: k.state.Window,
		From: a.From.String(), To: a.To.String(), Detail: k.evidence(a, again),
	}
}

// open opens a door once the ledger has taken the intent (S1). A command that is
// repeated needs no second one.
func (k *keeper) open(side window.Side) {
	i := k.intents[side]
	switch {
	case side == window.Inner && !k.shared.takeToOpen(k):
		// Another keeper has it, or a door that is not proven shut (S6): the machine
		// will ask again.
	case i == nil:
		k.doors[side].command(telling{open: true, longest: k.longest(side)})
	case i.refused:
		i.refused = false
		k.permit(i)
	case !i.asked:
		i.asked = true
		i.entry.Time = time.Now()
		e := i.entry
		k.clerk.Enqueue(func() {
			ctx, cancel := context.WithTimeout(k.life, intentWithin)
			defer cancel()
			_, err := k.journal.Append(ctx, e)
			k.post(answered{i, err})
		})
	}
}

// longest is for how long the door may stand open from now on; 0 for one that rests open.
func (k *keeper) longest(side window.Side) time.Duration {
	if side == window.Inner {
		return 0
	}
	return time.Until(k.state.Hard)
}

// withdraw takes back what still waits for the ledger: no command was sent, so none has
// to be reckoned with.
func (k *keeper) withdraw(why string) {
	for side, i := range k.intents {
		if i != nil {
			k.step(window.Unsent{At: time.Now(), Side: window.Side(side), Why: why})
		}
	}
}

// intended gets the lease of a door whose intent is durable, unless it was told to shut
// since.
func (k *keeper) intended(a answered) {
	if k.intents[a.side] != a.intent {
		return
	}
	if a.err == nil {
		k.permit(a.intent)
		return
	}
	a.asked = false
	now := time.Now()
	k.call(Alarm{At: now, Door: a.entry.Door, Notice: notice.NoIntent.Of(), Why: a.err.Error()})
	k.step(window.Unlogged{At: now, Side: a.side})
}

// evidence is what the entry of a change of state holds: what was read, or why
// nothing could be. An opening that ended before has told its exposure then.
func (k *keeper) evidence(a window.Moved, again bool) json.RawMessage {
	d := sightDetail(k.seen[a.Side])
	if a.Side == window.Inner {
		d.Side = a.Side.String()
	}
	if a.Side == window.Vault && a.To == window.Shut && !again {
		d.Exposure = k.passage.Exposure().Seconds()
	}
	return ledger.Detail(d)
}

// why explains an alarm by the last thing that was seen of the door.
func (k *keeper) why(side window.Side) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.seen[side].String()
}

// start begins what the window is for. It gets no more time than the window has.
func (k *keeper) start(id string) {
	ctx, stop := context.WithCancelCause(k.life)
	k.stop = stop
	k.mu.Lock()
	work, hard := k.request.Work, k.state.Hard
	k.mu.Unlock()
	go func() {
		defer stop(nil)
		ctx, cancel := context.WithDeadline(ctx, hard)
		defer cancel()
		e := window.Worked{Window: id}
		if err := k.broke.Contain("window "+id, func() error { return work(ctx) }); err != nil {
			e.Failed = err.Error()
		}
		e.At = time.Now()
		k.post(stepped{e})
	}()
}

func (k *keeper) finish(a window.Finish) {
	var err error
	if a.Cause != "" {
		err = errors.New(a.Cause)
	}
	if k.state.Doors[window.Vault].Phase == window.Stuck || k.state.Doors[window.Inner].Phase == window.Stuck {
		err = errors.Join(ErrNotShut, err)
	}
	k.end(a.Window, err)
}

func (k *keeper) end(id string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended[id] = err
	if k.state.Window == "" {
		k.request = Opening{Actor: "patrol", Reason: "after window " + id}
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
func (k *keeper) hold(ctx context.Context, r Opening) (Times, error) {
	for side, d := range k.doors {
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
		k.post(sighted{window.Side(side), s})
	}
	for _, d := range k.doors { // once both were resolved
		if d != nil && d.objection() != "" {
			return Times{}, fmt.Errorf("%w: door %s: %s", ErrRefused, d.name, d.objection())
		}
	}
	k.post(r)
	done := ctx.Done()
	for {
		k.mu.Lock()
		changed := k.changed
		err, over := k.ended[r.Window]
		passage := k.passage
		delete(k.ended, r.Window)
		k.mu.Unlock()
		if over {
			return passage, err
		}
		select {
		case <-changed:
		case <-done:
			done = nil
			k.post(stepped{window.Cancel{At: time.Now(), Why: "interrupted: " + context.Cause(ctx).Error()}})
		case <-k.life.Done():
			return passage, context.Cause(k.life)
		}
	}
}

// shut shuts one door and returns once it is proven shut, or stuck (ErrNotShut).
func (k *keeper) shut(ctx context.Context, side window.Side, actor, reason string) error {
	taken := make(chan struct{})
	k.post(order{side, actor, reason, taken})
	select {
	case <-taken: // from here on, shut means proven anew
	case <-k.life.Done():
		return context.Cause(k.life)
	}
	return k.await(ctx, func() bool { return shutOrStuck(k.state, side) })
}

// settle returns once every door was read and is where it belongs, or stuck, which is
// ErrNotShut.
func (k *keeper) settle(ctx context.Context) error {
	r := make(reached)
	k.post(r)
	select {
	case <-r:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-k.life.Done():
		return context.Cause(k.life)
	}
	return k.await(ctx, func() bool {
		disarming := k.timer.armed && k.timer.vain == 0 && k.state.Doors[window.Vault].Phase == window.Shut
		return k.state.Window == "" && (resting(k.state, window.Vault) || k.doors[window.Vault].isBarred()) && !disarming &&
			(k.doors[window.Inner] == nil || resting(k.state, window.Inner) || k.state.Doors[window.Inner].Tries > 0 || k.doors[window.Inner].isBarred())
	})
}

func resting(s window.State, side window.Side) bool {
	return shutOrStuck(s, side) || side == window.Inner && s.Doors[side].Phase == window.Open && !s.Locked
}

// await waits until there holds, which is called with the lock held.
func (k *keeper) await(ctx context.Context, there func() bool) error {
	for {
		k.mu.Lock()
		changed, ok, stuck := k.changed, there(), k.stuck()
		k.mu.Unlock()
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
		case <-k.life.Done():
			return context.Cause(k.life)
		}
	}
}

// stuck names the doors that cannot be proven shut, and why.
func (k *keeper) stuck() string {
	var names string
	for side, d := range k.doors {
		if d != nil && (k.state.Doors[side].Phase == window.Stuck || d.isBarred()) {
			if names != "" {
				names += "; "
			}
			names += d.name + ": " + k.seen[side].String()
		}
	}
	return names
}
