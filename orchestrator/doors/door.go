package doors

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"airlock/orchestrator/doors/patrol"
	"airlock/orchestrator/doors/window"
	"airlock/pause"
	"airlock/switchctl"
)

// The times within which one call to a switch ends. A switch that needs longer is
// asked again; how long a door may take in all is the policy's business.
const (
	findWithin = 20 * time.Second
	setWithin  = 10 * time.Second
	readWithin = 8 * time.Second

	compareWithin = time.Second // a port found anew in mid-window, with the one that was opened

	// nextWayAfter is how long a door with several ways waits for its first, and how long a
	// command to shut that one of them took has until it is seen to be carried out.
	nextWayAfter = 8 * time.Second
)

// way is one of the ways to a door's port, and what the port is called there.
type way struct {
	name    string // the switch's, in the policy file
	lookup  switchctl.Lookup
	session *session
	address string // host:port
}

// sighting is one look at a door: what the state machine is told, and the evidence.
type sighting struct {
	at      time.Time
	sight   window.Sight
	reading switchctl.Reading
	by      string    // the way that was used, where the door has several
	probe   string    // "", probeSilent, probeAnswers, probePending
	doubt   string    // why its silence proves nothing
	sent    time.Time // when the door was last told to open, for the first time since it was told to shut
	err     error
}

// door carries out commands on one switch port, and reads it. A single goroutine
// does both, so that the switch never sees two commands for a port at once. A new
// command ends a look that is under way, a command to shut ends one to open as well
// (S2), and the newest command wins.
//
// It opens by the first way alone. Reading and shutting take the others in turn as well,
// whenever the one in use fails, or does not shut the door in time (S12).
type door struct {
	// These are set before anything runs, and do not change.

	name     string
	ways     []way                            // to its port, its own first
	timer    bool                             // the switch's own timer is set, where one of the ways has it (S4)
	probe    *probe                           // of what stands behind the door
	claims   *claims                          // of all doors; nil where nothing is ever sent
	broke    Broke                            // told of a panic; nil: a panic ends the process
	report   func(sighting)                   // what was seen, for the machine
	failed   func(err error, sent bool)       // a command to open was refused, or never left; sent if one may yet be carried out
	detoured func(to string, why error)       // a command to shut takes another way
	timed    func(timing)                     // what became of the switch's own timer
	adopted  func(claim)                      // its first use made it the door's own
	objected func(what objection, why string) // something speaks against its port

	// By these it is told what to do. Each but asks has room for one, and the newest replaces
	// what waits, so that nobody waits for the door; commands, paces and disarms are filled by
	// the controller's goroutine.

	commands chan command
	asks     chan chan<- sighting // examine waits for the answer
	paces    chan time.Duration   // between two looks; 0: do not look
	disarms  chan struct{}        // take the switch's timer back

	// With mu, which is never held while anything is waited for (S2).

	mu        sync.Mutex
	interrupt context.CancelFunc // ends the call to the switch that is under way; nil for none
	raising   bool               // that call is to open the door, so only a command to shut ends it
	owned     *claim             // the port that counts as the door's own; nil for none yet (S7)
	waiting   *claim             // what the policy names instead, until a person says that it is right
	objects   [objections]string // why no window opens it, by what speaks against its port

	// Only the goroutine of run uses what follows. First, how it reaches the port:

	inUse    int              // the way in use, of ways
	port     switchctl.Port   // by that way; nil until it is resolved
	from     switchctl.Switch // the session to which port belongs
	stale    bool             // the port is to be resolved again before it is read (S7)
	missing  missing          // of a port that was looked up in vain
	surveyed time.Time        // when the further ways were looked up last

	// what was asked of it last and came of that:

	opening           bool              // told to open, and not since to shut
	sent              time.Time         // when the first of those commands to open was sent
	mayStillOpenSince time.Time         // when the last command to open ended that the switch may still carry out; zero: none may
	onlyOneOpenSent   bool              // a single command to open was sent, and the switch confirmed it
	raised            bool              // told to open by this run, and not seen shut since: its port is not questioned (S4)
	opened            switchctl.Reading // of the port when it was first seen after that; zero at rest; one that takes its place is refused (S3)
	shutting          bool              // told to shut, and not yet seen shut
	accepted          time.Time         // when the way in use first took that command; zero: not yet
	detour            bool              // another way was taken to shut it, and a person was told
	proven            time.Time         // when another way than the first saw it shut, which the first may not know yet
	doubt             string            // why the probe's silence proved nothing when it was asked last
	armed             []bool            // by way: the switch's timer may be running
}

