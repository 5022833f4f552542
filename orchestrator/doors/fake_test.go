package doors

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airlock/ledger"
	"airlock/orchestrator/doors/window"
	"airlock/switchctl"
)

// diary is what really happened, in order: commands that reached the switch, ports that
// changed, entries that became durable, alarms.
type diary struct {
	mu     sync.Mutex
	begun  time.Time
	events []event
}

type event struct {
	at   time.Duration // since the test began
	what string
}

func (d *diary) write(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, event{time.Since(d.begun), fmt.Sprintf(format, args...)})
}

// all are the events that contain what.
func (d *diary) all(what string) []event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(d.events), func(e event) bool { return !strings.Contains(e.what, what) })
}

// index is the place of the first event that contains what, -1 if there is none.
func (d *diary) index(what string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.IndexFunc(d.events, func(e event) bool { return strings.Contains(e.what, what) })
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	for _, e := range d.events {
		fmt.Fprintf(&b, "\n%12s  %s", e.at, e.what)
	}
	return b.String()
}

// fakeSwitch is a switch in memory whose faults a test programs. A call that is given
// no fault takes a millisecond, as a real one on the same premises.
type fakeSwitch struct {
	diary *diary

	mu    sync.Mutex
	ports []switchctl.Row // as they really are
	// Faults. Each may wait, and may end the call with an error.
	dial      func(context.Context) error
	find      func(context.Context) error
	read      func(context.Context, *switchctl.Reading) error // may also lie
	set       func(context.Context, setCommand) (carriedOut, error)
	open      int // sessions
	sessions  []*fakeSession
	ups       map[int]int // commands to open that reached each port
	restarted time.Time   // sysUpTime runs from here
	octets    uint64      // that every port has counted
	rises     func(int)   // told when a port goes up
	identity  switchctl.Identity
}

// command is one SET that reached the switch.
type setCommand struct {
	index int
	up    bool
}

// carriedOut says what becomes of a SET.
type carriedOut struct {
	lost  bool
	after time.Duration
}

const roundTrip = time.Millisecond

func newFakeSwitch(d *diary) *fakeSwitch {
	return &fakeSwitch{diary: d, ups: map[int]int{}, restarted: time.Now().Add(-time.Hour), ports: []switchctl.Row{
		{Index: 1, Name: "p1", Type: 6, Admin: switchctl.AdminUp, Oper: switchctl.OperUp, Speed: 1e9},
		{Index: 3, Name: "p3", Type: 6, Admin: switchctl.AdminDown, Oper: switchctl.OperDown, Speed: 1e9},
		{Index: 4, Name: "p4", Type: 6, Admin: switchctl.AdminDown, Oper: switchctl.OperDown, Speed: 1e9},
	}}
}

// fault changes the switch or its faults while nobody speaks to it.
func (f *fakeSwitch) fault(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// row gives a port by its index; the lock is held.
func (f *fakeSwitch) row(index int) *switchctl.Row {
	for i := range f.ports {
		if f.ports[i].Index == index {
			return &f.ports[i]
		}
	}
	return nil
}

// rowAt is what stands at an index now, a row without a name if nothing does.
func (f *fakeSwitch) rowAt(index int) switchctl.Row {
	if r := f.row(index); r != nil {
		return *r
	}
	return switchctl.Row{Index: index}
}

func (f *fakeSwitch) up(index int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.row(index).Admin == switchctl.AdminUp
}

// told counts a command that reached a port, and gives the number of those to open.
func (f *fakeSwitch) told(c setCommand) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.up {
		f.ups[c.index]++
	}
	return f.ups[c.index]
}

func (f *fakeSwitch) openings(index int) int { return f.told(setCommand{index, false}) }

// move changes a port's real state, and writes it down.
func (f *fakeSwitch) move(index int, up bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.row(index)
	admin, oper, word := switchctl.AdminDown, switchctl.OperDown, "down"
	if up {
		admin, oper, word = switchctl.AdminUp, switchctl.OperUp, "up"
	}
	if r.Admin != admin {
		f.diary.write("%s is %s", r.Name, word)
		if up && f.rises != nil {
			f.rises(index)
		}
	}
	if r.Oper != oper {
		r.LastChange = time.Since(f.restarted)
	}
	r.Admin, r.Oper = admin, oper
}

