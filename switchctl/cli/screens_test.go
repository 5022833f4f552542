package cli_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/switchctl"
	"airlock/switchctl/cli"
	"airlock/switchctl/switchtest"
	"airlock/switchctl/switchtest/cliswitch"
)

// platforms are those that have screens.
func platforms(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/screens/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".txtar"))
	}
	return names
}

func play(t *testing.T, platform string) (*cliswitch.Switch, cli.Config) {
	sw := cliswitch.Start(t, filepath.Join("testdata", "screens", platform+".txtar"))
	return sw, cli.Config{Address: sw.Address, Platform: platform, User: strings.TrimSuffix(sw.User, "+ct511w"), Password: cliswitch.Password,
		KnownHosts: sw.KnownHosts, Enable: "secret", Timeout: 10 * time.Second}
}

func dial(t *testing.T, c cli.Config) switchctl.Switch {
	t.Helper()
	sw, err := cli.Dial(t.Context(), c)
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

// find looks a port up by the name that its screens show, which may be ifDescr.
func find(t *testing.T, sw switchctl.Switch, name string) switchctl.Port {
	t.Helper()
	p, err := sw.Find(t.Context(), switchctl.Lookup{Name: name})
	if errors.Is(err, switchctl.ErrNoMatch) {
		p, err = sw.Find(t.Context(), switchctl.Lookup{Description: name})
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestEveryPlatformHasScreens: none is offered that was never seen to work; vtysh has
// the real one.
func TestEveryPlatformHasScreens(t *testing.T) {
	want := slices.DeleteFunc(cli.Platforms(), func(name string) bool { return name == "frr" })
	if got := platforms(t); !slices.Equal(got, want) {
		t.Errorf("screens for %v, platforms %v", got, want)
	}
}

// TestConformance holds every platform to the contract on its screens.
func TestConformance(t *testing.T) {
	for _, platform := range platforms(t) {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			sw, config := play(t, platform)
			row := rowOf(t, config, sw.Door)
			switchtest.Conformance(t, switchtest.Harness{
				Dial:    func(ctx context.Context) (switchctl.Switch, error) { return cli.Dial(ctx, config) },
				Port:    row,
				Truth:   func() (switchctl.Admin, error) { return sw.Admin(sw.DoorName()) },
				Settle:  10 * time.Second,
				Rename:  func(to string) error { return sw.RenameDoor(sw.Door + strings.TrimPrefix(to, row.Name)) },
				Silence: func(on bool) error { sw.Be(cliswitch.Mischief{Silent: on}); return nil },
				Pass:    pass(sw),
			})
		})
	}
}

// pass is nil where the platform has no dead man's switch.
func pass(sw *cliswitch.Switch) func(time.Duration) {
	if sw.Expect["arm"] == nil {
		return nil
	}
	return sw.Pass
}

// TestBytesSent: exactly what the file says is typed, and no more.
func TestBytesSent(t *testing.T) {
	for _, platform := range platforms(t) {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			sw, config := play(t, platform)
			p := find(t, dial(t, config), sw.Door)
			for _, step := range []struct {
				name  string
				admin switchctl.Admin
			}{{"shut", switchctl.AdminDown}, {"open", switchctl.AdminUp}} {
				sw.Sent()
				if err := p.Set(t.Context(), step.admin); err != nil {
					t.Fatal(err)
				}
				if sent := sw.Sent(); !slices.Equal(sent, sw.Expect[step.name]) {
					t.Errorf("%s: sent %q, want %q", step.name, sent, sw.Expect[step.name])
				}
			}
		})
	}
}

