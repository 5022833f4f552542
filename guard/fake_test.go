package guard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airlock/lease"
	"airlock/ledger"
	"airlock/policies"
	"airlock/state"
	"airlock/switchctl"
)

// fakeSwitch is a switch in memory with the vault's port p3, its twin p4 and the inner
// door p1. Its faults are set by tests.
type fakeSwitch struct {
	t  *testing.T
	mu sync.Mutex
	// ports are up or down as they really are.
	ports    []switchctl.Row
	begun    time.Time
	downAt   map[string]time.Duration // when a port went down last, since the test began
	commands map[string]int           // SETs that reached it, by port
	open     int                      // sessions

	way      func(driver, call string) error     // dial, read, set
	ignores  string                              // the driver by which a SET is accepted and not carried out
	sentBy   map[string]int                      // SETs, by driver and user
	dial     error                               // the switch cannot be reached
	read     func(context.Context, string) error // by port
	set      func(string) error
	answered func(port string) error // a reading is on its way back
	slow     time.Duration           // until a SET is carried out
}

func newFakeSwitch(t *testing.T) *fakeSwitch {
	f := &fakeSwitch{t: t, begun: time.Now(), downAt: map[string]time.Duration{}, commands: map[string]int{}, sentBy: map[string]int{}}
	for i, name := range []string{"p1", "p3", "p4"} {
		f.ports = append(f.ports, switchctl.Row{Index: i + 1, Name: name, Type: 6, Admin: switchctl.AdminDown, Oper: switchctl.OperDown})
	}
	f.move("p1", switchctl.AdminUp)
	return f
}

func (f *fakeSwitch) fault(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeSwitch) row(name string) *switchctl.Row {
	for i := range f.ports {
		if f.ports[i].Name == name {
			return &f.ports[i]
		}
	}
	f.t.Fatalf("no port %s", name)
	return nil
}

// move has a hand other than the guard's change a port.
func (f *fakeSwitch) move(name string, admin switchctl.Admin) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.row(name)
	if admin == switchctl.AdminDown && r.Admin != admin {
		f.downAt[name] = time.Since(f.begun)
	}
	r.Admin, r.Oper = admin, switchctl.Oper(admin)
}

func (f *fakeSwitch) up(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.row(name).Admin != switchctl.AdminDown
}

func (f *fakeSwitch) sent(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commands[name]
}

type session struct {
	*fakeSwitch
	conf   policies.Switch
	closed bool
}

func (f *fakeSwitch) connect(ctx context.Context, conf policies.Switch) (switchctl.Switch, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dial != nil {
		return nil, f.dial
	}
	if err := f.by(conf, "dial"); err != nil {
		return nil, err
	}
	f.open++
	return &session{fakeSwitch: f, conf: conf}, nil
}

func (f *fakeSwitch) by(conf policies.Switch, call string) error {
	if f.way == nil {
		return nil
	}
	return f.way(conf.Driver, call)
}

func (s *session) Rows(context.Context) ([]switchctl.Row, error) {
	return nil, errors.New("the guard has no use for a list")
}

func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.closed = true
	s.open--
	return nil
}

func (s *session) Find(_ context.Context, l switchctl.Lookup) (switchctl.Port, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, err := l.Match(s.ports)
	if err != nil {
		return nil, err
	}
	return &port{s, l, row}, nil
}

type port struct {
	*session
	asked switchctl.Lookup
	found switchctl.Row
}

func (p *port) Close() error { return nil }

func (p *port) Found() switchctl.Row { return p.found }

