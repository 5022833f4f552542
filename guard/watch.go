package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"airlock/lease"
	"airlock/ledger"
	"airlock/notice"
	"airlock/policies"
	"airlock/switchctl"
)

// The times within which a single call ends.
const (
	findWithin  = 8 * time.Second // dialling and finding the port
	callWithin  = 5 * time.Second // reading or setting it
	leaseWithin = time.Second     // reading the lease
)

// An overdue door is looked at again after firstPause, and after twice the time each
// time that it is still not shut, up to the guard's interval.
const firstPause = 100 * time.Millisecond

// watch guards one door. Only the goroutine of run uses it.
type watch struct {
	*guard
	name, vault string
	maxOpen     time.Duration // 0 for a door that is no vault's
	proveWithin time.Duration

	ways []way // the first is the one to use now
	sw   switchctl.Switch
	port switchctl.Port
	told time.Time // when the first command to shut was accepted by this way; zero if none was

	asked chan answer // a lease that is being read
	named *lease.Port // that counts as the door's own, by the executor
	own   *lease.Port // the same, by the guard's own ledger

	window  string        // whose opening is measured
	upSince time.Time     // when it was first seen in that window; zero while the door is down
	changed time.Duration // ifLastChange when it was read last; 0 where nobody tells

	shutSeen time.Time // when it was last read as shut

	state   string    // "": nothing is wrong; "shutting", "stuck" as in the ledger
	overdue time.Time // since when it is not ""
	tries   int
}

// way is how to reach a door's port.
type way struct {
	name   string // of the switch in the policy
	conf   policies.Switch
	lookup switchctl.Lookup
}

// answer is a lease that was read.
type answer struct {
	lease.Lease
	err  error
	port *lease.Port // nil where nobody tells
}

// sight is one look at a door.
type sight struct {
	reading switchctl.Reading
	way     string        // by which it was read
	err     error         // why it could not be read
	lease   lease.Lease   // valid or not
	left    time.Duration // for how long it may stand open from now on
	why     error         // why it may not
}

func (s sight) up() bool { return s.err != nil || s.reading.Row.Admin != switchctl.AdminDown }

// link reports whether the port may still carry something; what is unknown counts (S3).
func (s sight) link() bool {
	o := s.reading.Row.Oper
	return o == switchctl.OperUp || o == switchctl.OperUnknown || o == switchctl.OperNotRead
}

func (s sight) state() string {
	switch {
	case s.err != nil:
		return "unknown"
	case s.up():
		return "open"
	}
	return "shut"
}

// overdue says what is wrong with a door that nobody has leave to leave open.
func (s sight) overdue() *notice.Kind {
	switch locked := errors.Is(s.why, errLockdown); {
	case s.err != nil && locked:
		return notice.UnreadInLockdown
	case s.err != nil:
		return notice.LeaselessUnread
	case locked:
		return notice.OpenInLockdown
	}
	return notice.LeaselessOpen
}

// run guards until ctx ends.
func (w *watch) run(ctx context.Context) {
	for ctx.Err() == nil {
		_, pause := w.once(ctx)
		next := time.NewTimer(pause)
		select {
		case <-next.C:
		case <-ctx.Done():
			next.Stop()
		}
	}
	if err := w.forget(); err != nil {
		w.say(slog.LevelWarn, "a session did not end well", "door", w.name, "error", err)
	}
}

// once looks at the door, has it shut if it is overdue, and returns what it saw and when to
// look again.
func (w *watch) once(ctx context.Context) (s sight, next time.Duration) {
	interval := time.Duration(w.Policy.Guard.Interval)
	if s = w.look(ctx); ctx.Err() != nil {
		return s, 0
	}
	defer func() { w.saw(s) }()
	switch {
	case s.left > 0:
		w.state, w.tries, w.told = "", 0, time.Time{}
		return s, min(interval, s.left)
	case !s.up() && (w.state == "" || !s.link()):
		w.shut(s)
		return s, interval
	}
	var err error
	if s.up() {
		if !w.told.IsZero() && time.Since(w.told) >= interval {
			w.turn(errors.New("the command was accepted, and is not carried out"))
		}
		err = w.set(ctx)
		w.tries++
	}
	w.tell(s, err)
	if shift := max(w.tries-1, 0); shift < 16 {
		return s, min(interval, firstPause<<shift)
	}
	return s, interval
}