func (f *fakeSwitch) connect(ctx context.Context) (switchctl.Switch, error) {
	f.mu.Lock()
	dial := f.dial
	f.mu.Unlock()
	if dial != nil {
		if err := dial(ctx); err != nil {
			return nil, err
		}
	}
	f.fault(func() { f.open++ })
	s := &fakeSession{fakeSwitch: f}
	f.fault(func() { f.sessions = append(f.sessions, s) })
	return s, nil
}

type fakeSession struct {
	*fakeSwitch
	closed bool
	by     *otherWay // nil for the first way, which has the faults
}

func (s *fakeSession) Identity(context.Context) (switchctl.Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity, nil
}

func (s *fakeSession) Rows(context.Context) ([]switchctl.Row, error) { panic("nobody asks") }

func (s *fakeSession) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.open--
	}
	return nil
}

func (s *fakeSession) Find(ctx context.Context, l switchctl.Lookup) (switchctl.Port, error) {
	s.mu.Lock()
	fault := s.find
	s.mu.Unlock()
	if fault != nil {
		if err := fault(ctx); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	row, err := l.Match(s.ports)
	if err != nil {
		return nil, err
	}
	return &fakePort{s, l, row}, nil
}

// otherWay is a second way to the same switch, a command line that never fails unless a
// test says so, and whose switch has a timer of its own.
type otherWay struct {
	*fakeSwitch
	refuses error // to set the timer, or to take it back
	timer   *time.Timer
}

func (o *otherWay) connect(context.Context) (switchctl.Switch, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open++
	return &otherSession{fakeSession{fakeSwitch: o.fakeSwitch, by: o}}, nil
}

type otherSession struct{ fakeSession }

func (s *otherSession) Find(_ context.Context, l switchctl.Lookup) (switchctl.Port, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, err := l.Match(s.ports)
	return &timedPort{fakePort{&s.fakeSession, l, row}}, err
}

type timedPort struct{ fakePort }

func (p *timedPort) Arm(_ context.Context, after time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by.refuses != nil {
		return p.by.refuses
	}
	p.diary.write("timer armed for %s", after)
	p.by.timer = time.AfterFunc(after, func() { p.move(p.found.Index, false) })
	return nil
}

func (p *timedPort) Disarm(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by.refuses != nil {
		return p.by.refuses
	}
	p.diary.write("timer disarmed")
	if p.by.timer != nil {
		p.by.timer.Stop()
	}
	return nil
}

type fakePort struct {
	*fakeSession
	asked switchctl.Lookup
	found switchctl.Row
}

func (p *fakePort) Close() error { return nil }

func (p *fakePort) Found() switchctl.Row { return p.found }

func (p *fakePort) Read(ctx context.Context) (switchctl.Reading, error) {
	if err := wait(ctx, roundTrip); err != nil {
		return switchctl.Reading{}, err
	}
	p.mu.Lock()
	fault, closed := p.read, p.closed
	if p.by != nil {
		fault = nil
	}
	p.mu.Unlock()
	if closed {
		return switchctl.Reading{}, net.ErrClosed
	}
	asked, r := time.Now(), p.reading()
	if fault != nil {
		if err := fault(ctx, &r); err != nil {
			return switchctl.Reading{}, err
		}
	}
	if time.Now().After(asked) {
		r = p.reading() // a late answer tells what is so when it leaves
	}
	return r, p.asked.Moved(p.found, p.reading().Row)
}

func (p *fakePort) reading() switchctl.Reading {
	p.mu.Lock()
	defer p.mu.Unlock()
	return switchctl.Reading{At: time.Now(), Row: p.rowAt(p.found.Index), Uptime: time.Since(p.restarted), InOctets: p.octets, WideOctets: true}
}

func (p *fakePort) Set(ctx context.Context, admin switchctl.Admin) error {
	if err := wait(ctx, roundTrip); err != nil {
		return err
	}
	p.mu.Lock()
	fault, row, closed, by := p.set, p.rowAt(p.found.Index), p.closed, ""
	if p.by != nil {
		fault, by = nil, " by core-cli"
	}
	p.mu.Unlock()
	if closed {
		return net.ErrClosed
	}
	if err := p.asked.Moved(p.found, row); err != nil {
		return err
	}
	o := setCommand{row.Index, admin == switchctl.AdminUp}
	p.diary.write("SET %s %s%s", row.Name, word(o.up), by)
	openings := p.told(o)
	var c carriedOut
	var err error
	if fault != nil {
		c, err = fault(ctx, o)
	}
	switch {
	case c.lost || errors.Is(err, switchctl.ErrRefused):
	case c.after > 0:
		time.AfterFunc(c.after, func() {
			// The worst for safety: a late command to open comes through, a late one to
			// shut only if the port was not told to open after it.
			if o.up || p.openings(o.index) == openings {
				p.move(o.index, o.up)
			}
		})
	default:
		p.move(o.index, o.up)
	}
	return err
}

func word(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

// wait takes some time, or ends with ctx as a driver would.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", switchctl.ErrTimeout, ctx.Err())
	}
}

