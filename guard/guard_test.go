package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"airlock/lease"
	"airlock/ledger"
	"airlock/policies"
	"airlock/switchctl"
)

// promptly is what a few round trips may take.
const promptly = 200 * time.Millisecond

// S4: the executor is killed at any moment: the door is shut as its lease runs out.
func TestExecutorThatDies(t *testing.T) {
	for _, after := range []time.Duration{0, 10 * time.Millisecond, 3 * time.Second, 5 * time.Second, 61 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			guarding(t, func(s *site) {
				time.Sleep(after % interval) // against the guard's own beat
				s.issue(45 * time.Minute)
				s.renew(after)
				last := s.elapsed()
				if !s.sw.up("p3") {
					s.Fatal("the door was shut under a valid lease")
				}
				time.Sleep(ttl + interval)
				s.down(last+ttl, last+ttl+promptly)
				s.says("vault-door open → shutting", "vault-door ALARM stands open without a lease", "vault-door shutting → shut")
			})
		})
	}
}

// A valid lease leaves the door alone, and one that is withdrawn after the door was
// shut is nothing to speak of.
func TestValidLease(t *testing.T) {
	guarding(t, func(s *site) {
		s.issue(45 * time.Minute)
		s.renew(40 * time.Minute)
		s.sw.move("p3", switchctl.AdminDown)
		if err := s.folder.Withdraw("vault-door"); err != nil {
			s.Fatal(err)
		}
		time.Sleep(time.Hour)
		if n := s.sw.sent("p3"); n != 0 {
			s.Errorf("%d commands were sent", n)
		}
		s.says()
	})
}

// S4: a deadline that has passed shuts the door, however often the lease is renewed;
// and max_open does, though the lease has a deadline of its own far away.
func TestDeadlineIsNotMoved(t *testing.T) {
	for name, c := range map[string]struct{ deadline, max time.Duration }{
		"deadline": {10 * time.Minute, 10 * time.Minute},
		"max_open": {100 * time.Hour, 45 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			guarding(t, func(s *site) {
				s.issue(c.deadline)
				for s.elapsed() < c.max+interval+time.Second { // renewed, come what may
					time.Sleep(time.Second)
					now, _ := s.clock()
					if l, err := s.folder.Renew(s.held, now, ttl); err == nil {
						s.held = l
					}
				}
				s.down(c.max, c.max+interval+promptly)
			})
		})
	}
}

// S4: a door that stays open from one window to the next has stood open for max_open
// when both together have; ifLastChange tells.
func TestWindowsOnEndIsOneOpening(t *testing.T) {
	for name, reopened := range map[string]bool{"left open": false, "shut between two looks": true} {
		t.Run(name, func(t *testing.T) {
			guarding(t, func(s *site) {
				s.issue(45 * time.Minute)
				s.sw.fault(func() { s.sw.row("p3").LastChange = time.Hour })
				s.renew(30 * time.Minute)
				s.window = "w2"
				s.issue(45 * time.Minute)
				if reopened {
					s.sw.fault(func() { s.sw.row("p3").LastChange += time.Minute })
				}
				s.renew(20 * time.Minute)
				if s.sw.up("p3") != reopened {
					s.Errorf("it stands open: %t", s.sw.up("p3"))
				}
				if !reopened {
					s.down(45*time.Minute, 45*time.Minute+interval+promptly)
				}
			})
		})
	}
}

// S4: the wall clock has no part in it. (The leases' clock is the one since the boot.)
func TestWallClockIsStepped(t *testing.T) {
	for _, step := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			guarding(t, func(s *site) {
				s.issue(45 * time.Minute)
				s.misread(func(l *lease.Lease) error {
					l.Issued, l.Until, l.Deadline = l.Issued.Add(step), l.Until.Add(step), l.Deadline.Add(step)
					return nil
				})
				s.renew(time.Minute)
				if !s.sw.up("p3") {
					s.Error("a valid lease was not believed")
				}
				last := s.elapsed()
				time.Sleep(ttl + interval)
				s.down(last+ttl, last+ttl+promptly)
			})
		})
	}
}

