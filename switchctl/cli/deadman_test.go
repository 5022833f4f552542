package cli_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/switchctl"
	"airlock/switchctl/cli"
)

// TestArmedBytes: exactly what the file says is typed to arm, open and disarm, and the
// switch then counts the time that was asked for.
func TestArmedBytes(t *testing.T) {
	for _, platform := range platforms(t) {
		sw, config := play(t, platform)
		if sw.Expect["arm"] == nil {
			continue
		}
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			p := find(t, dial(t, config), sw.Door)
			timer := p.(switchctl.Timer)
			for _, step := range []struct {
				name string
				do   func() error
				want []string
			}{
				{"shut", func() error { return p.Set(t.Context(), switchctl.AdminDown) }, sw.Expect["shut"]},
				{"arm", func() error { return timer.Arm(t.Context(), 45*time.Minute) }, sw.Expect["arm"]},
				{"open", func() error { return p.Set(t.Context(), switchctl.AdminUp) }, sw.Expect["open"]},
			} {
				sw.Sent()
				if err := step.do(); err != nil {
					t.Fatal(err)
				}
				if sent := sw.Sent(); !slices.Equal(sent, step.want) {
					t.Errorf("%s: sent %q, want %q", step.name, sent, step.want)
				}
			}
			if wait := sw.Timers()[sw.Door].Sub(sw.Now()); wait < 45*time.Minute || wait > 47*time.Minute {
				t.Errorf("the switch will shut the port after %s", wait)
			}
			if err := timer.Disarm(t.Context()); err != nil {
				t.Fatal(err)
			}
			if sent := sw.Sent(); !slices.Equal(sent, sw.Expect["disarm"]) {
				t.Errorf("disarm: sent %q, want %q", sent, sw.Expect["disarm"])
			}
			if admin, err := sw.Admin(sw.Door); err != nil || admin != switchctl.AdminUp || len(sw.Timers()) > 0 {
				t.Errorf("disarmed: the port is %v, %v; timers %v", admin, err, sw.Timers())
			}
		})
	}
}

// TestNotArmed: what cannot be armed is an error that says why and what to do, and
// nothing that would change the switch is sent for it.
func TestNotArmed(t *testing.T) {
	for name, c := range map[string]struct {
		platform, port, old, text string
		after                     time.Duration
		unsupported               bool
		want                      string
	}{
		"no such way":               {"arista_eos", "Ethernet3", "", "", time.Hour, true, "no dead man's switch"},
		"no time":                   {"awplus", "port1.0.3", "", "", 0, false, "cannot fire after 0s"},
		"the script is not there":   {"awplus", "port1.0.1", "", "", time.Hour, true, "put a file flash:/airlock-port1.0.1.scp there"},
		"the trigger is another's":  {"awplus", "port1.0.3", "first: 151", "first: 97", time.Hour, true, "trigger 153 belongs to something else"},
		"longer than a day":         {"awplus", "port1.0.3", "", "", 24 * time.Hour, true, "it can count to 23h58m0s"},
		"longer than it can count":  {"aruba_aoscx", "1/1/3", "", "", 61 * time.Minute, true, "it can count to 1h0m0s"},
		"a clock of another kind":   {"awplus", "port1.0.3", "command: show clock", "command: show running-config", time.Hour, false, "told no time of day"},
		"refused":                   {"awplus", "port1.0.3", "repeat once, active", "repeat never, active", time.Hour, false, "% Invalid input"},
		"it does not show as armed": {"awplus", "port1.0.3", "repeat once, active", "repeat once", time.Hour, false, "does not show that it is armed"},
	} {
		t.Run(name, func(t *testing.T) {
			sw, config := play(t, c.platform)
			if c.old != "" {
				config.PlatformDir = own(t, c.old, c.text)
			}
			p := find(t, dial(t, config), c.port)
			err := p.(switchctl.Timer).Arm(t.Context(), c.after)
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, errors.ErrUnsupported) != c.unsupported {
				t.Errorf("%v, want %q; unsupported: %v", err, c.want, c.unsupported)
			}
			if len(sw.Timers()) > 0 {
				t.Errorf("armed nevertheless: %v", sw.Timers())
			}
			if r, err := p.Read(t.Context()); err != nil || r.Row.Admin != switchctl.AdminUp {
				t.Errorf("read afterwards: %+v, %v", r.Row, err)
			}
		})
	}
}

// TestArmedStaysArmed: a time that cannot be had leaves the one that is armed.
func TestArmedStaysArmed(t *testing.T) {
	sw, config := play(t, "awplus")
	timer := find(t, dial(t, config), sw.Door).(switchctl.Timer)
	if err := timer.Arm(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	at := sw.Timers()[sw.Door]
	if err := timer.Arm(t.Context(), 25*time.Hour); !errors.Is(err, errors.ErrUnsupported) || sw.Timers()[sw.Door] != at || at.IsZero() {
		t.Errorf("%v; %v, was %v", err, sw.Timers(), at)
	}
}

// TestShortTimes: what a platform cannot count is rounded up, never down.
func TestShortTimes(t *testing.T) {
	for _, platform := range platforms(t) {
		sw, config := play(t, platform)
		if sw.Expect["arm"] == nil {
			continue
		}
		if err := find(t, dial(t, config), sw.Door).(switchctl.Timer).Arm(t.Context(), 1500*time.Millisecond); err != nil {
			t.Errorf("%s: %v", platform, err)
		}
		wait, least := sw.Timers()[sw.Door].Sub(sw.Now()), 2*time.Second
		if platform != "cisco_iosxe" {
			least = time.Second * 50 // the switch's clock says :10
		}
		if wait < least || wait > 2*time.Minute {
			t.Errorf("%s: the switch will shut the port after %s", platform, wait)
		}
	}
}

// TestNothingToDisarm: where nothing is armed, disarming is no error; a platform without
// such a way says so.
func TestNothingToDisarm(t *testing.T) {
	for _, platform := range platforms(t) {
		sw, config := play(t, platform)
		p := find(t, dial(t, config), sw.Door)
		err := p.(switchctl.Timer).Disarm(t.Context())
		if errors.Is(err, errors.ErrUnsupported) != (sw.Expect["arm"] == nil) || err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", platform, err)
		}
		if admin, err := sw.Admin(sw.Door); err != nil || admin != switchctl.AdminUp {
			t.Errorf("%s: the port is %v, %v", platform, admin, err)
		}
	}
}

func TestDeadManFilesAreStrict(t *testing.T) {
	for name, c := range map[string]struct{ old, text, want string }{
		"a word of time without clock": {"type time {time}", "type time {minutes}", "has a word in braces"},
		"no way back":                  {"  disarm: [", "  # [", "needs arm and disarm"},
		"a clock without minutes":      {"(?P<minute>\\d\\d):(?P<second>\\d\\d)'\n      - '(?m)^UTC Time: .* (?P<hour>\\d\\d):(?P<minute>", "(?P<min>\\d\\d):(?P<second>\\d\\d)'\n      - '(?m)^UTC Time: .* (?P<hour>\\d\\d):(?P<min>", "groups hour, minute and second"},
		"time in opening":              {"open: [configure terminal", "open: ['configure {time}'", "the only word in braces"},
	} {
		if _, err := cli.Load(own(t, c.old, c.text), "awplus"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