// hang waits until ctx ends.
func hang(ctx context.Context) error { return wait(ctx, 1000*time.Hour) }

// fakeJournal is a ledger in memory.
type fakeJournal struct {
	diary *diary

	mu      sync.Mutex
	entries []*ledger.Entry                           // as they were handed in; those without a number are not durable
	append  func(context.Context, ledger.Entry) error // faults
	note    func(ledger.Entry)
}

func (j *fakeJournal) Append(ctx context.Context, e ledger.Entry) (ledger.Entry, error) {
	slot := j.handIn()
	j.mu.Lock()
	fault := j.append
	j.mu.Unlock()
	if fault != nil {
		if err := fault(ctx, e); err != nil {
			return ledger.Entry{}, err
		}
	}
	return j.take(slot, e), nil
}

func (j *fakeJournal) Note(e ledger.Entry) {
	slot := j.handIn()
	j.mu.Lock()
	fault := j.note
	j.mu.Unlock()
	if fault != nil {
		fault(e)
	}
	j.take(slot, e)
}

// handIn keeps an entry's place: the order is that in which they were handed in.
func (j *fakeJournal) handIn() *ledger.Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	slot := &ledger.Entry{}
	j.entries = append(j.entries, slot)
	return slot
}

func (j *fakeJournal) take(slot *ledger.Entry, e ledger.Entry) ledger.Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Seq, e.Recorded = int64(slices.Index(j.entries, slot)+1), time.Now()
	*slot = e
	if e.Kind == ledger.KindDoor {
		j.diary.write("entry %s: %s → %s", e.Door, e.From, e.To)
	} else {
		j.diary.write("%s entry %s: %s", e.Kind, e.Door, e.To)
	}
	return e
}

// fault replaces the faults.
func (j *fakeJournal) fault(append func(context.Context, ledger.Entry) error, note func(ledger.Entry)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.append, j.note = append, note
}

// all are the entries so far.
func (j *fakeJournal) all() []ledger.Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	var durable []ledger.Entry
	for _, e := range j.entries {
		if e.Seq > 0 {
			durable = append(durable, *e)
		}
	}
	return durable
}

// byHand is the reason of a person's order.
const byHand = "shut by hand"

// night is a switch, a ledger, and controllers, without anything to gather or to send.
type night struct {
	*testing.T
	*diary
	sw           *fakeSwitch
	journal      *fakeJournal
	session      *session
	otherSession *session // nil without a second way
	claim        innerDoor
	passing      sync.Map // controllers whose window has begun in the ledger and not ended
	life         context.Context
	end          context.CancelFunc
	hands        sync.WaitGroup
	ring         func() // what an alarm waits for
}

// inNight runs f in a bubble in which minutes pass in no time. When it returns, every
// goroutine of the controllers has to end.
func inNight(t *testing.T, f func(*night)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &diary{begun: time.Now()}
		n := &night{T: t, diary: d, sw: newFakeSwitch(d), journal: &fakeJournal{diary: d}}
		n.session = &session{dial: n.sw.connect}
		n.life, n.end = context.WithCancel(t.Context())
		defer func() {
			n.end()
			n.hands.Wait()
			for _, w := range []*session{n.session, n.otherSession} {
				if w == nil {
					continue
				}
				if err := w.close(); err != nil {
					t.Error(err)
				}
			}
			synctest.Wait()
			if n.sw.open != 0 {
				t.Errorf("%d sessions were not closed", n.sw.open)
			}
			if t.Failed() {
				t.Log(d)
			}
		}()
		f(n)
	})
}

// doors are the ports that a controller has, by name; "" for none.
type doors struct{ vault, inner, probe string }

