package doors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"airlock/ledger"
	"airlock/orchestrator/doors/window"
	"airlock/switchctl"
)

// promptly is how long a command to shut may take until it reaches a switch that
// answers: a few round trips.
const promptly = 50 * time.Millisecond

// S1: a door is opened only after its intent is durable in the ledger.
func TestIntentComesFirst(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{"p3", "p1", ""})
		n.run(ctl)
		n.rest(ctl)
		if _, err := ctl.hold(n.life, tenMinutes("w1", nothing)); err != nil {
			n.Fatal(err)
		}
		for _, port := range []string{"p3", "p1"} {
			intent, sent := n.index("entry "+port+"-door: shut → opening"), n.index("SET "+port+" up")
			if intent < 0 || sent < intent {
				n.Errorf("%s: the intent is event %d, the command event %d", port, intent, sent)
			}
		}
		n.shut(ctl)
	})
}

// S1: if the ledger cannot take the entry, the door stays shut. That holds however the
// ledger fails, and the controller goes on living.
func TestLedgerThatDoesNotTakeTheIntent(t *testing.T) {
	for name, c := range map[string]func(context.Context, ledger.Entry) error{
		"refuses": func(context.Context, ledger.Entry) error { return errors.New("disk full") },
		"hangs":   func(ctx context.Context, _ ledger.Entry) error { return hang(ctx) },
		"slow and bad": func(ctx context.Context, _ ledger.Entry) error {
			wait(ctx, 5*time.Second)
			return errors.New("disk full")
		},
	} {
		t.Run(name, func(t *testing.T) {
			inNight(t, func(n *night) {
				ctl := n.started()
				n.journal.fault(c, nil)
				p, err := ctl.hold(n.life, tenMinutes("w1", nothing))
				if err == nil || !p.OpenedAt.IsZero() {
					n.Errorf("hold = opened at %s, %v; want an error, and nothing opened", p.OpenedAt, err)
				}
				n.never("SET p3 up")
				n.first("ALARM")
				n.rest(ctl)
				n.shut(ctl)
				n.journal.fault(nil, nil)
				if _, err := ctl.hold(n.life, tenMinutes("w2", nothing)); err != nil {
					n.Errorf("with the ledger mended: %v", err)
				}
			})
		})
	}
}

// S1, S2: while the ledger has not taken an intent, an order to shut is carried out,
// and what comes too late opens nothing.
func TestShutWhileTheIntentIsBeingWritten(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.started()
		n.journal.fault(slowly, nil)
		over := n.begin(n.life, ctl, tenMinutes("w1", nothing))
		time.Sleep(time.Second)
		began := time.Now()
		if err := ctl.shut(n.life, window.Vault, "user root", byHand); err != nil {
			n.Fatal(err)
		}
		if late := time.Since(began); late > promptly {
			n.Errorf("the door was proven shut %s after the order", late)
		}
		if h := <-over; h.err == nil || !h.times.OpenedAt.IsZero() {
			n.Errorf("the window: %+v", h)
		}
		time.Sleep(time.Minute)
		n.never("SET p3 up")
	})
}

// slowly is a ledger that takes its time.
func slowly(context.Context, ledger.Entry) error {
	time.Sleep(9 * time.Second)
	return nil
}

// S2: shutting waits for nothing: not for the ledger, and not for an alert.
func TestNothingHoldsUpTheShutting(t *testing.T) {
	for name, blocks := range map[string]func(n *night, ctl *controller, until <-chan struct{}){
		"ledger": func(n *night, ctl *controller, until <-chan struct{}) {
			n.journal.fault(nil, func(ledger.Entry) { <-until })
		},
		"alarm": func(n *night, ctl *controller, until <-chan struct{}) {
			n.sw.fault(func() { n.ring = func() { <-until } })
		},
	} {
		t.Run(name+", at the start", func(t *testing.T) { // S5
			inNight(t, func(n *night) {
				n.sw.move(3, true)
				ctl := n.controller("v", doors{vault: "p3"})
				until := make(chan struct{})
				blocks(n, ctl, until)
				n.run(ctl)
				time.Sleep(time.Second)
				if n.sw.up(3) {
					n.Error("the port that was found open still is")
				}
				close(until)
				n.rest(ctl)
			})
		})
		t.Run(name+", at the deadline", func(t *testing.T) { // S4
			inNight(t, func(n *night) {
				ctl := n.started()
				until := make(chan struct{})
				over := n.begin(n.life, ctl, tenMinutes("w1", func(ctx context.Context) error { <-until; return nil }))
				time.Sleep(time.Second)
				blocks(n, ctl, until)
				time.Sleep(10 * time.Minute)
				if n.sw.up(3) {
					n.Error("the port is still up a second after its time")
				}
				close(until)
				<-over
				n.shut(ctl)
			})
		})
	}
}

