// Package switchtest holds the suite that every driver of a switch passes. Package
// snmpswitch below it is a switch that speaks real SNMP.
package switchtest

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"airlock/switchctl"
)

// Harness is one switch under test, and what the suite may do to it behind the
// driver's back.
type Harness struct {
	// Dial makes a session of the driver under test.
	Dial func(context.Context) (switchctl.Switch, error)
	// Port is a physical port as the switch lists it, up when the suite begins and left
	// up by it. Each of its keys that is not zero is unique on the switch.
	Port switchctl.Row
	// Refused are lookups, each with the error that it must wrap: an aggregate, a name
	// that two rows have, one that none has.
	Refused map[switchctl.Lookup]error
	// Truth tells Port's administrative state as the switch itself has it, not the driver.
	Truth func() (switchctl.Admin, error)
	// Settle bounds how long a change may take to show in a reading.
	Settle time.Duration
	// Rename gives the row of Port another name. nil: this switch cannot.
	Rename func(name string) error
	// Silence makes the switch take requests and answer none until it is called with
	// false. nil: this switch cannot.
	Silence func(bool) error
	// Pass lets time go by on the switch at once. nil: this switch has no dead man's
	// switch, or none that can be hurried.
	Pass func(time.Duration)
}

// Conformance holds a driver to the contract of switchctl.Switch and switchctl.Port.
func Conformance(t *testing.T, h Harness) {
	t.Run("rows", h.rows)
	t.Run("find by each key", h.find)
	t.Run("refuse what is not one port", h.refuse)
	t.Run("tell which switch it is", h.identity)
	t.Run("set and read back", h.setAndRead)
	t.Run("set twice", h.setTwice)
	t.Run("concurrent use", h.concurrent)
	t.Run("an ended context sends nothing", h.endedContext)
	t.Run("closed port", h.closedPort)
	t.Run("closed switch", h.closedSwitch)
	if h.Rename != nil {
		t.Run("moved", h.moved)
	}
	if h.Pass != nil {
		t.Run("the switch shuts by itself", h.deadMan)
	}
	if h.Silence != nil {
		t.Run("a context ends a call", h.cancel)
		t.Run("closing ends a call", h.closeUnderWay)
	}
}

func (h Harness) dial(t *testing.T) switchctl.Switch {
	t.Helper()
	sw, err := h.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sw.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return sw
}

func (h Harness) port(t *testing.T) switchctl.Port {
	t.Helper()
	p, err := h.dial(t).Find(t.Context(), h.keys())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close port: %v", err)
		}
	})
	return p
}

func (h Harness) keys() switchctl.Lookup {
	return switchctl.Lookup{Name: h.Port.Name, Alias: h.Port.Alias, Description: h.Port.Description, Index: h.Port.Index}
}

func (h Harness) isPort(r switchctl.Row) bool {
	return r.Index == h.Port.Index && r.Name == h.Port.Name && r.Alias == h.Port.Alias &&
		r.Description == h.Port.Description && r.Type == h.Port.Type
}

func (h Harness) wantTruth(t *testing.T, want switchctl.Admin) {
	t.Helper()
	got, err := h.Truth()
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("the switch itself says ifAdminStatus %d, want %d", got, want)
	}
}

// await reads until the reading is as wanted.
func (h Harness) await(t *testing.T, p switchctl.Port, admin switchctl.Admin, up bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), h.Settle)
	defer cancel()
	for {
		before := time.Now()
		r, err := p.Read(ctx)
		if err != nil {
			t.Fatalf("waiting for ifAdminStatus %d, ifOperStatus up %v: %v", admin, up, err)
		}
		if r.At.Before(before) || r.At.After(time.Now()) || !h.isPort(r.Row) {
			t.Fatalf("not a reading of now and of port %+v: %+v", h.Port, r)
		}
		if r.Row.Admin == admin && (r.Row.Oper == switchctl.OperUp) == up {
			return
		}
	}
}

func (h Harness) rows(t *testing.T) {
	rows, err := h.dial(t).Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for i, r := range rows {
		if i > 0 && r.Index <= rows[i-1].Index && r.Index != 0 { // 0: the switch tells none
			t.Errorf("index %d after %d", r.Index, rows[i-1].Index)
		}
		if h.isPort(r) {
			seen++
			if r.Admin != switchctl.AdminUp {
				t.Errorf("port is %+v, want it up", r)
			}
		}
	}
	if seen != 1 {
		t.Errorf("%d rows are %+v, of %+v", seen, h.Port, rows)
	}
}