// missing is a port that was looked up in vain. A switch is not asked for it by every look,
// which would read its whole table for ever; a new command asks at once (S2).
type missing struct {
	err   error
	at    int       // the way
	until time.Time // when the switch is asked again
	wait  time.Duration
}

// The times between two look-ups of a port that is not found.
const (
	missingFirst   = 250 * time.Millisecond
	missingLongest = 2 * time.Second
)

// again reports whether the switch is to be asked.
func (m missing) again(way int, now time.Time) bool {
	return m.err == nil || m.at != way || !now.Before(m.until)
}

// found takes what came of asking.
func (m missing) found(way int, err error, now time.Time) missing {
	if !errors.Is(err, switchctl.ErrNoMatch) && !errors.Is(err, switchctl.ErrAmbiguous) && !errors.Is(err, switchctl.ErrNotPhysical) {
		return missing{}
	}
	wait := missingFirst
	if m.err != nil && m.at == way {
		wait = min(2*m.wait, missingLongest)
	}
	return missing{err, way, now.Add(wait), wait}
}

// command is one to a door.
type command struct {
	open    bool
	longest time.Duration // for which it may stand open; 0 for a door that rests open
}

func newDoor(name, probe string, by ...way) *door {
	return &door{
		name: name, ways: by, probe: newProbe(probe), timer: true, armed: make([]bool, len(by)),
		commands: make(chan command, 1),
		asks:     make(chan chan<- sighting),
		paces:    make(chan time.Duration, 1),
		disarms:  make(chan struct{}, 1),
	}
}

// instruct has the door opened or shut; it never waits.
func (d *door) instruct(t command) {
	replace(d.commands, t)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.interrupt != nil && !(t.open && d.raising) {
		d.interrupt()
	}
}

// pace sets the time between two looks; it never waits.
func (d *door) pace(every time.Duration) { replace(d.paces, every) }

// replace puts v into a channel of capacity one, in place of what it holds. It is
// called by one goroutine at a time.
func replace[T any](c chan T, v T) {
	for {
		select {
		case c <- v:
			return
		default:
			select {
			case <-c:
			default:
			}
		}
	}
}

// run serves the door until ctx ends. It begins with a look (S5).
func (d *door) run(ctx context.Context) {
	d.lookAndReport(ctx, false)
	var every time.Duration
	look := time.NewTimer(0)
	look.Stop()
	turn := func() error {
		select {
		case <-ctx.Done():
		case t := <-d.commands:
			d.carryOut(ctx, t)
			d.lookAndReport(ctx, false)
		case <-d.disarms:
			d.disarm(ctx)
		case reply := <-d.asks:
			d.answer(ctx, reply)
		case pace := <-d.paces:
			if pace == every {
				return nil // lest a door that is paced often be never looked at
			}
			if every = pace; every == 0 {
				d.opened = switchctl.Reading{}
			}
		case <-look.C:
			if d.lookAndReport(ctx, false).probe == probePending {
				d.lookAndReport(ctx, true)
			}
		}
		look.Stop()
		if every > 0 {
			look.Reset(every)
		}
		return nil
	}
	for ctx.Err() == nil {
		if err := d.broke.Contain("door "+d.name, turn); err != nil {
			d.fall(ctx, err)
		}
	}
	d.forget()
}

// fall begins anew after a panic: with another session, and with the command to shut that
// was being carried out. The window, if there is one, ends.
func (d *door) fall(ctx context.Context, why error) {
	d.port, d.from = nil, nil
	if d.shutting {
		select {
		case d.commands <- command{}:
		default: // there is a newer one
		}
	}
	d.failed(why, true)
	pause.For(ctx, brokeAgain)
}