// saw keeps the look for whoever asks whether the guard lives.
func (w *watch) saw(s sight) {
	l := lease.Look{At: time.Now(), State: s.state(), Way: s.way, Overdue: w.state}
	if now, err := w.now(); err == nil {
		l.Since = now.Since
	}
	if s.left <= 0 && s.why != nil {
		l.Lease = s.why.Error()
	}
	if s.err != nil {
		l.Way, l.Error = "", s.err.Error()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks[w.name] = l
}

// look reads the door, and whether it may stand open. Its lease is read before and
// after: one that ended in between leaves open what the door was read as, so it is
// looked at again at once.
func (w *watch) look(ctx context.Context) sight {
	_, before, _ := w.leave()
	var s sight
	s.reading, s.err = w.readPort(ctx)
	s.way = w.ways[0].name
	s.lease, s.left, s.why = w.leave()
	if before > 0 && s.left <= 0 {
		s.left = firstPause
	}
	switch {
	case s.err == nil && !s.up():
		if w.upSince = (time.Time{}); !s.link() {
			w.shutSeen = time.Now()
		}
	case s.err == nil:
		// Another window counts anew, unless the port was up all the time.
		if w.upSince.IsZero() || w.window != s.lease.Window && (w.changed == 0 || w.changed != s.reading.Row.LastChange) {
			w.upSince = time.Now()
		}
		w.window, w.changed = s.lease.Window, s.reading.Row.LastChange
	}
	if s.left > 0 && w.maxOpen > 0 && !w.upSince.IsZero() && w.window == s.lease.Window {
		open := time.Since(w.upSince)
		if s.left = min(s.left, w.maxOpen-open); s.left <= 0 { // S4: no lease moves it
			s.why = fmt.Errorf("it has stood open for %s, and max_open is %s", open, w.maxOpen)
		}
	}
	return s
}

// leave is for how long the lease of the door allows it to stand open, or why it does
// not.
func (w *watch) leave() (lease.Lease, time.Duration, error) {
	l, err := w.readLease()
	if err != nil {
		return l, 0, err
	}
	now, err := w.now()
	if err != nil {
		return l, 0, err
	}
	left, err := l.Left(w.name, now, time.Duration(w.Policy.Guard.LeaseTTL))
	return l, left, err
}

// readLease reads the lease; a disk that does not answer holds nobody up.
func (w *watch) readLease() (lease.Lease, error) {
	if w.asked == nil {
		asked := make(chan answer, 1)
		w.asked = asked
		go func() {
			l, err := w.read(w.name)
			a := answer{l, err, nil}
			if p, err := w.guard.port(w.name); err == nil {
				a.port = &p
			}
			asked <- a
		}()
	}
	late := time.NewTimer(leaseWithin)
	defer late.Stop()
	select {
	case a := <-w.asked:
		w.asked = nil
		if a.port != nil {
			w.learn(*a.port)
		}
		return a.Lease, a.err
	case <-late.C:
		return lease.Lease{}, errors.New("the leases are not there in time")
	}
}

// learn takes in which port counts as the door's own. One that was found before a person
// said otherwise is looked up again.
func (w *watch) learn(own lease.Port) {
	known := w.named
	w.named = &own
	if w.port == nil || known != nil && samePort(*known, own) {
		return
	}
	if err := w.forget(); err != nil {
		w.say(slog.LevelWarn, "a session did not end well", "door", w.name, "error", err)
	}
}

func (w *watch) readPort(ctx context.Context) (switchctl.Reading, error) {
	var r switchctl.Reading
	err := w.byAnyWay(ctx, func(ctx context.Context, p switchctl.Port) (err error) {
		r, err = p.Read(ctx)
		return err
	})
	return r, err
}

// set tells the door to shut. What comes of it is seen by looking.
func (w *watch) set(ctx context.Context) error {
	err := w.byAnyWay(context.WithoutCancel(ctx), func(ctx context.Context, p switchctl.Port) error {
		return p.Set(ctx, switchctl.AdminDown)
	})
	if err == nil && w.told.IsZero() {
		w.told = time.Now()
	}
	return err
}

// byAnyWay has f use the port by the first way by which that does not fail, and stays
// with it.
func (w *watch) byAnyWay(ctx context.Context, f func(context.Context, switchctl.Port) error) error {
	var all []error
	for range w.ways {
		err := w.use(ctx, f)
		if err == nil || len(w.ways) == 1 || ctx.Err() != nil || errors.Is(err, errNotOwn) {
			return err
		}
		all = append(all, fmt.Errorf("by %s: %w", w.ways[0].name, err))
		w.turn(err)
	}
	return errors.Join(all...)
}

// turn makes the next way the one to use.
func (w *watch) turn(why error) {
	w.told = time.Time{}
	if len(w.ways) == 1 {
		return
	}
	if w.tries < 3 { // then it is known
		w.say(slog.LevelWarn, "trying another way", "door", w.name, "not", w.ways[0].name, "but", w.ways[1].name, "why", why)
	}
	if err := w.forget(); err != nil {
		w.say(slog.LevelWarn, "a session did not end well", "door", w.name, "error", err)
	}
	w.ways = append(w.ways[1:len(w.ways):len(w.ways)], w.ways[0])
}

// use has f use the port. A session that was there before may have ended since, or the
// port have another row now: then f is tried once more with both made anew.
func (w *watch) use(ctx context.Context, f func(context.Context, switchctl.Port) error) error {
	held := w.port != nil
	err := w.try(ctx, f)
	if err != nil && held && ctx.Err() == nil && !errors.Is(err, switchctl.ErrRefused) {
		err = w.try(ctx, f)
	}
	return err
}

func (w *watch) try(ctx context.Context, f func(context.Context, switchctl.Port) error) error {
	err := w.find(ctx)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, callWithin)
		err = f(ctx, w.port)
		cancel()
	}
	if err != nil {
		err = errors.Join(err, w.forget())
	}
	return err
}