// S2: an order to shut reaches the switch at once, whatever the door's goroutine is
// doing when it comes.
func TestShutInTheMiddleOfACall(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(*fakeSwitch)
		after time.Duration // of the window's beginning
	}{
		"reading": {func(f *fakeSwitch) {
			f.read = func(ctx context.Context, _ *switchctl.Reading) error { return hang(ctx) }
		}, 5 * time.Second},
		"looking up for the opening": {func(f *fakeSwitch) {
			var finds atomic.Int32
			f.find = func(ctx context.Context) error {
				if finds.Add(1) == 2 { // the first is the examination before
					return hang(ctx)
				}
				return nil
			}
		}, 5 * time.Second},
		"setting up": {func(f *fakeSwitch) {
			f.set = func(ctx context.Context, c setCommand) (carriedOut, error) {
				if c.up {
					return carriedOut{}, hang(ctx)
				}
				return carriedOut{}, nil
			}
		}, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inNight(t, func(n *night) {
				ctl := n.started()
				if name != "reading" {
					n.sw.fault(func() { c.fault(n.sw) })
				}
				ctx, cancel := context.WithCancel(n.life)
				over := n.begin(ctx, ctl, tenMinutes("w1", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
				time.Sleep(time.Second)
				if name == "reading" {
					n.sw.fault(func() { c.fault(n.sw) })
				}
				time.Sleep(c.after)
				asked := time.Since(n.begun)
				cancel()
				time.Sleep(time.Second)
				n.sw.fault(func() { n.sw.read = nil })
				if sent := n.first("SET p3 down"); sent.at-asked > promptly {
					n.Errorf("the command to shut left %s after the order", sent.at-asked)
				}
				if opened := n.all("SET p3 up"); len(opened) > 0 && opened[len(opened)-1].at > asked {
					n.Errorf("a command to open left %s after the order to shut", opened[len(opened)-1].at-asked)
				}
				<-over
				n.shut(ctl)
			})
		})
	}
}

// S2: a session that another door is making with the same switch does not hold up a
// shutting for longer than it has to.
func TestShutWhileTheOtherDoorDials(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.started()
		other := n.controller("w", doors{vault: "p4"})
		over := n.begin(n.life, ctl, tenMinutes("w1", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
		time.Sleep(time.Second)
		n.sw.fault(func() {
			n.sw.dial = func(ctx context.Context) error { return hang(ctx) }
			n.sw.read = func(context.Context, *switchctl.Reading) error { return errors.New("connection lost") }
		})
		time.Sleep(2100 * time.Millisecond) // k's look fails, and its session is dropped
		n.run(other)
		n.sw.fault(func() {
			var dials atomic.Int32
			n.sw.dial = func(ctx context.Context) error {
				if dials.Add(1) == 1 {
					return hang(ctx)
				}
				return nil
			}
			n.sw.read = nil
		})
		time.Sleep(time.Second)
		began := time.Now()
		if err := ctl.shut(n.life, window.Vault, "user root", byHand); err != nil {
			n.Fatal(err)
		}
		if late := time.Since(began); late > promptly {
			n.Errorf("proven shut %s after the order", late)
		}
		<-over
	})
}

// S2: a session that another door has given up costs a shutting no more than a new one.
func TestShutOnASessionThatEnded(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.started()
		over := n.begin(n.life, ctl, tenMinutes("w1", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
		time.Sleep(time.Second)
		for _, s := range n.sw.sessions {
			if err := n.session.drop(s); err != nil {
				n.Fatal(err)
			}
		}
		began := time.Now()
		if err := ctl.shut(n.life, window.Vault, "user root", byHand); err != nil {
			n.Fatal(err)
		}
		if late := time.Since(began); late > promptly {
			n.Errorf("proven shut %s after the order", late)
		}
		<-over
	})
}