// answer is what examine asked for.
func (d *door) answer(ctx context.Context, reply chan<- sighting) {
	s := sighting{at: time.Now(), err: ErrDefect}
	defer func() { reply <- s }()
	if time.Since(d.proven) > patrol.CacheLag {
		d.useWay(0)
	}
	d.stale, d.missing = true, missing{} // S7: resolved at every use
	if s = d.look(ctx, true); s.err == nil {
		d.survey(ctx)
	}
}

// lookAndReport looks and reports it, unless a command came in between, which asks for a look
// of its own.
func (d *door) lookAndReport(ctx context.Context, probe bool) sighting {
	s := d.look(ctx, probe)
	if len(d.commands) == 0 && ctx.Err() == nil {
		d.report(s)
	}
	return s
}

// examine resolves the port anew and looks at it, probe and all.
func (d *door) examine(ctx context.Context) (sighting, error) {
	reply := make(chan sighting, 1)
	select {
	case d.asks <- reply:
	case <-ctx.Done():
		return sighting{}, context.Cause(ctx)
	}
	select {
	case s := <-reply:
		return s, s.err
	case <-ctx.Done():
		return sighting{}, context.Cause(ctx)
	}
}

// carryOut sends one command. What comes of it is seen by looking.
func (d *door) carryOut(ctx context.Context, t command) {
	again := d.shutting
	d.shutting = !t.open
	d.opening = d.opening && t.open
	d.missing.until = time.Time{}
	if !t.open {
		if !again {
			d.accepted, d.detour, d.doubt = time.Time{}, false, ""
		}
		d.shut(ctx)
		return
	}
	ctx, done := d.interruptible(ctx, true)
	defer done()
	d.useWay(0)
	d.proven = time.Time{}
	_, err := d.find(ctx, true) // S7: resolved at every use
	if err == nil {
		err = d.claims.contested(d.name) // S6
	}
	if err == nil {
		err = d.arm(ctx, t.longest)
	}
	if err == nil {
		err = d.send(ctx, true)
	}
	switch {
	case err == nil, errors.Is(err, switchctl.ErrTimeout) && d.opening, ctx.Err() != nil:
		// It may have been carried out, also where a command to shut came in between:
		// only a look tells.
	default: // refused, or it never left
		d.failed(err, !d.mayStillOpenSince.IsZero())
	}
}

// shut sends the command by the way in use, and by the next if that one fails or has
// not shut the door in its time. What failed everywhere shows in the looks that follow;
// they repeat it.
func (d *door) shut(ctx context.Context) {
	if !d.accepted.IsZero() && time.Since(d.accepted) >= nextWayAfter {
		d.nextWay(errors.New("the switch took the command and did not shut the port"))
	}
	err := d.anyWay(ctx, func(ctx context.Context) error { return d.send(ctx, false) })
	if err == nil && d.accepted.IsZero() {
		d.accepted = time.Now()
	}
}

// send sends one command by the way in use. A session that ended since it was used last
// costs no waiting (S2), and a row that is another one now is looked up again (S7).
func (d *door) send(ctx context.Context, open bool) error {
	held := d.port != nil
	err := d.set(ctx, open)
	moved := errors.Is(err, switchctl.ErrMoved)
	if moved {
		d.forget()
	}
	if lost := held && d.port == nil; moved || lost && !open && ctx.Err() == nil {
		err = d.set(ctx, open)
	}
	return err
}

// anyWay calls f for the way in use, and for the others in turn while it fails. That the
// port is another one now is no failure of a way, and none of them may get round it (S7).
func (d *door) anyWay(ctx context.Context, f func(context.Context) error) error {
	if len(d.ways) == 1 {
		return f(ctx)
	}
	var errs []error
	for range d.ways {
		by, within := d.ways[d.inUse].name, nextWayAfter
		if d.inUse != 0 {
			within = findWithin + setWithin // the last resort has the time that it needs
		}
		once, cancel := context.WithTimeout(ctx, within)
		err := f(once)
		cancel()
		if err == nil || ctx.Err() != nil || errors.Is(err, switchctl.ErrMoved) || errors.Is(err, errBarred) {
			return err
		}
		errs = append(errs, fmt.Errorf("by %s: %w", by, err))
		d.nextWay(err)
	}
	return errors.Join(errs...)
}