// controller makes a controller that does not run yet.
func (n *night) controller(vault string, d doors) *controller {
	rules := window.Rules{
		HasInner: d.inner != "", ReadWithin: 12 * time.Second, Repeat: 2 * time.Second, RepeatMax: time.Minute, Lag: 20 * time.Second,
		Doors: [2]window.Limits{{OpenWithin: 30 * time.Second, ProveWithin: 60 * time.Second}, {OpenWithin: 30 * time.Second, ProveWithin: 60 * time.Second}},
	}
	both := [2]*door{newDoor(d.vault+"-door", d.probe, way{"core", switchctl.Lookup{Name: d.vault}, n.session, "10.0.0.1:161"}), nil}
	if d.inner != "" {
		both[window.Inner] = newDoor(d.inner+"-door", "", way{"core", switchctl.Lookup{Name: d.inner}, n.session, "10.0.0.1:161"})
	}
	ctl := newController(n.life, vault, rules, both, func(a Alarm) {
		n.sw.mu.Lock()
		ring := n.ring
		n.sw.mu.Unlock()
		if ring != nil {
			ring()
		}
		n.write("ALARM door %s %s: %s", a.Door, a.What, a.Why)
	})
	ctl.journal = n.journal
	if d.inner != "" {
		n.claim.join(ctl)
	}
	return ctl
}

// second gives the vault's door of a controller that does not run yet a second way.
func (n *night) second(ctl *controller) *otherWay {
	o := &otherWay{fakeSwitch: n.sw}
	n.otherSession = &session{dial: o.connect} // one in a night
	d := ctl.doors[window.Vault]
	d.armed = append(d.armed, false)
	d.ways = append(d.ways, way{"core-cli", d.ways[0].lookup, n.otherSession, "10.0.0.1:22"})
	return o
}

// run starts controllers and their doors.
func (n *night) run(controllers ...*controller) {
	for _, ctl := range controllers {
		n.hands.Go(ctl.run)
		n.hands.Go(func() { ctl.queue.Run(n.life) })
		for _, d := range ctl.doors {
			if d != nil {
				n.hands.Go(func() { d.run(n.life) })
			}
		}
	}
}

// rest waits until the doors are where they belong.
func (n *night) rest(controllers ...*controller) {
	n.Helper()
	for _, ctl := range controllers {
		if err := ctl.settle(n.life); err != nil {
			n.Fatal(err)
		}
	}
}

// started is a controller at rest, with no inner door.
func (n *night) started() *controller {
	n.Helper()
	ctl := n.controller("v", doors{vault: "p3"})
	n.run(ctl)
	n.rest(ctl)
	return ctl
}

// tenMinutes asks for a window of at most ten minutes.
func tenMinutes(id string, work func(context.Context) error) Opening {
	return Opening{Window: id, Actor: "test", Reason: "a test", MaxOpen: 10 * time.Minute, Work: work}
}

func nothing(context.Context) error { return nil }

// held is what a window that runs beside the test came to.
type held struct {
	times Times
	err   error
}

// begin has a window held beside the test.
func (n *night) begin(ctx context.Context, ctl *controller, r Opening) <-chan held {
	done := make(chan held, 1)
	go func() {
		p, err := ctl.hold(ctx, r)
		done <- held{p, err}
	}()
	return done
}

// first is the first event that contains what; it must be there.
func (n *night) first(what string) event {
	n.Helper()
	synctest.Wait() // entries and alarms have their own goroutine
	all := n.all(what)
	if len(all) == 0 {
		n.Fatalf("%q did not happen:%s", what, n.diary)
	}
	return all[0]
}

// never fails if an event that contains what happened.
func (n *night) never(what string) {
	n.Helper()
	synctest.Wait()
	if all := n.all(what); len(all) > 0 {
		n.Errorf("%q happened, %s after the start", all[0].what, all[0].at)
	}
}

// shut fails unless the port is down and the controller says so.
func (n *night) shut(ctl *controller) {
	n.Helper()
	if up, believed := n.sw.up(3), phase(ctl, window.Vault); up || believed != window.Shut {
		n.Errorf("the vault's port is up: %t; the controller believes it %s", up, believed)
	}
}

func phase(ctl *controller, side window.Side) window.Phase {
	ctl.mu.Lock()
	defer ctl.mu.Unlock()
	return ctl.state.Doors[side].Phase
}