// S3: only a read-back of ifAdminStatus down, ifOperStatus no longer up and, with a
// probe, a silent vault make a door shut. What is unknown counts as open. S12: until
// then it is stuck, with an alarm.
func TestWhatIsNoProof(t *testing.T) {
	vault := freeAddress(t)
	lie := func(change func(*switchctl.Reading)) func(context.Context, *switchctl.Reading) error {
		return func(_ context.Context, r *switchctl.Reading) error {
			if r.Row.Admin == switchctl.AdminDown {
				change(r)
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		read  func(context.Context, *switchctl.Reading) error
		probe string
	}{
		"link still up":       {lie(func(r *switchctl.Reading) { r.Row.Oper = switchctl.OperUp }), ""},
		"link not read":       {lie(func(r *switchctl.Reading) { r.Row.Oper = switchctl.OperNotRead }), ""},
		"link unknown":        {lie(func(r *switchctl.Reading) { r.Row.Oper = switchctl.OperUnknown }), ""},
		"admin not read":      {lie(func(r *switchctl.Reading) { r.Row.Admin = switchctl.AdminUnknown }), ""},
		"admin testing":       {lie(func(r *switchctl.Reading) { r.Row.Admin = switchctl.AdminTesting }), ""},
		"vault still answers": {nil, vault},
		"no reading at all":   {func(context.Context, *switchctl.Reading) error { return switchctl.ErrTimeout }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inNight(t, func(n *night) {
				ctl := n.controller("v", doors{vault: "p3", probe: c.probe})
				n.run(ctl)
				n.rest(ctl)
				over := n.begin(n.life, ctl, tenMinutes("w1", func(ctx context.Context) error {
					return wait(ctx, time.Minute)
				}))
				time.Sleep(30 * time.Second)
				n.sw.fault(func() { n.sw.read = c.read })
				if c.probe != "" {
					l, err := net.Listen("tcp", c.probe) // the kernel answers; nobody has to accept
					if err != nil {
						n.Fatal(err)
					}
					defer l.Close()
				}
				h := <-over
				if !errors.Is(h.err, ErrNotShut) {
					n.Errorf("the window ended with %v, want ErrNotShut", h.err)
				}
				if got := phase(ctl, window.Vault); got != window.Stuck {
					n.Errorf("the door is believed %s, want stuck", got)
				}
				n.first("ALARM door p3-door cannot be proven shut")
				if _, err := ctl.hold(n.life, tenMinutes("w2", nothing)); !errors.Is(err, ErrRefused) {
					n.Errorf("the next window: %v, want ErrRefused", err)
				}
			})
		})
	}
}

// freeAddress is one at which nothing answers.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// S4: no copy, retry or hang moves the deadline.
func TestDeadline(t *testing.T) {
	for name, fault := range map[string]func(*fakeSwitch){
		"work hangs": func(*fakeSwitch) {},
		"work and reading hang": func(f *fakeSwitch) {
			f.read = func(ctx context.Context, _ *switchctl.Reading) error { return hang(ctx) }
		},
		"reading fails": func(f *fakeSwitch) {
			f.read = func(context.Context, *switchctl.Reading) error { return switchctl.ErrTimeout }
		},
		"the port seems shut too": func(f *fakeSwitch) {},
	} {
		t.Run(name, func(t *testing.T) {
			inNight(t, func(n *night) {
				ctl := n.started()
				until := make(chan struct{})
				over := n.begin(n.life, ctl, tenMinutes("w1", func(context.Context) error { <-until; return nil }))
				time.Sleep(time.Minute)
				n.sw.fault(func() { fault(n.sw) })
				time.Sleep(9*time.Minute - time.Second)
				if !n.sw.up(3) {
					n.Fatal("the port is down before its time")
				}
				time.Sleep(time.Second + promptly)
				n.sw.fault(func() { n.sw.read = nil })
				opened, shut := n.first("SET p3 up"), n.first("SET p3 down")
				if open := shut.at - opened.at; open > 10*time.Minute+promptly {
					n.Errorf("the command to shut left %s after the one to open", open)
				}
				if h := <-over; h.err == nil || !strings.Contains(h.err.Error(), "time is up") {
					n.Errorf("the window ended with %v", h.err)
				}
				n.shut(ctl)
				close(until)
			})
		})
	}
}

// S4: the deadline runs from the command to open, also where the port is never read
// back as open.
func TestOpeningThatIsNeverSeen(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.started()
		n.sw.fault(func() {
			n.sw.set = func(ctx context.Context, c setCommand) (carriedOut, error) {
				if c.up {
					return carriedOut{lost: true}, switchctl.ErrTimeout
				}
				return carriedOut{}, nil
			}
		})
		_, err := ctl.hold(n.life, tenMinutes("w1", nothing))
		if err == nil || !strings.Contains(err.Error(), "not read back as open in time") {
			n.Errorf("the window ended with %v", err)
		}
		n.shut(ctl)
		// A command that timed out may still be carried out: shut is believed only later.
		proven, last := n.first("entry p3-door: shutting → shut"), n.all("SET p3 up")
		if lag := proven.at - last[len(last)-1].at; lag < 20*time.Second {
			n.Errorf("proven shut %s after a command to open that nobody confirmed", lag)
		}
	})
}

// S5: on start-up every door is read back, and any that is not shut is shut, with an
// entry that says so.
func TestFoundOpen(t *testing.T) {
	inNight(t, func(n *night) {
		n.sw.move(3, true)
		ctl := n.controller("v", doors{vault: "p3"})
		n.run(ctl)
		switch _, err := ctl.hold(n.life, tenMinutes("w1", nothing)); {
		case err == nil: // its own look came after the door was shut
			if opened, proven := n.first("SET p3 up"), n.first("entry p3-door: shutting → shut"); opened.at < proven.at {
				n.Errorf("opened after %s, proven shut after %s", opened.at, proven.at)
			}
		case errors.Is(err, ErrRefused):
			n.never("SET p3 up")
		default:
			n.Errorf("a window at the start: %v, want ErrRefused", err)
		}
		n.rest(ctl)
		if sent := n.first("SET p3 down"); sent.at > promptly {
			n.Errorf("the command to shut left %s after the start", sent.at)
		}
		n.shut(ctl)
		n.first("ALARM door p3-door was found open")
		e := n.journal.all()[0]
		var d doorDetail
		if err := json.Unmarshal(e.Detail, &d); err != nil {
			n.Fatal(err)
		}
		if e.Actor != "start-up" || e.From != "unknown" || e.To != "shutting" || d.Reading == nil || d.Reading.Admin != int(switchctl.AdminUp) {
			n.Errorf("the first entry is %+v", e)
		}
	})
}