// logLines are what each platform's switch says unasked.
var logLines = map[string][]string{
	"alaxala": {"2026/10/10 21:54:20 01S E3 ACCESS 00030001 0209:000000000000 Local authentication succeeded."},
	"awplus": {"00:55:19 awplus NSM[742]: port1.0.28 user no shutdown",
		"switch: port 1(port1.0.27) entered disabled state"},
	"cisco_iosxe":  {"*Mar  1 00:02:11.123: %LINK-5-CHANGED: Interface GigabitEthernet1/0/3, changed state to administratively down"},
	"arista_eos":   {"Mar  1 00:02:11: %LINEPROTO-5-UPDOWN: Line protocol on Interface Ethernet3, changed state to down"},
	"cisco_cbs":    {"01-Mar-2024 00:02:11 %LINK-W-Down:  gi1/0/3"},
	"cisco_nxos":   {"2024 Mar  1 00:02:11 sw1 %ETHPORT-5-IF_DOWN_ADMIN_DOWN: Interface Ethernet1/3 is down (Administratively down)"},
	"extreme_exos": {"11/22/2026 00:02:11.12 <Info:vlan.msgs.portLinkStateDown> Port 3 link down"},
	"hp_comware":   {"%Mar  1 00:02:11:123 2024 sw1 IFNET/3/PHY_UPDOWN: Physical state on the interface GigabitEthernet1/0/3 changed to down."},
	"huawei_vrp":   {"Mar  1 2024 00:02:11+09:00 sw1 %%01PHY/1/PHY(l)[0]:    GigabitEthernet0/0/3: change status to down"},
	"yamaha_swx":   {"2026/11/22 21:54:20: [     IMI]:inf: Login succeeded as airlock for SSH"},
}

// TestMischief: output that comes byte by byte, and log lines spliced onto every prompt.
func TestMischief(t *testing.T) {
	for _, platform := range platforms(t) {
		all := []cliswitch.Mischief{{Bytes: true}}
		for _, line := range logLines[platform] {
			all = append(all, cliswitch.Mischief{Log: line})
		}
		for _, m := range all {
			t.Run(platform, func(t *testing.T) {
				t.Parallel()
				survives(t, platform, m)
			})
		}
	}
}

var otherName = regexp.MustCompile(`(?m)^(\W*)[A-Za-z]`)

// TestEarlyPrompts: a login script shows lines like prompts before there is a shell. What
// is typed then is echoed by the terminal, and answered later.
func TestEarlyPrompts(t *testing.T) {
	for _, platform := range platforms(t) {
		for name, early := range map[string]func(prompt string) []string{
			"in a banner":    func(p string) []string { return []string{"####\n" + p + "\nPassword:\n--More--\n" + p + "\n"} },
			"before a shell": func(p string) []string { return []string{otherName.ReplaceAllString(p, "${1}x"), ""} },
			"and a log line": func(p string) []string { return []string{p, "\nport 1 is up\n" + p + "\n"} },
			"again":          func(p string) []string { return []string{p, p, "\n" + p, "\n" + p} },
		} {
			t.Run(platform+" "+name, func(t *testing.T) {
				t.Parallel()
				sw, config := play(t, platform)
				m := cliswitch.Mischief{Early: early(sw.Prompt())}
				survives(t, platform, m)
				want := switchctl.IdentityOf(t.Context(), dial(t, config), "")
				sw.Be(m)
				if is := switchctl.IdentityOf(t.Context(), dial(t, config), ""); is != want {
					t.Errorf("it is taken for %+v, and is %+v", is, want)
				}
			})
		}
	}
}

func survives(t *testing.T, platform string, m cliswitch.Mischief) {
	sw, config := play(t, platform)
	sw.Be(m)
	p := find(t, dial(t, config), sw.Door)
	for _, admin := range []switchctl.Admin{switchctl.AdminDown, switchctl.AdminUp} {
		if err := p.Set(t.Context(), admin); err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		if r, err := p.Read(t.Context()); err != nil || r.Row.Admin != admin {
			t.Errorf("%+v: read %+v, %v; want %v", m, r.Row, err, admin)
		}
	}
}

// TestForcedPasswordDialog ends the session with what a person has to do.
func TestForcedPasswordDialog(t *testing.T) {
	for platform, question := range map[string]string{
		"alaxala": "New password: ", "awplus": "Your password has expired.\nEnter new password: ", "cisco_cbs": "Enter new password: ",
		"cisco_iosxe": "Enter new password: ", "dlink": "Enter a case-sensitive new password: ", "fortinet_fortiswitch": "New Password: ",
		"hp_comware": "Please enter new password: ", "huawei_vrp": "Please enter new password: ", "juniper_junos": "New password: ",
		"mikrotik_routeros": "new password> ", "yamaha_swx": "New password: ",
	} {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			sw, config := play(t, platform)
			sw.Be(cliswitch.Mischief{First: question})
			_, err := cli.Dial(t.Context(), config)
			if !errors.Is(err, switchctl.ErrAuth) || !strings.Contains(err.Error(), "log in once by hand") {
				t.Errorf("%v", err)
			}
			if sent := sw.Sent(); len(sent) != 0 {
				t.Errorf("sent %q", sent)
			}
		})
	}
}