// now is the port's row after a round trip, or why the switch does not answer.
func (p *port) now(ctx context.Context) (switchctl.Row, error) {
	time.Sleep(time.Millisecond)
	p.mu.Lock()
	read, fault := p.read, cmp.Or(p.dial, p.by(p.conf, "read"))
	p.mu.Unlock()
	if fault != nil {
		return switchctl.Row{}, fault
	}
	if read != nil {
		if err := read(ctx, p.found.Name); err != nil {
			return switchctl.Row{}, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.ports {
		if r.Index == p.found.Index {
			return r, p.asked.Moved(p.found, r)
		}
	}
	return switchctl.Row{}, switchctl.ErrMoved
}

func (p *port) Read(ctx context.Context) (switchctl.Reading, error) {
	row, err := p.now(ctx)
	p.mu.Lock()
	answered := p.answered
	p.mu.Unlock()
	if err == nil && answered != nil {
		err = answered(p.found.Name)
	}
	return switchctl.Reading{At: time.Now(), Row: row}, err
}

func (p *port) Set(ctx context.Context, admin switchctl.Admin) error {
	if admin != switchctl.AdminDown {
		p.t.Errorf("the guard told %s to be %d: it never opens anything", p.found.Name, admin)
	}
	if _, err := p.now(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	p.commands[p.found.Name]++
	user := p.conf.Driver
	if p.conf.CLI != nil {
		user += " " + p.conf.CLI.User
	}
	p.sentBy[user]++
	fault, ignored := p.by(p.conf, "set"), p.ignores == p.conf.Driver
	set, slow := p.set, p.slow
	p.mu.Unlock()
	if fault != nil || ignored {
		return fault
	}
	if set != nil {
		return set(p.found.Name)
	}
	if slow > 0 {
		time.AfterFunc(slow, func() { p.move(p.found.Name, admin) })
		return nil
	}
	p.move(p.found.Name, admin)
	return nil
}

// diary is the guard's ledger.
type diary struct {
	mu      sync.Mutex
	begun   time.Time
	entries []ledger.Entry
}

func (d *diary) Note(e ledger.Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, e)
}

// written are the entries so far.
func (d *diary) written() []ledger.Entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.entries)
}

// lines are the entries about doors, as "vault-door open → shutting" and
// "vault-door ALARM cannot be shut".
func (d *diary) lines() []string {
	var all []string
	for _, e := range d.written() {
		switch e.Kind {
		case ledger.KindDoor:
			all = append(all, fmt.Sprintf("%s %s → %s", e.Door, e.From, e.To))
		case ledger.KindAlarm:
			all = append(all, e.Door+" ALARM "+e.Reason)
		}
	}
	return all
}

func (d *diary) String() string { return strings.Join(d.lines(), "\n") }

// site is a guard, its switch, and an executor's hand.
type site struct {
	*testing.T
	*diary
	sw     *fakeSwitch
	guard  *guard
	folder lease.Folder
	state  state.Folder
	boot   time.Duration // of the clock by which leases run, when the test began
	held   lease.Lease
	window string
	end    context.CancelFunc
	ended  chan error
	twist  func(*lease.Lease) error // of each lease that is read
}

const (
	ttl      = 15 * time.Second
	interval = 5 * time.Second
)

const policyText = `
site: test
timezone: Asia/Tokyo
state: %s
repository: {url: file:///nas, passphrase: {file: /etc/passphrase}}
switches:
  core: {driver: snmp, address: "10.0.0.1:161", snmp: {version: 2c, insecure: true, community: {env: C}}}
  core-cli: {driver: cli, address: "10.0.0.1:22", cli: {platform: frr, user: airlock, key: {env: K}, known_hosts: /h}}
doors:
  vault-door: {switch: core, port: {name: p3}}
  second-door: {switch: core, port: {name: p4}}
  inner-door: {switch: core, port: {name: p1}}
vaults:
  secondary:
    url: file:///vault
    door: vault-door
    inner_door: inner-door
    window: {schedule: "30 2 * * *", max_open: 45m}
systems:
  one: {source: {url: file:///one}, schedule: "@daily"}
`