// S7: it is resolved at every use to exactly one row.
func (h Harness) find(t *testing.T) {
	sw := h.dial(t)
	k := h.keys()
	for _, ask := range []switchctl.Lookup{{Name: k.Name}, {Alias: k.Alias}, {Description: k.Description}, {Index: k.Index}, k} {
		if ask == (switchctl.Lookup{}) {
			continue
		}
		p, err := sw.Find(t.Context(), ask)
		if err != nil {
			t.Errorf("find %s: %v", ask, err)
			continue
		}
		if at, ok := p.(switchctl.Located); !ok || !h.isPort(at.Found()) {
			t.Errorf("find %s: %T does not tell which row it found", ask, p)
		}
		if r, err := p.Read(t.Context()); err != nil || !h.isPort(r.Row) {
			t.Errorf("find %s: read %+v, %v; want %+v", ask, r.Row, err, h.Port)
		}
		if err := p.Close(); err != nil {
			t.Errorf("close %s: %v", ask, err)
		}
	}
}

// S7: an aggregate, stack or VLAN interface is refused; no match, two matches, or
// another description: nothing is sent.
func (h Harness) refuse(t *testing.T) {
	sw := h.dial(t)
	refused := map[switchctl.Lookup]error{
		{}: switchctl.ErrNoMatch,
		{Name: h.Port.Name, Description: "another description"}: switchctl.ErrNoMatch,
		{Name: "no such port"}: switchctl.ErrNoMatch,
	}
	for ask, want := range h.Refused {
		refused[ask] = want
	}
	for ask, want := range refused {
		if _, err := sw.Find(t.Context(), ask); !errors.Is(err, want) {
			t.Errorf("find %s: %v, want %v", ask, err, want)
		}
	}
}

// S6, S7: two doors are told apart by what the switch tells of itself, by every session the
// same.
func (h Harness) identity(t *testing.T) {
	var first switchctl.Identity
	for i := range 2 {
		who, ok := h.dial(t).(switchctl.Identifier)
		if !ok {
			t.Fatal("the driver is no switchctl.Identifier")
		}
		told, err := who.Identity(t.Context())
		if err != nil || told.Engine+told.MAC+told.HostKey+told.Name == "" || i > 0 && told != first || !told.Same(told) {
			t.Errorf("session %d: %+v, %v; the first was told %+v", i+1, told, err, first)
		}
		first = told
	}
}

// S3: only a read-back from the switch makes a door shut.
func (h Harness) setAndRead(t *testing.T) {
	p := h.port(t)
	for _, admin := range []switchctl.Admin{switchctl.AdminDown, switchctl.AdminUp} {
		if err := p.Set(t.Context(), admin); err != nil {
			t.Fatalf("set %d: %v", admin, err)
		}
		h.await(t, p, admin, admin == switchctl.AdminUp)
		h.wantTruth(t, admin)
	}
	for _, admin := range []switchctl.Admin{switchctl.AdminUnknown, switchctl.AdminTesting, 7} {
		if err := p.Set(t.Context(), admin); err == nil {
			t.Errorf("set %d was accepted", admin)
		}
	}
	h.wantTruth(t, switchctl.AdminUp)
}

func (h Harness) setTwice(t *testing.T) {
	p := h.port(t)
	for _, admin := range []switchctl.Admin{switchctl.AdminUp, switchctl.AdminDown, switchctl.AdminDown, switchctl.AdminUp, switchctl.AdminUp} {
		if err := p.Set(t.Context(), admin); err != nil {
			t.Fatalf("set %d: %v", admin, err)
		}
		h.await(t, p, admin, admin == switchctl.AdminUp)
	}
}

// A Switch is safe for concurrent use.
func (h Harness) concurrent(t *testing.T) {
	sw := h.dial(t)
	p, err := sw.Find(t.Context(), h.keys())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 5 {
				if r, err := p.Read(t.Context()); err != nil || !h.isPort(r.Row) {
					t.Errorf("read %+v, %v", r.Row, err)
				}
			}
		})
		all.Go(func() {
			if err := p.Set(t.Context(), switchctl.AdminUp); err != nil {
				t.Errorf("set: %v", err)
			}
		})
		all.Go(func() {
			if _, err := sw.Find(t.Context(), h.keys()); err != nil {
				t.Errorf("find: %v", err)
			}
		})
	}
	all.Wait()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func (h Harness) endedContext(t *testing.T) {
	sw, p := h.dial(t), h.port(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Set(ctx, switchctl.AdminDown); !errors.Is(err, context.Canceled) {
		t.Errorf("set: %v, want %v", err, context.Canceled)
	}
	if _, err := p.Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v, want %v", err, context.Canceled)
	}
	if _, err := sw.Rows(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("rows: %v, want %v", err, context.Canceled)
	}
	h.wantTruth(t, switchctl.AdminUp)
	h.await(t, p, switchctl.AdminUp, true) // the session is still good
}

func (h Harness) closedPort(t *testing.T) {
	p := h.port(t)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Set(t.Context(), switchctl.AdminDown); !errors.Is(err, net.ErrClosed) {
		t.Errorf("set: %v, want %v", err, net.ErrClosed)
	}
	if _, err := p.Read(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read: %v, want %v", err, net.ErrClosed)
	}
	h.wantTruth(t, switchctl.AdminUp)
}