// S3, S5: a door that cannot be read at the start counts as open, and is told to shut.
func TestUnreadableAtTheStart(t *testing.T) {
	inNight(t, func(n *night) {
		n.sw.move(3, true)
		n.sw.fault(func() { n.sw.read = func(context.Context, *switchctl.Reading) error { return switchctl.ErrTimeout } })
		ctl := n.controller("v", doors{vault: "p3"})
		n.run(ctl)
		if err := ctl.settle(n.life); !errors.Is(err, ErrNotShut) {
			n.Errorf("settle = %v, want ErrNotShut", err)
		}
		if sent := n.first("SET p3 down"); sent.at > 13*time.Second {
			n.Errorf("the command to shut left only %s after the start", sent.at)
		}
		n.first("ALARM door p3-door could not be read")
		n.sw.fault(func() { n.sw.read = nil })
		time.Sleep(2 * time.Minute)
		n.shut(ctl)
	})
}

// neverBoth fails if p1 and one of the vaults' ports were up at once.
func (n *night) neverBoth() {
	n.Helper()
	up := map[string]bool{"p1": true}
	for _, e := range n.all(" is ") {
		port, state, _ := strings.Cut(e.what, " is ")
		up[port] = state == "up"
		if up["p1"] && (up["p3"] || up["p4"]) {
			n.Errorf("S6: both doors were open %s after the start", e.at)
		}
	}
}

// S6: the vault's door opens only once the inner door is proven shut, and the inner
// door opens again only once the vault's is. Never both.
func TestInnerDoor(t *testing.T) {
	for name, fault := range map[string]func(*fakeSwitch){
		"no fault": func(*fakeSwitch) {},
		"slow switch": func(f *fakeSwitch) {
			f.set = func(context.Context, setCommand) (carriedOut, error) { return carriedOut{after: 5 * time.Second}, nil }
		},
		"forgetful one": func(f *fakeSwitch) { f.set = forgetful(2) },
	} {
		t.Run(name, func(t *testing.T) {
			inNight(t, func(n *night) {
				fault(n.sw)
				ctl := n.controller("v", doors{"p3", "p1", ""})
				n.run(ctl)
				n.rest(ctl)
				worked := false
				_, err := ctl.hold(n.life, tenMinutes("w1", func(context.Context) error {
					worked = n.sw.up(3) && !n.sw.up(1)
					return nil
				}))
				if err != nil || !worked {
					n.Fatalf("the window: %v; inside, the vault's door alone was open: %t", err, worked)
				}
				n.rest(ctl)
				n.neverBoth()
				n.shut(ctl)
				if !n.sw.up(1) {
					n.Error("the inner door was not opened again")
				}
				if a, b := n.index("entry p1-door: shutting → shut"), n.index("SET p3 up"); a < 0 || b < a {
					n.Errorf("the inner door's proof is event %d, the vault's opening event %d", a, b)
				}
			})
		})
	}
}

// forgetful loses all but each nth SET.
func forgetful(nth int) func(context.Context, setCommand) (carriedOut, error) {
	sets := 0
	return func(context.Context, setCommand) (carriedOut, error) {
		sets++
		return carriedOut{lost: sets%nth != 0}, nil
	}
}

// S6: an inner door that cannot be proven shut keeps the vault's door shut.
func TestInnerDoorThatStaysUp(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{"p3", "p1", ""})
		n.run(ctl)
		n.rest(ctl)
		n.sw.fault(func() {
			n.sw.set = func(_ context.Context, c setCommand) (carriedOut, error) { return carriedOut{lost: c.index == 1}, nil }
		})
		if _, err := ctl.hold(n.life, tenMinutes("w1", nothing)); !errors.Is(err, ErrNotShut) {
			n.Errorf("the window: %v, want ErrNotShut", err)
		}
		n.never("SET p3 up")
		n.sw.fault(func() { n.sw.set = nil })
		time.Sleep(3 * time.Minute)
		if !n.sw.up(1) {
			n.Error("the inner door was not opened again")
		}
	})
}

// S6: two vaults share an inner door. While one has a window, the other's is refused,
// and only the first opens the inner door again.
func TestSharedInnerDoor(t *testing.T) {
	inNight(t, func(n *night) {
		a, b := n.controller("a", doors{"p3", "p1", ""}), n.controller("b", doors{"p4", "p1", ""})
		n.run(a, b)
		n.rest(a, b)
		until := make(chan struct{})
		over := n.begin(n.life, a, tenMinutes("a1", func(context.Context) error { <-until; return nil }))
		time.Sleep(time.Second)
		if _, err := b.hold(n.life, tenMinutes("b1", nothing)); !errors.Is(err, ErrRefused) {
			n.Errorf("the second window: %v, want ErrRefused", err)
		}
		if n.sw.up(1) || !n.sw.up(3) {
			n.Error("the refused window moved a door of the other")
		}
		close(until)
		if h := <-over; h.err != nil {
			n.Error(h.err)
		}
		if !n.sw.up(1) {
			n.Error("the inner door was not opened again")
		}
		if _, err := b.hold(n.life, tenMinutes("b2", nothing)); err != nil {
			n.Errorf("the second window, later: %v", err)
		}
		n.neverBoth()
		if !n.sw.up(1) {
			n.Error("the inner door was not opened again")
		}
	})
}