// TestQuestionsThatCanWait are answered with no.
func TestQuestionsThatCanWait(t *testing.T) {
	for platform, question := range map[string]string{
		"hp_comware": "The password is too old. Change now? [Y/N]:", "huawei_vrp": "The initial password poses security risks. Change now? [Y/N]:",
	} {
		sw, config := play(t, platform)
		sw.Be(cliswitch.Mischief{First: question})
		if r, err := find(t, dial(t, config), sw.Door).Read(t.Context()); err != nil || r.Row.Admin != switchctl.AdminUp {
			t.Errorf("%s: %+v, %v", platform, r.Row, err)
		}
	}
}

// TestRefusedAnywhere: whichever command of shutting is refused, it is an error with the
// switch's words, nothing of the sequence comes after it, the port is what it was, and
// the login is good for the next call.
func TestRefusedAnywhere(t *testing.T) {
	leaves, reads := regexp.MustCompile(`^(end|return)$`), regexp.MustCompile(`^(show|display|diagnose|/interface print)`)
	for _, platform := range platforms(t) {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			sw, config := play(t, platform)
			p := find(t, dial(t, config), sw.Door)
			if err := p.Set(t.Context(), switchctl.AdminUp); err != nil {
				t.Fatal(err)
			}
			for i, command := range sw.Expect["shut"] {
				if leaves.MatchString(command) {
					continue // what was begun was carried out
				}
				sw.Sent()
				sw.Be(cliswitch.Mischief{Refuse: command})
				err := p.Set(t.Context(), switchctl.AdminDown)
				sent := sw.Sent()
				sw.Be(cliswitch.Mischief{})
				if !errors.Is(err, switchctl.ErrRefused) || errors.Is(err, switchctl.ErrTimeout) {
					t.Errorf("%q refused: %v", command, err)
				}
				for _, later := range sw.Expect["shut"][i+1:] {
					if slices.Contains(sent, later) && !leaves.MatchString(later) && !reads.MatchString(later) {
						t.Errorf("%q refused: sent %q", command, sent)
					}
				}
				if r, err := p.Read(t.Context()); err != nil || r.Row.Admin != switchctl.AdminUp {
					t.Errorf("%q refused: read %+v, %v", command, r.Row, err)
				}
			}
		})
	}
}