// guarding runs f beside a guard, in a bubble in which minutes pass in no time.
func guarding(t *testing.T, f func(*site), before ...func(*site)) {
	t.Helper()
	state := state.Folder(t.TempDir())
	p, err := policies.Parse("policy", fmt.Appendf(nil, policyText, state))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		sw := newFakeSwitch(t)
		s := &site{T: t, diary: &diary{begun: begun}, sw: sw, folder: lease.In(state), state: state, boot: time.Hour, window: "w1", ended: make(chan error, 1)}
		s.guard = newGuard(Config{Policy: *p, Switch: sw.connect, Journal: s.diary, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		s.guard.now = s.clock
		read := s.guard.read
		s.guard.read = func(door string) (lease.Lease, error) {
			l, err := read(door)
			s.sw.mu.Lock()
			defer s.sw.mu.Unlock()
			if s.twist != nil {
				err = errors.Join(err, s.twist(&l))
			}
			return l, err
		}
		for _, b := range before {
			b(s)
		}
		ctx, cancel := context.WithCancel(t.Context())
		s.end = cancel
		go func() { s.ended <- s.guard.run(ctx) }()
		defer s.over()
		f(s)
	})
}

// over ends the guard, and wants what must be true of every test.
func (s *site) over() {
	s.Helper()
	s.end()
	if err := <-s.ended; err != nil {
		s.Error(err)
	}
	if s.sw.open != 0 {
		s.Errorf("%d sessions were not closed", s.sw.open)
	}
	if !s.sw.up("p1") || s.sw.sent("p1") != 0 {
		s.Error("the inner door rests open, and was touched")
	}
	if s.Failed() {
		s.Log(s.diary)
	}
}

// clock is the time since the boot, which goes on by the bubble's.
func (s *site) clock() (lease.Instant, error) {
	return lease.Instant{Boot: "boot-1", Since: s.boot + time.Since(s.sw.begun)}, nil
}

// issue opens the door as the executor does.
func (s *site) issue(longest time.Duration) {
	s.Helper()
	now, _ := s.clock()
	var err error
	if s.held, err = s.folder.Issue("vault-door", s.window, now, ttl, longest); err != nil {
		s.Fatal(err)
	}
	s.sw.move("p3", switchctl.AdminUp)
}

// renew keeps the lease alive for some time.
func (s *site) renew(d time.Duration) {
	s.Helper()
	for range int(d / (ttl / 3)) {
		time.Sleep(ttl / 3)
		now, _ := s.clock()
		var err error
		if s.held, err = s.folder.Renew(s.held, now, ttl); err != nil {
			s.Fatal(err)
		}
	}
}

// misread changes each lease that is read from now on.
func (s *site) misread(twist func(*lease.Lease) error) {
	s.sw.fault(func() { s.twist = twist })
}

func (s *site) file() string { return filepath.Join(string(s.folder), "vault-door.json") }

// elapsed is the time since the test began.
func (s *site) elapsed() time.Duration { return time.Since(s.sw.begun) }

// down wants the vault's port to have gone down between two times.
func (s *site) down(from, to time.Duration) {
	s.Helper()
	synctest.Wait()
	s.sw.mu.Lock()
	at := s.sw.downAt["p3"]
	s.sw.mu.Unlock()
	if s.sw.up("p3") || at < from || at > to {
		s.Errorf("up: %t; it went down at %s, and should have between %s and %s", s.sw.up("p3"), at, from, to)
	}
}

// all is how many entries contain what.
func (s *site) all(what string) int {
	return len(slices.DeleteFunc(s.lines(), func(line string) bool { return !strings.Contains(line, what) }))
}

// last is the newest entry, once the guard has nothing left to do at this moment.
func (s *site) last() ledger.Entry {
	synctest.Wait()
	entries := s.written()
	return entries[len(entries)-1]
}

// says wants the entries about doors to be these.
func (s *site) says(want ...string) {
	s.Helper()
	synctest.Wait()
	if got := s.lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		s.Errorf("the entries are\n%s\nand not\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