// S6: while one vault's door is stuck, no controller opens the inner door, neither after a
// window of its own nor because it is owed from an earlier run.
func TestSharedInnerDoorWhileOneVaultIsStuck(t *testing.T) {
	stuck := func(n *night) {
		n.sw.fault(func() {
			n.sw.set = func(_ context.Context, c setCommand) (carriedOut, error) {
				return carriedOut{lost: c.index == 3 && !c.up}, nil
			}
		})
	}
	mend := func(n *night, controllers ...*controller) {
		time.Sleep(3 * time.Minute)
		n.neverBoth()
		n.sw.fault(func() { n.sw.set = nil })
		time.Sleep(3 * time.Minute)
		n.rest(controllers...)
		n.neverBoth()
		n.shut(controllers[0])
		if !n.sw.up(1) {
			n.Error("the inner door was not opened again")
		}
	}
	t.Run("owed from an earlier run", func(t *testing.T) {
		inNight(t, func(n *night) {
			n.sw.move(1, false)
			n.sw.move(3, true)
			stuck(n)
			a, b := n.controller("a", doors{"p3", "p1", ""}), n.controller("b", doors{"p4", "p1", ""})
			a.inbox <- stepped{window.Owe{At: time.Now()}}
			b.inbox <- stepped{window.Owe{At: time.Now()}}
			n.run(a, b)
			mend(n, a, b)
		})
	})
	t.Run("after a window of the other", func(t *testing.T) {
		inNight(t, func(n *night) {
			a, b := n.controller("a", doors{"p3", "p1", ""}), n.controller("b", doors{"p4", "p1", ""})
			n.run(a, b)
			n.rest(a, b)
			stuck(n)
			if _, err := a.hold(n.life, tenMinutes("a1", nothing)); !errors.Is(err, ErrNotShut) {
				n.Errorf("the window of a: %v", err)
			}
			// One vault's stuck door does not keep the other from its window.
			if p, err := b.hold(n.life, tenMinutes("b1", nothing)); err != nil || p.OpenedAt.IsZero() || p.ProvenAt.IsZero() {
				n.Errorf("the window of b: %+v, %v", p, err)
			}
			mend(n, a, b)
		})
	})
}

// S6: an inner door that does not open again is not opened behind the back of another
// vault's window.
func TestInnerDoorThatDoesNotOpenAgain(t *testing.T) {
	inNight(t, func(n *night) {
		a, b := n.controller("a", doors{"p3", "p1", ""}), n.controller("b", doors{"p4", "p1", ""})
		n.run(a, b)
		n.rest(a, b)
		n.sw.fault(func() {
			n.sw.set = func(_ context.Context, c setCommand) (carriedOut, error) {
				return carriedOut{lost: c.index == 1 && c.up}, nil
			}
		})
		if _, err := a.hold(n.life, tenMinutes("a1", nothing)); err != nil {
			n.Errorf("the window of a: %v", err)
		}
		if n.sw.up(1) {
			n.Fatal("the inner door is open: there is nothing to test")
		}
		n.first("ALARM door p1-door does not open again")
		b.hold(n.life, tenMinutes("b1", func(ctx context.Context) error {
			n.sw.fault(func() { n.sw.set = nil })
			return wait(ctx, 5*time.Minute)
		}))
		n.sw.fault(func() { n.sw.set = nil })
		time.Sleep(3 * time.Minute)
		n.neverBoth()
		if !n.sw.up(1) {
			n.Error("the inner door was not opened again")
		}
	})
}

// S7: no match, two matches or another description: nothing is sent.
func TestLookupThatFails(t *testing.T) {
	for name, change := range map[string]func(*fakeSwitch){
		"no match":     func(f *fakeSwitch) { f.row(3).Name = "p33" },
		"two matches":  func(f *fakeSwitch) { f.row(4).Name = "p3" },
		"an aggregate": func(f *fakeSwitch) { f.row(3).Type = 161 },
		"a bad switch": func(f *fakeSwitch) { f.find = func(context.Context) error { return switchctl.ErrAuth } },
	} {
		t.Run(name, func(t *testing.T) {
			inNight(t, func(n *night) {
				ctl := n.started()
				n.sw.fault(func() { change(n.sw) })
				if _, err := ctl.hold(n.life, tenMinutes("w1", nothing)); !errors.Is(err, ErrRefused) {
					n.Errorf("the window: %v, want ErrRefused", err)
				}
				n.never("SET")
			})
		})
	}
}

// A switch that does not answer before anything was sent to the port is said to be what
// is wrong, at once: nothing can come of a command that never left.
func TestOpeningThatNeverLeft(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{vault: "p3"})
		n.run(ctl)
		n.rest(ctl)
		finds := 0
		n.sw.fault(func() {
			n.sw.find = func(ctx context.Context) error {
				if finds++; finds == 1 { // before the intent, the door is looked at
					return nil
				}
				return hang(ctx)
			}
		})
		over := n.begin(n.life, ctl, tenMinutes("w1", func(context.Context) error {
			n.Error("the work began")
			return nil
		}))
		time.Sleep(findWithin + time.Second)
		n.sw.fault(func() { n.sw.find = nil })
		h := <-over
		if h.err == nil || !strings.Contains(h.err.Error(), switchctl.ErrTimeout.Error()) {
			n.Errorf("the window ended with %v; want what the switch did", h.err)
		}
		if at := n.first("entry p3-door: opening → shutting").at; at > findWithin+time.Second {
			n.Errorf("it was known after %s", at)
		}
		n.never("p3 is up")
		n.shut(ctl)
	})
}