func (h Harness) closedSwitch(t *testing.T) {
	sw := h.dial(t)
	p, err := sw.Find(t.Context(), h.keys())
	if err != nil {
		t.Fatal(err)
	}
	if err := sw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Set(t.Context(), switchctl.AdminDown); !errors.Is(err, net.ErrClosed) {
		t.Errorf("set: %v, want %v", err, net.ErrClosed)
	}
	if _, err := sw.Rows(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("rows: %v, want %v", err, net.ErrClosed)
	}
	if _, err := sw.Find(t.Context(), h.keys()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("find: %v, want %v", err, net.ErrClosed)
	}
	h.wantTruth(t, switchctl.AdminUp)
}

// S7: only the configured port is ever changed.
func (h Harness) moved(t *testing.T) {
	p := h.port(t)
	if err := h.Rename(h.Port.Name + "-other"); err != nil {
		t.Fatal(err)
	}
	if err := p.Set(t.Context(), switchctl.AdminDown); !errors.Is(err, switchctl.ErrMoved) {
		t.Errorf("set: %v, want %v", err, switchctl.ErrMoved)
	}
	if _, err := p.Read(t.Context()); !errors.Is(err, switchctl.ErrMoved) {
		t.Errorf("read: %v, want %v", err, switchctl.ErrMoved)
	}
	h.wantTruth(t, switchctl.AdminUp)
	if err := h.Rename(h.Port.Name); err != nil {
		t.Fatal(err)
	}
	h.await(t, p, switchctl.AdminUp, true)
}

// soon is long before any driver's own timeouts end.
const soon = time.Second

func (h Harness) silence(t *testing.T) {
	t.Helper()
	if err := h.Silence(true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Silence(false); err != nil {
			t.Error(err)
		}
	})
}

func (h Harness) cancel(t *testing.T) {
	p := h.port(t)
	h.silence(t)
	for _, c := range []struct {
		name string
		end  func() (context.Context, context.CancelFunc)
		want error
	}{
		{"deadline", func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 50*time.Millisecond)
		}, context.DeadlineExceeded},
		{"cancel", func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			return ctx, cancel
		}, context.Canceled},
	} {
		ctx, cancel := c.end()
		began := time.Now()
		if _, err := p.Read(ctx); !errors.Is(err, c.want) {
			t.Errorf("%s: read: %v", c.name, err)
		}
		if err := p.Set(ctx, switchctl.AdminUp); !errors.Is(err, c.want) {
			t.Errorf("%s: set: %v", c.name, err)
		}
		if took := time.Since(began); took > soon {
			t.Errorf("%s: the calls ended after %s", c.name, took)
		}
		cancel()
	}
	if err := h.Silence(false); err != nil {
		t.Fatal(err)
	}
	h.await(t, p, switchctl.AdminUp, true) // the session is still good
}

func (h Harness) closeUnderWay(t *testing.T) {
	sw := h.dial(t)
	p, err := sw.Find(t.Context(), h.keys())
	if err != nil {
		t.Fatal(err)
	}
	h.silence(t)
	began := time.Now()
	ended := make(chan error, 1)
	go func() {
		_, err := p.Read(t.Context())
		ended <- err
	}()
	time.AfterFunc(50*time.Millisecond, func() {
		if err := sw.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("read: %v, want %v", err, net.ErrClosed)
	}
	if took := time.Since(began); took > soon {
		t.Errorf("the call ended after %s", took)
	}
}

// deadMan: S4, once armed the switch shuts the port whatever became of us, not early and
// not much late; armed again, the newer time counts; disarmed, it does not, and the port
// stays as it is.
func (h Harness) deadMan(t *testing.T) {
	p := h.port(t)
	timer, ok := p.(switchctl.Timer)
	if !ok {
		t.Fatalf("%T is no switchctl.Timer", p)
	}
	is := func(when string, want switchctl.Admin) {
		t.Helper()
		if admin, err := h.Truth(); err != nil || admin != want {
			t.Errorf("%s: the port is %v, %v; want %v", when, admin, err, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(p.Set(t.Context(), switchctl.AdminDown))
	must(timer.Disarm(t.Context()))
	must(timer.Arm(t.Context(), 20*time.Minute))
	must(timer.Arm(t.Context(), 45*time.Minute))
	is("armed", switchctl.AdminDown)
	must(p.Set(t.Context(), switchctl.AdminUp))
	must(p.Set(t.Context(), switchctl.AdminUp))
	h.Pass(45*time.Minute - time.Second)
	is("before its time", switchctl.AdminUp)
	h.Pass(150 * time.Second)
	is("after its time", switchctl.AdminDown)

	must(timer.Disarm(t.Context()))
	must(timer.Arm(t.Context(), 45*time.Minute))
	must(p.Set(t.Context(), switchctl.AdminUp))
	must(p.Set(t.Context(), switchctl.AdminDown))
	must(timer.Disarm(t.Context()))
	is("disarmed", switchctl.AdminDown)
	must(timer.Disarm(t.Context()))
	must(p.Set(t.Context(), switchctl.AdminUp))
	h.Pass(48 * time.Hour)
	is("disarmed long ago", switchctl.AdminUp)
}