// nextWay takes the next way, and tells of it if the door is to be shut.
func (d *door) nextWay(why error) {
	if len(d.ways) == 1 {
		return
	}
	d.useWay((d.inUse + 1) % len(d.ways))
	if d.shutting && !d.detour {
		d.detour = true
		d.detoured(d.ways[d.inUse].name, why)
	}
}

func (d *door) useWay(at int) {
	if d.inUse != at {
		d.forget()
		d.inUse, d.accepted = at, time.Time{}
	}
}

func (d *door) set(ctx context.Context, open bool) error {
	port, err := d.find(ctx, false)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, setWithin)
	defer cancel()
	admin := switchctl.AdminDown
	if open {
		admin, d.raised = switchctl.AdminUp, true
		if !d.opening {
			d.opening, d.sent, d.mayStillOpenSince, d.onlyOneOpenSent = true, time.Now(), time.Time{}, true
		} else {
			d.onlyOneOpenSent = false
		}
	}
	err = port.Set(ctx, admin)
	// Only these say that nothing will come of it.
	never := errors.Is(err, switchctl.ErrRefused) || errors.Is(err, switchctl.ErrMoved) || errors.Is(err, switchctl.ErrAuth) || errors.Is(err, switchctl.ErrNotEntered)
	if open && !never {
		d.mayStillOpenSince = time.Now()
		d.onlyOneOpenSent = d.onlyOneOpenSent && err == nil
	}
	return d.judge(ctx, d.from, err)
}

// find gives the port of the door; anew if asked, as every opening does (S7). A port that
// was found before is compared by the driver at every use, so it stays good for shutting
// until another is found.
func (d *door) find(ctx context.Context, anew bool) (switchctl.Port, error) {
	if d.port != nil && !anew {
		return d.port, nil
	}
	ctx, cancel := context.WithTimeout(ctx, findWithin)
	defer cancel()
	if !d.missing.again(d.inUse, time.Now()) {
		return nil, d.missing.err
	}
	by := d.ways[d.inUse]
	sw, err := by.session.open(ctx)
	if err != nil {
		return nil, err
	}
	port, err := sw.Find(ctx, by.lookup)
	d.missing = d.missing.found(d.inUse, err, time.Now())
	if err != nil {
		return nil, d.judge(ctx, sw, err)
	}
	if d.opened.Row.Index != 0 {
		ctx, cancel := context.WithTimeout(ctx, compareWithin)
		now, err := port.Read(ctx)
		cancel()
		if err == nil { // else shutting does not wait for it (S2): every reading is compared too
			err = d.compare(now)
		}
		if errors.Is(err, switchctl.ErrMoved) {
			return nil, errors.Join(err, port.Close())
		}
	}
	if err := d.admit(ctx, sw, port, d.inUse); err != nil {
		return nil, errors.Join(err, port.Close())
	}
	d.forget()
	d.port, d.from, d.stale = port, sw, false
	return port, nil
}

// compare refuses a port that has taken the place of the one that was opened: what the
// lookup finds now may be shut all along, while the one that was opened is not (S3, S7).
// Only a switch that restarted may give the port another index. The other ways may call it
// by other names, and are asked only where the first gave no answer.
func (d *door) compare(now switchctl.Reading) error {
	was := d.opened
	const drift = time.Minute // of the agent's clock against ours, within one window
	restarted := now.At.Add(-now.Uptime).Sub(was.At.Add(-was.Uptime)) > drift
	if was.Row.Index == 0 || d.inUse != 0 || now.Row.Name == was.Row.Name && (now.Row.Name != "" || now.Row.Description == was.Row.Description) &&
		(now.Row.Index == was.Row.Index || restarted) {
		return nil
	}
	return fmt.Errorf("%w: index %d (%s) was opened, and now port %s is index %d, to which nothing is sent; shut index %d at the switch, or give it its name back",
		switchctl.ErrMoved, was.Row.Index, was.Row.Name, d.ways[0].lookup, now.Row.Index, was.Row.Index)
}