// S7: the port is renamed while its door is open. No command goes to the row that has
// the name now, the door is stuck, and a person is called; once the name is back, it
// is shut.
func TestRenamedInMidWindow(t *testing.T) {
	for name, change := range map[string]func(*fakeSwitch){
		"renamed":             func(f *fakeSwitch) { f.row(3).Name = "p9" },
		"two of the name":     func(f *fakeSwitch) { f.row(4).Name = "p3" },
		"swapped":             func(f *fakeSwitch) { f.row(3).Name, f.row(4).Name = "p4", "p3" },
		"name taken by other": func(f *fakeSwitch) { f.row(3).Name, f.row(4).Name = "p9", "p3" },
	} {
		t.Run(name, func(t *testing.T) {
			inNight(t, func(n *night) {
				ctl := n.started()
				over := n.begin(n.life, ctl, tenMinutes("w1", func(ctx context.Context) error { return wait(ctx, time.Hour) }))
				time.Sleep(time.Minute)
				n.sw.fault(func() { change(n.sw) })
				h := <-over
				time.Sleep(time.Hour)
				if name == "two of the name" {
					// The port that was found keeps its identity, so it is shut; only an
					// opening would ask for the name again.
					n.shut(ctl)
					return
				}
				if !errors.Is(h.err, ErrNotShut) {
					n.Errorf("the window: %v, want ErrNotShut", h.err)
				}
				n.never("down")
				n.first("ALARM door p3-door cannot be proven shut")
				n.sw.fault(func() { n.sw.row(3).Name, n.sw.row(4).Name = "p3", "p4" })
				time.Sleep(2 * time.Minute)
				n.shut(ctl)
			})
		})
	}
}

// S7: a switch that restarts in mid-window may give the port another index; its name
// finds it again.
func TestRenumberedInMidWindow(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.started()
		over := n.begin(n.life, ctl, tenMinutes("w1", func(ctx context.Context) error { return wait(ctx, 2*time.Minute) }))
		time.Sleep(time.Minute)
		n.sw.fault(func() {
			n.sw.restarted = time.Now()
			n.sw.ports = []switchctl.Row{
				{Index: 3, Name: "p1", Type: 6, Admin: switchctl.AdminUp, Oper: switchctl.OperUp},
				{Index: 5, Name: "p3", Type: 6, Admin: switchctl.AdminUp, Oper: switchctl.OperUp},
			}
		})
		if h := <-over; h.err != nil {
			n.Error(h.err)
		}
		if n.sw.up(5) || !n.sw.up(3) {
			n.Error("the wrong port was shut")
		}
	})
}

// S10, S2: a window that is cancelled at any instant ends with its door shut, proven,
// and with the inner door open again.
func TestCancelAtAnyInstant(t *testing.T) {
	slow := func(f *fakeSwitch) {
		f.find = func(ctx context.Context) error { return wait(ctx, 40*time.Millisecond) }
		f.set = func(ctx context.Context, _ setCommand) (carriedOut, error) {
			return carriedOut{after: 30 * time.Millisecond}, wait(ctx, 20*time.Millisecond)
		}
	}
	for at := time.Duration(0); at < 700*time.Millisecond; at += 3 * time.Millisecond {
		inNight(t, func(n *night) {
			ctl := n.controller("v", doors{"p3", "p1", ""})
			slow(n.sw)
			n.run(ctl)
			n.rest(ctl)
			ctx, cancel := context.WithCancel(n.life)
			over := n.begin(ctx, ctl, tenMinutes("w1", func(ctx context.Context) error { return wait(ctx, 100*time.Millisecond) }))
			time.Sleep(at)
			cancel()
			h := <-over
			n.shut(ctl)
			n.rest(ctl)
			n.neverBoth()
			if !n.sw.up(1) {
				n.Errorf("cancelled after %s: the inner door was not opened again", at)
			}
			if errors.Is(h.err, ErrNotShut) {
				n.Errorf("cancelled after %s: %v", at, h.err)
			}
			time.Sleep(time.Minute)
			n.shut(ctl)
		})
		if t.Failed() {
			t.Fatalf("cancelled after %s", at)
		}
	}
}

// S12: a stuck door is told to shut again and again, for ever, later windows are
// refused, and once it is proven shut they are held again.
func TestStuck(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.started()
		n.sw.fault(func() {
			n.sw.set = func(_ context.Context, c setCommand) (carriedOut, error) { return carriedOut{lost: !c.up}, nil }
		})
		if _, err := ctl.hold(n.life, tenMinutes("w1", nothing)); !errors.Is(err, ErrNotShut) {
			n.Errorf("the window: %v, want ErrNotShut", err)
		}
		stuckAt := n.first("ALARM door p3-door cannot be proven shut").at
		time.Sleep(12 * time.Hour)
		var tries []time.Duration
		for _, e := range n.all("SET p3 down") {
			if e.at >= stuckAt {
				tries = append(tries, e.at)
			}
		}
		for i := 2; i < len(tries); i++ {
			this, last := tries[i]-tries[i-1], tries[i-1]-tries[i-2]
			if this > time.Minute+promptly || this < last-promptly {
				n.Errorf("try %d came %s after the one before, which came %s after its own", i, this, last)
			}
		}
		if len(tries) < 12*60-10 {
			n.Errorf("%d tries in 12 hours", len(tries))
		}
		if got := len(n.all("ALARM")); got != 1 {
			n.Errorf("%d alarms, want one at the beginning", got)
		}
		if _, err := ctl.hold(n.life, tenMinutes("w2", nothing)); !errors.Is(err, ErrRefused) {
			n.Errorf("the next window: %v, want ErrRefused", err)
		}
		n.sw.fault(func() { n.sw.set = nil })
		time.Sleep(time.Minute + promptly)
		n.shut(ctl)
		n.first("ALARM door p3-door is proven shut after all")
		if _, err := ctl.hold(n.life, tenMinutes("w3", nothing)); err != nil {
			n.Errorf("a window after that: %v", err)
		}
	})
}