// TestUnderstood: what is understood of the screens, column by column.
func TestUnderstood(t *testing.T) {
	for _, platform := range platforms(t) {
		sw, config := play(t, platform)
		rows, err := dial(t, config).Rows(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range rows {
			got = append(got, fmt.Sprintf("%d|%s|%s|%s|%d|%d|%d|%d", r.Index, r.Name, r.Alias, r.Description, r.Type, r.Admin, r.Oper, r.Speed))
		}
		if want := sw.Expect["rows"]; !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", platform, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// TestEnable: no enable password, or a wrong one, is told as such.
func TestEnable(t *testing.T) {
	for password, want := range map[string]string{"": "enable:", "wrong": "the enable password is wrong"} {
		_, config := play(t, "awplus")
		config.Enable = password
		_, err := cli.Dial(t.Context(), config)
		if !errors.Is(err, switchctl.ErrAuth) || !strings.Contains(err.Error(), want) {
			t.Errorf("enable %q: %v", password, err)
		}
	}
}

// TestIdleLoginIsMadeAnew: a switch that ended an idle login is logged in to again.
func TestIdleLoginIsMadeAnew(t *testing.T) {
	sw, config := play(t, "awplus")
	p := find(t, dial(t, config), sw.Door)
	for range 3 {
		sw.HangUp()
		if err := p.Set(t.Context(), switchctl.AdminUp); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTrust(t *testing.T) {
	for name, spoil := range map[string]func(*cli.Config){
		"another password": func(c *cli.Config) { c.Password = "other" },
		"another host key": func(c *cli.Config) { _, other := play(t, "awplus"); c.KnownHosts = other.KnownHosts },
		"no known_hosts":   func(c *cli.Config) { c.KnownHosts = "" },
	} {
		_, config := play(t, "awplus")
		spoil(&config)
		_, err := cli.Dial(t.Context(), config)
		want := switchctl.ErrNotEntered // for no login was tried
		if name == "another password" {
			want = switchctl.ErrAuth
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if strings.Contains(err.Error(), "other\"") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: a secret in %v (S13)", name, err)
		}
	}
}

// TestPaging: where paging cannot be turned off, every page is turned, and the rows are
// those that they are without.
func TestPaging(t *testing.T) {
	for _, platform := range platforms(t) {
		if platform == "alaxala" || platform == "mikrotik_routeros" {
			continue // they are asked for output without pages
		}
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			sw, config := play(t, platform)
			d := dial(t, config)
			want, err := d.Rows(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range []cliswitch.Mischief{{Page: 1}, {Page: 3}, {Page: 7}, {Page: 3, Bytes: true}} {
				sw.Be(m)
				if rows, err := d.Rows(t.Context()); err != nil || !slices.Equal(rows, want) {
					t.Errorf("%+v: %+v, %v; want %+v", m, rows, err, want)
				}
			}
		})
	}
}

// TestNoAnswer: a command without an answer ends after the configured time.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	sw, config := play(t, "awplus")
	config.Timeout = 2 * time.Second
	p := find(t, dial(t, config), sw.Door)
	sw.Be(cliswitch.Mischief{Silent: true})
	began := time.Now()
	if _, err := p.Read(t.Context()); !errors.Is(err, switchctl.ErrTimeout) || time.Since(began) < config.Timeout {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	sw.Be(cliswitch.Mischief{})
	if r, err := p.Read(t.Context()); err != nil || r.Row.Admin != switchctl.AdminUp {
		t.Errorf("the next call: %+v, %v", r.Row, err)
	}
}

// S8: only a line in the port's own part of the saved configuration proves
// that it stays shut; else it is told what to type, shutting first what is open. Where
// the platform has no way, that is an error, not a guess.
func TestSaved(t *testing.T) {
	_, config := play(t, "awplus")
	saved := func(name string) (switchctl.Saved, error) {
		return find(t, dial(t, config), name).(switchctl.Keeper).Saved(t.Context())
	}
	save := []string{"copy running-config startup-config"}
	for name, want := range map[string]switchctl.Saved{
		"port1.0.3": {Shut: true},
		"port1.0.1": {Cure: append([]string{"configure terminal", "interface port1.0.1", "shutdown", "end"}, save...)},
		"port1.0.2": {Cure: save},
	} {
		if got, err := saved(name); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
	}
	config.PlatformDir = own(t, "saved:\n  command: show startup-config\n  section: '^interface {port}$'\n  shut: '^ shutdown$'\n  save: [copy running-config startup-config]\n", "")
	if got, err := saved("port1.0.3"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestSavedEverywhere: what the screens save shut is read as that on every platform that
// has a way, and one that saves every change needs no saving.
func TestSavedEverywhere(t *testing.T) {
	for _, platform := range platforms(t) {
		sw, config := play(t, platform)
		got, err := find(t, dial(t, config), sw.Door).(switchctl.Keeper).Saved(t.Context())
		switch {
		case platform == "extreme_exos", platform == "dlink":
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s: %+v, %v", platform, got, err)
			}
		case platform == "mikrotik_routeros", platform == "fortinet_fortiswitch": // every change is saved, and the door is open
			shut := sw.Expect["shut"]
			if err != nil || got.Shut || len(got.Cure) == 0 || !slices.Equal(got.Cure, shut[len(shut)-len(got.Cure):]) {
				t.Errorf("%s: %+v, %v", platform, got, err)
			}
		case err != nil || !got.Shut:
			t.Errorf("%s: %+v, %v", platform, got, err)
		}
	}
}