// judge drops a session that an error has made doubtful.
func (d *door) judge(ctx context.Context, from switchctl.Switch, err error) error {
	refusal := errors.Is(err, switchctl.ErrNoMatch) || errors.Is(err, switchctl.ErrAmbiguous) ||
		errors.Is(err, switchctl.ErrNotPhysical) || errors.Is(err, switchctl.ErrMoved) || errors.Is(err, switchctl.ErrRefused)
	if err == nil || refusal {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, switchctl.ErrTimeout) {
		err = fmt.Errorf("%w: %w", switchctl.ErrTimeout, err)
	}
	if context.Cause(ctx) == errInterrupted {
		return err // ended by us: it says nothing of the session
	}
	if d.from == from {
		err = errors.Join(err, d.forget())
	}
	return errors.Join(err, d.ways[d.inUse].session.drop(from))
}

// forget lets go of the port.
func (d *door) forget() error {
	port := d.port
	d.port, d.from = nil, nil
	if port == nil {
		return nil
	}
	return port.Close()
}

var errInterrupted = errors.New("a command came first")

// look reads the door, and probes what stands behind it where the reading leaves
// that open. After a command to shut, the first look leaves the probe pending, so
// that the moment of the port's going down is not told late.
func (d *door) look(ctx context.Context, probe bool) sighting {
	ctx, done := d.interruptible(ctx, false)
	defer done()
	s := d.read(ctx)
	if s.err != nil || s.sight.Up || d.probe.address == "" {
		return s
	}
	if d.shutting && !probe {
		s.probe, s.doubt, s.sight.Answers = probePending, d.doubt, true
		return s
	}
	s.probe, s.doubt = d.probe.ask(ctx)
	if d.doubt = s.doubt; s.probe != probeSilent {
		s.sight.Answers = true
		return s
	}
	// The probe took its time: what was read before it may be old.
	again := d.read(ctx)
	again.probe, again.doubt = s.probe, s.doubt
	d.shutting = d.shutting && !again.sight.Shut()
	return again
}

func (d *door) read(ctx context.Context) sighting {
	var reading switchctl.Reading
	err := d.anyWay(ctx, func(ctx context.Context) (err error) {
		reading, err = d.readPort(ctx)
		return err
	})
	if err == nil && reading.Row.Admin == switchctl.AdminUp && d.onlyOneOpenSent {
		d.mayStillOpenSince = time.Time{} // this was it
	}
	s := sighting{at: time.Now(), reading: reading, sent: d.sent, err: err}
	if len(d.ways) > 1 {
		s.by = d.ways[d.inUse].name
	}
	if err == nil {
		s.sight = window.Sight{
			Read: true,
			Up:   reading.Row.Admin != switchctl.AdminDown,
			Link: !down(reading.Row.Oper),

			MayStillOpenSince: d.mayStillOpenSince,
		}
		d.raised = d.raised && (d.opening || !s.sight.Shut())
		if d.inUse != 0 && d.shutting && d.proven.IsZero() && s.sight.Shut() {
			d.proven = s.at
		}
		if d.opening && d.inUse == 0 && d.opened.Row.Index == 0 {
			d.opened = reading
		}
	}
	return s
}

// down reports whether a port surely carries nothing. What is unknown counts as open
// (S3).
func down(o switchctl.Oper) bool {
	return o != switchctl.OperUp && o != switchctl.OperUnknown && o != switchctl.OperNotRead
}

func (d *door) readPort(ctx context.Context) (switchctl.Reading, error) {
	for again := false; ; again = true {
		port, err := d.find(ctx, again || d.stale)
		if err != nil {
			return switchctl.Reading{}, err
		}
		ctx, cancel := context.WithTimeout(ctx, readWithin)
		reading, err := port.Read(ctx)
		cancel()
		if err == nil {
			if err = d.compare(reading); err != nil {
				d.forget()
			}
		}
		if !errors.Is(err, switchctl.ErrMoved) || again {
			return reading, d.judge(ctx, d.from, err)
		}
	}
}

// interruptible gives a context that command ends. What is to open the door is ended
// by a command to shut alone.
func (d *door) interruptible(ctx context.Context, raising bool) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := func() { cancel(errInterrupted) }
	d.mu.Lock()
	d.interrupt, d.raising = stop, raising
	d.mu.Unlock()
	if len(d.commands) > 0 { // it came before the line above
		stop()
	}
	return ctx, func() {
		d.mu.Lock()
		d.interrupt, d.raising = nil, false
		d.mu.Unlock()
		cancel(nil)
	}
}