// Exposure is the time from sending the command that opens a door to the first
// read-back of ifAdminStatus down.
func TestExposure(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.started()
		n.sw.fault(func() {
			n.sw.set = func(ctx context.Context, c setCommand) (carriedOut, error) {
				return carriedOut{after: 70 * time.Millisecond}, wait(ctx, 50*time.Millisecond)
			}
		})
		n.sw.fault(func() {
			n.sw.read = func(_ context.Context, r *switchctl.Reading) error { // ifOperStatus lags
				if down := n.all("p3 is down"); len(down) > 0 && time.Since(n.begun) < down[len(down)-1].at+4*time.Second {
					r.Row.Oper = switchctl.OperUp
				}
				return nil
			}
		})
		p, err := ctl.hold(n.life, tenMinutes("w1", func(ctx context.Context) error { return wait(ctx, time.Minute) }))
		if err != nil {
			n.Fatal(err)
		}
		sent, down := n.first("SET p3 up"), n.first("p3 is down")
		really := down.at - sent.at
		if got := p.Exposure(); got < really || got > really+100*time.Millisecond {
			n.Errorf("exposure %s, but from the command to the port's going down it took %s", got, really)
		}
		if proof := p.ProvenAt.Sub(p.DownAt); proof < 3900*time.Millisecond || proof > 4100*time.Millisecond {
			n.Errorf("the proof took %s, want 4 s", proof)
		}
		entries := n.journal.all()
		var d doorDetail
		if err := json.Unmarshal(entries[len(entries)-1].Detail, &d); err != nil || d.Exposure != p.Exposure().Seconds() {
			n.Errorf("the last entry tells an exposure of %g s (%v), want %g", d.Exposure, err, p.Exposure().Seconds())
		}
	})
}

// Exposure goes on counting if the proof of closure fails: the door may have been
// opened again, or never been shut.
func TestExposureGoesOnWithoutProof(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.started()
		n.sw.fault(func() {
			n.sw.read = func(_ context.Context, r *switchctl.Reading) error {
				if len(n.all("p3 is down")) > 0 {
					r.Row.Oper = switchctl.OperUp
				}
				return nil
			}
		})
		p, err := ctl.hold(n.life, tenMinutes("w1", nothing))
		if !errors.Is(err, ErrNotShut) || p.Exposure() < time.Minute || !p.DownAt.IsZero() {
			n.Errorf("exposure %s, down at %s (%v); want more than a minute, nothing, and ErrNotShut", p.Exposure(), p.DownAt, err)
		}
		time.Sleep(time.Hour)
		n.sw.fault(func() { n.sw.read = nil })
		time.Sleep(2 * time.Minute)
		n.shut(ctl)
		var d doorDetail
		entries := n.journal.all()
		if err := json.Unmarshal(entries[len(entries)-1].Detail, &d); err != nil || d.Exposure < time.Hour.Seconds() {
			n.Errorf("the last entry tells an exposure of %g s (%v), want more than an hour", d.Exposure, err)
		}
	})
}

// A switch that comes and goes: a session that failed is made anew, and none is left
// behind.
func TestSessionsAreMadeAnew(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.started()
		for i := range 20 {
			n.sw.fault(func() {
				n.sw.read = func(context.Context, *switchctl.Reading) error { return errors.New("connection lost") }
			})
			if _, err := ctl.hold(n.life, tenMinutes(fmt.Sprint("lost", i), nothing)); !errors.Is(err, ErrRefused) {
				n.Fatalf("round %d: %v, want ErrRefused", i, err)
			}
			n.sw.fault(func() { n.sw.read = nil })
			if _, err := ctl.hold(n.life, tenMinutes(fmt.Sprint("mended", i), nothing)); err != nil {
				n.Fatalf("round %d: %v", i, err)
			}
		}
		if len(ctl.ended) != 0 {
			n.Errorf("the controller remembers %d windows that are over", len(ctl.ended))
		}
		if n.sw.open > 1 {
			n.Errorf("%d sessions are open", n.sw.open)
		}
	})
}