// find makes the session and resolves the port, unless both are there (S7: the driver
// compares the port's identity at every use).
func (w *watch) find(ctx context.Context) error {
	if w.port != nil {
		return nil
	}
	// A port may be looked up before any lease was, which tells whose it is. A folder that
	// hangs is waited for once.
	if w.named == nil && w.asked == nil {
		_, _ = w.readLease() // what it says of the lease is asked for again
	}
	ctx, cancel := context.WithTimeout(ctx, findWithin)
	defer cancel()
	var err error
	if w.sw, err = w.Switch(ctx, w.ways[0].conf); err != nil {
		w.sw = nil
		return err
	}
	w.port, err = w.sw.Find(ctx, w.ways[0].lookup)
	if err == nil {
		err = w.admit(ctx)
	}
	return err
}

// forget ends the session.
func (w *watch) forget() error {
	port, sw := w.port, w.sw
	w.port, w.sw = nil, nil
	var err error
	if port != nil {
		err = port.Close()
	}
	if sw != nil {
		err = errors.Join(err, sw.Close())
	}
	return err
}

// tell says once that a door is overdue, and once that it cannot be shut (S12).
func (w *watch) tell(s sight, set error) {
	switch {
	case w.state == "":
		w.overdue = time.Now()
		what := s.overdue()
		w.move(s.state(), "shutting", what.Of().What, s)
		w.alarm(what, errors.Join(s.why, s.err), s)
	case w.state == "shutting" && time.Since(w.overdue) >= w.proveWithin:
		w.move(w.state, "stuck", notice.GuardCannotShut.Of().What, s)
		w.alarm(notice.GuardCannotShut, errors.Join(s.err, set), s)
	}
}

// shut says that a door that was overdue is shut.
func (w *watch) shut(s sight) {
	if w.state != "" {
		w.move(w.state, "shut", "read back as down", s)
		w.say(slog.LevelInfo, "read back as down", "door", w.name, "after", time.Since(w.overdue).String())
	}
	w.state, w.tries, w.told = "", 0, time.Time{}
}

func (w *watch) move(from, to, reason string, s sight) {
	w.note(ledger.Entry{Kind: ledger.KindDoor, Door: w.name, Vault: w.vault, From: from, To: to, Reason: reason, Detail: w.evidence(s).json()})
	w.state = to
}

// alarm calls a person.
func (w *watch) alarm(kind *notice.Kind, why error, s sight) {
	a := lease.Alarm{At: time.Now(), Door: w.name, Notice: kind.Of()}
	shown := w.evidence(s)
	shown.Code = kind.Code
	w.note(ledger.Entry{Kind: ledger.KindAlarm, Door: w.name, Vault: w.vault, Reason: a.What, Detail: shown.json()})
	w.say(slog.LevelError, "ALARM door "+w.name+" "+a.What, "why", why)
	if why != nil {
		a.Why = why.Error()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = lastWeek(append(w.calls, a))
}

func (w *watch) evidence(s sight) evidence {
	e := evidence{Tries: w.tries, ShutSeen: w.shutSeen}
	if s.why != nil {
		e.Lease = s.why.Error()
	}
	if s.lease.Door != "" {
		e.Last = &s.lease
	}
	if s.err != nil {
		e.Error = s.err.Error()
		return e
	}
	row := s.reading.Row
	e.Way, e.Index, e.Name, e.Admin, e.Oper = s.way, row.Index, row.Name, int(row.Admin), int(row.Oper)
	e.In, e.Out = s.reading.InOctets, s.reading.OutOctets
	return e
}