// S4: with the executor's state out of reach everything is overdue.
func TestLeasesThatCannotBeRead(t *testing.T) {
	for name, fault := range map[string]func(s *site){
		"no folder":     func(s *site) { must(s, os.RemoveAll(string(s.folder))) },
		"no permission": func(s *site) { s.misread(func(*lease.Lease) error { return os.ErrPermission }) },
		"torn":          func(s *site) { must(s, os.WriteFile(s.file(), []byte(`{"door":"va`), 0o600)) },
		"of another boot": func(s *site) {
			s.misread(func(l *lease.Lease) error { l.Boot.ID = "boot-0"; return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			guarding(t, func(s *site) {
				s.issue(45 * time.Minute)
				s.renew(time.Minute)
				began := s.elapsed()
				fault(s)
				time.Sleep(interval + time.Second)
				s.down(began, began+interval+promptly)
			})
		})
	}
}

func must(s *site, err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// S2: a disk that hangs holds nothing up.
func TestLeaseFolderThatHangs(t *testing.T) {
	guarding(t, func(s *site) {
		s.sw.move("p3", switchctl.AdminUp)
		time.Sleep(interval)
		s.down(0, 3*leaseWithin)
	}, func(s *site) {
		s.guard.read = func(string) (lease.Lease, error) {
			<-s.Context().Done()
			return lease.Lease{}, errors.New("at last")
		}
	})
}

// In a lockdown no lease is valid, even if its executor hangs and cannot withdraw it, or
// goes on renewing. Nor is one while the lockdown's file cannot be read (S2).
func TestLockdown(t *testing.T) {
	for name, lock := range map[string]func(s *site) error{
		"stands": func(s *site) error {
			return lease.Lock(s.state, lease.Lockdown{At: time.Now(), By: "operator", Reason: "ransomware"})
		},
		"damaged": func(s *site) error { return os.WriteFile(filepath.Join(string(s.state), "lockdown.json"), nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			guarding(t, func(s *site) {
				s.issue(45 * time.Minute)
				s.renew(time.Minute)
				began := s.elapsed()
				must(s, lock(s))
				s.renew(10 * time.Second)
				s.down(began, began+interval+promptly)
				what := map[string]string{"stands": "stands open in a lockdown", "damaged": "stands open without a lease"}[name]
				s.says("vault-door open → shutting", "vault-door ALARM "+what, "vault-door shutting → shut")
				alarm := slices.IndexFunc(s.written(), func(e ledger.Entry) bool { return e.Kind == ledger.KindAlarm })
				if why := string(s.written()[alarm].Detail); !strings.Contains(why, "lockdown") {
					s.Errorf("the evidence does not name the lockdown: %s", why)
				}
				must(s, lease.Unlock(s.state))
				s.sw.move("p3", switchctl.AdminUp)
				s.renew(time.Minute)
				if !s.sw.up("p3") {
					s.Error("the lockdown is over, the lease is valid, and the door was shut")
				}
			})
		})
	}
}

// S3: a door that cannot be read is shut unseen, a person is called once, and the door
// is shut as soon as the switch is back.
func TestSwitchThatCannotBeReached(t *testing.T) {
	guarding(t, func(s *site) {
		s.issue(45 * time.Minute)
		s.renew(time.Minute)
		s.sw.fault(func() { s.sw.dial = switchctl.ErrTimeout })
		s.renew(30 * time.Second)
		s.says("second-door unknown → shutting", "second-door ALARM cannot be read, and has no lease")
		time.Sleep(ttl)
		s.says("second-door unknown → shutting", "second-door ALARM cannot be read, and has no lease",
			"vault-door unknown → shutting", "vault-door ALARM cannot be read, and has no lease")
		time.Sleep(time.Hour)
		back := s.elapsed()
		s.sw.fault(func() { s.sw.dial = nil })
		time.Sleep(time.Minute)
		s.down(back, back+interval+promptly)
		if calls := s.all("vault-door ALARM"); calls != 2 { // S12: that it cannot be shut is the second
			s.Errorf("a person was called %d times", calls)
		}
	})
}

// S3: a door whose switch takes commands and answers no question is shut unseen.
func TestDoorThatIsShutUnseen(t *testing.T) {
	guarding(t, func(s *site) {
		s.sw.fault(func() { s.sw.answered = func(string) error { return switchctl.ErrTimeout } })
		s.sw.move("p3", switchctl.AdminUp)
		time.Sleep(2 * interval)
		s.down(0, interval+promptly)
	})
}

// A window that ends between a reading and the look at its lease is no alarm.
func TestLeaseWithdrawnInTheMiddleOfALook(t *testing.T) {
	guarding(t, func(s *site) {
		s.issue(45 * time.Minute)
		time.Sleep(time.Second) // the guard has had its first look
		s.sw.fault(func() {
			s.sw.answered = func(port string) error {
				if port != "p3" {
					return nil
				}
				s.sw.move("p3", switchctl.AdminDown)
				return s.folder.Withdraw("vault-door")
			}
		})
		time.Sleep(time.Minute)
		if n := s.sw.sent("p3"); n != 0 {
			s.Errorf("%d commands were sent", n)
		}
		s.says()
	})
}

// S12: a door that cannot be shut: an alarm, and tries without end.
func TestSwitchThatRefuses(t *testing.T) {
	guarding(t, func(s *site) {
		s.sw.fault(func() {
			s.sw.set = func(string) error { return fmt.Errorf("%w: notWritable", switchctl.ErrRefused) }
		})
		s.sw.move("p3", switchctl.AdminUp)
		time.Sleep(time.Hour)
		before := s.sw.sent("p3")
		time.Sleep(time.Minute)
		if n := s.sw.sent("p3") - before; n < 10 {
			s.Errorf("in the last minute of an hour it tried %d times", n)
		}
		s.sw.fault(func() { s.sw.set = nil })
		time.Sleep(2 * interval)
		s.down(time.Hour, time.Hour+time.Minute+interval+promptly)
		s.says("vault-door open → shutting", "vault-door ALARM stands open without a lease",
			"vault-door shutting → stuck", "vault-door ALARM cannot be shut", "vault-door stuck → shut")
	})
}

// S12: a door with a second way is shut by that when the first fails, in whatever
// manner, and by the first when the second does; the evidence names the way.
func TestSecondWay(t *testing.T) {
	broken := func(driver, calls string) func(*fakeSwitch) {
		return func(f *fakeSwitch) {
			f.way = func(d, c string) error {
				if d == driver && strings.Contains(calls, c) {
					return switchctl.ErrTimeout
				}
				return nil
			}
		}
	}
	for name, c := range map[string]struct {
		fault  func(*fakeSwitch)
		within time.Duration
		by     string
	}{
		"cannot be reached": {broken("snmp", "dial, read, set"), interval + promptly, "core-cli"},
		"does not answer":   {broken("snmp", "read"), interval + promptly, "core-cli"},
		"refuses":           {broken("snmp", "set"), interval + promptly, "core-cli"},
		"ignores":           {func(f *fakeSwitch) { f.ignores = "snmp" }, 3*interval + promptly, "core-cli"},
		"second is no help": {broken("cli", "dial, read, set"), interval + promptly, "core"},
	} {
		t.Run(name, func(t *testing.T) {
			guarding(t, func(s *site) {
				time.Sleep(interval / 2)
				s.sw.fault(func() { c.fault(s.sw) })
				s.sw.move("p3", switchctl.AdminUp)
				time.Sleep(time.Minute)
				s.down(interval/2, interval/2+c.within)
				s.says("vault-door open → shutting", "vault-door ALARM stands open without a lease", "vault-door shutting → shut")
				if last := string(s.last().Detail); !strings.Contains(last, fmt.Sprintf(`"way":%q`, c.by)) {
					s.Errorf("it was not read as shut by %s: %s", c.by, last)
				}
			}, withFallback)
		})
	}
}

// Both ways fail in turns: the door is shut as soon as one of them works.
func TestWaysFailInTurns(t *testing.T) {
	guarding(t, func(s *site) {
		down := map[string]bool{"snmp": true, "cli": true}
		s.sw.fault(func() {
			s.sw.way = func(d, c string) error {
				if down[d] {
					return fmt.Errorf("%s: %w", d, switchctl.ErrTimeout)
				}
				return nil
			}
		})
		s.sw.move("p3", switchctl.AdminUp)
		time.Sleep(time.Hour)
		if why := string(s.last().Detail); !strings.Contains(why, "by core: ") || !strings.Contains(why, "by core-cli: ") {
			s.Errorf("the evidence does not name both ways: %s", why)
		}
		for _, works := range []string{"cli", "snmp", "cli"} {
			from := s.elapsed()
			s.sw.fault(func() { down["snmp"], down["cli"] = works != "snmp", works != "cli" })
			time.Sleep(2 * interval)
			s.down(from, from+interval+promptly)
			s.sw.fault(func() { down["snmp"], down["cli"] = true, true })
			s.sw.move("p3", switchctl.AdminUp)
			time.Sleep(time.Minute)
		}
	}, withFallback)
}

// The guard has a user of its own at the switch.
func TestGuardsOwnSwitch(t *testing.T) {
	guarding(t, func(s *site) {
		s.sw.fault(func() {
			s.sw.way = func(d, _ string) error { return map[string]error{"snmp": switchctl.ErrTimeout}[d] }
		})
		s.sw.move("p3", switchctl.AdminUp)
		time.Sleep(interval)
		s.sw.mu.Lock()
		defer s.sw.mu.Unlock()
		if s.sw.sentBy["cli guard"] == 0 || len(s.sw.sentBy) != 1 {
			s.Errorf("commands were sent by %v", s.sw.sentBy)
		}
	}, withFallback, func(s *site) {
		own := *s.guard.Policy.Switches["core-cli"]
		cli := *own.CLI
		cli.User, own.CLI = "guard", &cli
		s.guard.Policy.Guard.Switches = map[string]*policies.Switch{"core-cli": &own}
	})
}

// withFallback leaves the vault's door alone with its guard, and gives it a second way.
func withFallback(s *site) {
	delete(s.guard.Policy.Doors, "second-door")
	door := s.guard.Policy.Doors["vault-door"]
	door.Fallback, door.FallbackPort = "core-cli", policies.Port{Name: "p3"}
}

// A switch that takes its time is asked again, and believed when it says so.
func TestSlowSwitch(t *testing.T) {
	guarding(t, func(s *site) {
		s.sw.fault(func() { s.sw.slow = 20 * time.Second })
		s.sw.move("p3", switchctl.AdminUp)
		time.Sleep(40 * time.Second)
		s.down(20*time.Second, 20*time.Second+interval+promptly)
		s.says("vault-door open → shutting", "vault-door ALARM stands open without a lease", "vault-door shutting → shut")
	})
}

// A door whose switch hangs does not hold up another door.
func TestDoorsAreGuardedBesideEachOther(t *testing.T) {
	guarding(t, func(s *site) {
		s.sw.fault(func() {
			s.sw.read = func(ctx context.Context, port string) error {
				if port == "p4" {
					<-ctx.Done()
					return switchctl.ErrTimeout
				}
				return nil
			}
		})
		s.issue(45 * time.Minute)
		time.Sleep(ttl + interval)
		s.down(ttl, ttl+promptly)
	})
}

// S7: the port's name is on another port now, or on none: nothing is sent there.
func TestRenamedPort(t *testing.T) {
	guarding(t, func(s *site) {
		time.Sleep(interval)
		s.sw.fault(func() { s.sw.row("p3").Name = "uplink" })
		s.sw.move("uplink", switchctl.AdminUp)
		time.Sleep(time.Minute)
		if n := s.sw.sent("uplink") + s.sw.sent("p3"); n != 0 || !s.sw.up("uplink") {
			s.Errorf("%d commands were sent to a port that is not the door", n)
		}
		if all := s.lines(); !slices.Contains(all, "vault-door ALARM cannot be read, and has no lease") {
			s.Errorf("nobody was called: %q", all)
		}
		s.sw.fault(func() { s.sw.row("uplink").Name = "p3" })
		time.Sleep(interval + time.Second)
		if s.sw.up("p3") {
			s.Error("the port has its name again, and is still up")
		}
	})
}

// A session that ended by itself is made anew, without an alarm.
func TestSessionThatEnded(t *testing.T) {
	guarding(t, func(s *site) {
		time.Sleep(time.Second)
		var again atomic.Bool
		s.sw.fault(func() {
			s.sw.read = func(context.Context, string) error {
				if !again.Swap(true) {
					return errors.New("connection lost")
				}
				return nil
			}
		})
		time.Sleep(time.Minute)
		s.says()
	})
}

// A door that no vault names is to be shut, whoever opened it.
func TestDoorOfNoVault(t *testing.T) {
	guarding(t, func(s *site) {
		time.Sleep(time.Second)
		s.sw.move("p4", switchctl.AdminUp)
		time.Sleep(interval)
		if s.sw.up("p4") {
			s.Error("it stands open")
		}
	})
}

// S2: a ledger and a log that hang hold nothing up; the guard needs no ledger at all.
func TestGuardWithoutLedger(t *testing.T) {
	guarding(t, func(s *site) {
		s.sw.move("p3", switchctl.AdminUp)
		time.Sleep(interval)
		s.down(0, interval+promptly)
	}, func(s *site) { s.guard.Journal = nil })
}

func TestNothingToGuard(t *testing.T) {
	if err := Run(t.Context(), Config{}); err == nil {
		t.Error("it guards nothing, and does not say so")
	}
}

// What is noted can be written.
func TestEntriesAreTaken(t *testing.T) {
	l, err := ledger.Open(t.Context(), t.TempDir()+"/ledger.db", ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var d *diary
	guarding(t, func(s *site) {
		s.issue(45 * time.Minute)
		time.Sleep(time.Minute)
		d = s.diary
	})
	entries := d.written()
	if len(entries) < 5 {
		t.Errorf("there are %d entries", len(entries))
	}
	for _, e := range entries {
		if _, err := l.Append(t.Context(), e); err != nil {
			t.Errorf("%+v: %v", e, err)
		}
	}
}