// An order to shut returns when the door is proven shut, also where it comes while the
// door is on its way already, and twice over.
func TestShutOrders(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{"p3", "p1", ""})
		n.run(ctl)
		n.rest(ctl)
		over := n.begin(n.life, ctl, tenMinutes("w1", func(ctx context.Context) error { return wait(ctx, time.Hour) }))
		time.Sleep(time.Second)
		n.sw.fault(func() {
			n.sw.set = func(context.Context, setCommand) (carriedOut, error) { return carriedOut{after: time.Second}, nil }
		})
		errs := make(chan error)
		orders := 0
		for _, side := range []window.Side{window.Vault, window.Inner} {
			for i := range 50 {
				orders++
				go func() {
					time.Sleep(time.Duration(i) * 25 * time.Millisecond)
					errs <- ctl.shut(n.life, side, "user root", byHand)
				}()
			}
		}
		for range orders {
			if err := <-errs; err != nil {
				n.Error(err)
			}
		}
		if h := <-over; h.err == nil {
			n.Error("the window ended well")
		}
		n.shut(ctl)
		time.Sleep(time.Minute)
		if n.sw.up(1) {
			n.Error("the inner door was opened again, though a person shut it")
		}
		n.neverBoth()
	})
}

// Two doors are looked at, each at its own pace.
func TestPaces(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{"p3", "p1", ""})
		n.run(ctl)
		n.rest(ctl)
		n.sw.fault(func() {
			n.sw.set = func(_ context.Context, c setCommand) (carriedOut, error) { return carriedOut{lost: c.index == 1}, nil }
		})
		reads := map[int]int{}
		n.sw.fault(func() {
			n.sw.read = func(_ context.Context, r *switchctl.Reading) error {
				n.sw.fault(func() { reads[r.Row.Index]++ })
				return nil
			}
		})
		over := n.begin(n.life, ctl, tenMinutes("w1", nothing))
		time.Sleep(50 * time.Second)
		synctest.Wait()
		n.sw.fault(func() {
			if reads[1] < 1000 {
				n.Errorf("the inner door that is shutting was read %d times in 50 s", reads[1])
			}
			clear(reads)
		})
		<-over
		time.Sleep(100 * time.Second)
		n.sw.fault(func() {
			if reads[1] > 1000 {
				n.Errorf("the inner door that is stuck was read %d times in 100 s", reads[1])
			}
			n.sw.set = nil
		})
	})
}

// S3: a command to open that nobody confirmed may still be carried out. Until it cannot
// be any more, a port that reads down is not believed shut, whatever became of the
// commands after it.
func TestOpeningThatComesLate(t *testing.T) {
	late := func(ctx context.Context, err error) (carriedOut, error) {
		return carriedOut{after: 12 * time.Second}, err
	}
	for name, fault := range map[string]func(*fakeSwitch){
		"connection lost": func(f *fakeSwitch) {
			f.set = func(ctx context.Context, c setCommand) (carriedOut, error) {
				if c.up {
					return late(ctx, net.ErrClosed)
				}
				return carriedOut{}, nil
			}
		},
		"no answer, and then a refusal": func(f *fakeSwitch) {
			var sets atomic.Int32
			f.set = func(ctx context.Context, c setCommand) (carriedOut, error) {
				switch {
				case !c.up:
					return carriedOut{}, nil
				case sets.Add(1) > 1:
					return carriedOut{}, switchctl.ErrRefused
				}
				return carriedOut{after: 15 * time.Second}, hang(ctx)
			}
			f.read = func(context.Context, *switchctl.Reading) error { return nil }
		},
		"after a long look-up": func(f *fakeSwitch) {
			var finds atomic.Int32
			f.find = func(ctx context.Context) error {
				if finds.Add(1) == 2 { // the first is the examination before
					return wait(ctx, 19*time.Second)
				}
				return nil
			}
			f.set = func(ctx context.Context, c setCommand) (carriedOut, error) {
				if c.up {
					return late(ctx, hang(ctx))
				}
				return carriedOut{}, nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inNight(t, func(n *night) {
				ctl := n.started()
				n.sw.fault(func() { fault(n.sw) })
				over := n.begin(n.life, ctl, tenMinutes("w1", nothing))
				for range 3 * 60 * 10 {
					time.Sleep(100 * time.Millisecond)
					synctest.Wait()
					if believed := phase(ctl, window.Vault); n.sw.up(3) && believed == window.Shut {
						n.Fatal("the port is up, and the controller believes it shut")
					}
				}
				<-over
				n.shut(ctl)
				if len(n.all("p3 is up")) == 0 {
					n.Error("the port never went up: there was nothing to test")
				}
			})
		})
	}
}

// An order to shut returns also where the proof was read just before it came, and is
// told just after.
func TestShutOrderBetweenReadingAndTelling(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{vault: "p3"})
		n.hands.Go(ctl.run) // and no door: the sightings are ours
		n.hands.Go(func() { ctl.queue.Run(n.life) })
		ctl.post(sighted{window.Vault, sighting{at: time.Now(), sight: window.Sight{Read: true, Up: true}}})
		time.Sleep(time.Second)
		read := time.Now()
		time.Sleep(time.Millisecond)
		done := make(chan error, 1)
		go func() { done <- ctl.shut(n.life, window.Vault, "user root", byHand) }()
		synctest.Wait()
		ctl.post(sighted{window.Vault, sighting{at: read, sight: window.Sight{Read: true}}})
		select {
		case err := <-done:
			if err != nil {
				n.Error(err)
			}
		case <-time.After(time.Minute):
			n.Error("the order does not return, though the door is shut")
		}
	})
}
