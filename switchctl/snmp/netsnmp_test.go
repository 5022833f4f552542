package snmp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/switchctl"
	"airlock/switchctl/snmp"
	"airlock/switchctl/switchtest"
	"airlock/switchctl/switchtest/snmpswitch"

	"github.com/gosnmp/gosnmp"
)

// need names the programs, and the right, without which a test cannot run. In CI they
// must be there.
func need(t testing.TB, root bool, programs ...string) {
	t.Helper()
	missing := func(what string) {
		if os.Getenv("CI") == "true" {
			t.Fatalf("in CI this test must run, but it lacks %s", what)
		}
		t.Skipf("lacks %s", what)
	}
	if root && os.Geteuid() != 0 {
		missing("root")
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			missing(program)
		}
	}
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// namespace is a network namespace with net-snmp as the switch, and ends of veth pairs
// as its ports; another pair leads to it.
type namespace struct {
	name, address string
	restart       func() // kills the agent, and starts it with what it had kept
}

const (
	farEnd  = "198.51.100.1" // TEST-NET-2: nobody's
	nearEnd = "198.51.100.2"
)

func startNetSNMP(t *testing.T, config string) namespace {
	t.Helper()
	need(t, true, "ip", "snmpd")
	ns := namespace{name: fmt.Sprintf("airlock-snmp-%d", os.Getpid()), address: net.JoinHostPort(farEnd, "1161")}
	veth := fmt.Sprintf("alk%d", os.Getpid())
	run(t, "ip", "netns", "add", ns.name)
	t.Cleanup(func() { run(t, "ip", "netns", "del", ns.name) }) // the veth pair goes with it
	run(t, "ip", "link", "add", veth, "type", "veth", "peer", "name", "oob", "netns", ns.name)
	run(t, "ip", "addr", "add", nearEnd+"/30", "dev", veth)
	run(t, "ip", "link", "set", veth, "up")
	run(t, "ip", "-n", ns.name, "addr", "add", farEnd+"/30", "dev", "oob")
	run(t, "ip", "-n", ns.name, "link", "set", "oob", "up")
	for _, port := range []string{"p1", "p3"} {
		run(t, "ip", "-n", ns.name, "link", "add", port, "type", "veth", "peer", "name", port+"-host")
		run(t, "ip", "-n", ns.name, "link", "set", port, "up")
		run(t, "ip", "-n", ns.name, "link", "set", port+"-host", "up")
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "agent.conf") // snmpd.conf is what the agent keeps there
	if err := os.WriteFile(file, []byte("agentAddress udp:"+ns.address+"\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	var agent *exec.Cmd
	begin := func() {
		agent = exec.Command("ip", "netns", "exec", ns.name, "snmpd", "-f", "-C", "-c", file, "-Lo", "-I", "-smux")
		agent.Env = append(os.Environ(), "MIBS=", "SNMP_PERSISTENT_DIR="+folder)
		agent.Stdout, agent.Stderr = &log, &log
		if err := agent.Start(); err != nil {
			t.Fatal(err)
		}
	}
	end := func() {
		if err := agent.Process.Kill(); err != nil {
			t.Error(err)
		}
		agent.Wait() // says that it was killed
	}
	begin()
	ns.restart = func() { end(); begin() }
	t.Cleanup(func() {
		end()
		if t.Failed() {
			t.Logf("snmpd said:\n%s", log.String())
		}
	})
	return ns
}

// dialWhenUp dials until the agent, which has just been started, is there.
func dialWhenUp(t *testing.T, c snmp.Config) switchctl.Switch {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		sw, err := snmp.Dial(ctx, c)
		switch {
		case err == nil:
			return sw
		case errors.Is(err, switchctl.ErrTimeout) && ctx.Err() == nil:
			continue
		}
		t.Fatal(err)
	}
}

// up asks the kernel whether the port is up.
func (ns namespace) up(port string) (bool, error) {
	out, err := exec.Command("ip", "-n", ns.name, "-o", "link", "show", port).CombinedOutput()
	_, flags, _ := strings.Cut(string(out), "<")
	flags, _, _ = strings.Cut(flags, ">")
	return strings.Contains(","+flags+",", ",UP,"), err
}

// TestNetSNMP runs the suite against Debian's snmpd, whose SETs take real interfaces
// down, with each pair of protocols that it has.
func TestNetSNMP(t *testing.T) {
	auths := []string{"SHA", "SHA-224", "SHA-256", "SHA-384", "SHA-512"}
	privacies := []string{"AES", "AES-192", "AES-256", "AES-192-C", "AES-256-C"} // both ways to lengthen a key
	var config strings.Builder
	for _, auth := range auths {
		for _, privacy := range privacies {
			fmt.Fprintf(&config, "createUser %s+%s %s %q %s %q\nrwuser %[1]s+%[2]s authPriv\n", auth, privacy, auth, authPassword, privacy, privacyPassword)
		}
	}
	fmt.Fprintf(&config, "createUser reader SHA-256 %q AES %q\nrouser reader authPriv\n", authPassword, privacyPassword)
	ns := startNetSNMP(t, config.String())
	account := func(auth, privacy string) snmp.Config {
		c := v3(ns.address)
		c.User, c.Auth, c.Privacy, c.Timeout = auth+"+"+privacy, auth, privacy, 2*time.Second
		return c
	}
	if err := dialWhenUp(t, account("SHA-256", "AES")).Close(); err != nil {
		t.Fatal(err)
	}
	sw := dial(t, account("SHA-256", "AES"))
	rows, err := sw.Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var p3 switchctl.Row
	for _, r := range rows {
		if r.Name == "p3" {
			p3 = switchctl.Row{Index: r.Index, Name: "p3", Description: "p3", Type: 6}
		}
	}
	for _, c := range []snmp.Config{account("SHA-256", "AES"), account("SHA-512", "AES-256")} {
		t.Run(c.User, func(t *testing.T) {
			switchtest.Conformance(t, switchtest.Harness{
				Dial:    func(ctx context.Context) (switchctl.Switch, error) { return snmp.Dial(ctx, c) },
				Port:    p3,
				Refused: map[switchctl.Lookup]error{{Name: "lo"}: switchctl.ErrNotPhysical},
				Truth: func() (switchctl.Admin, error) {
					up, err := ns.up("p3")
					if up {
						return switchctl.AdminUp, err
					}
					return switchctl.AdminDown, err
				},
				Settle: 60 * time.Second, // net-snmp serves ifOperStatus from a cache
			})
		})
	}
	for _, auth := range auths {
		for _, privacy := range privacies {
			if err := find(t, dial(t, account(auth, privacy)), switchctl.Lookup{Name: "p3"}).Set(t.Context(), switchctl.AdminUp); err != nil {
				t.Errorf("%s with %s: %v", auth, privacy, err)
			}
		}
	}
	t.Run("restart", func(t *testing.T) { // its engine's boots and time are others then
		p := find(t, dial(t, account("SHA-256", "AES")), switchctl.Lookup{Name: "p3"})
		ns.restart()
		if err := dialWhenUp(t, account("SHA-512", "AES-256")).Close(); err != nil {
			t.Fatal(err)
		}
		if err := p.Set(t.Context(), switchctl.AdminDown); err != nil {
			t.Fatal(err)
		}
		if r, err := p.Read(t.Context()); err != nil || r.Row.Admin != switchctl.AdminDown || r.Uptime > time.Minute {
			t.Errorf("read: %+v, %v", r, err)
		}
		if err := p.Set(t.Context(), switchctl.AdminUp); err != nil {
			t.Error(err)
		}
	})
	t.Run("credentials", func(t *testing.T) {
		for name, change := range map[string]func(*snmp.Config){
			"user":             func(c *snmp.Config) { c.User = "nobody" },
			"auth password":    func(c *snmp.Config) { c.AuthPassword = "not-the-password" },
			"auth protocol":    func(c *snmp.Config) { c.Auth = "SHA-512" },
			"privacy password": func(c *snmp.Config) { c.PrivacyPassword = "not-the-password" },
		} {
			c := account("SHA-256", "AES")
			c.Timeout = 500 * time.Millisecond
			change(&c)
			_, err := snmp.Dial(t.Context(), c)
			if !errors.Is(err, switchctl.ErrAuth) {
				t.Errorf("wrong %s: %v, want %v", name, err, switchctl.ErrAuth)
			}
			noSecrets(t, err)
			t.Logf("wrong %s: %v", name, err)
		}
	})
	t.Run("read-only user", func(t *testing.T) {
		c := account("SHA-256", "AES")
		c.User = "reader"
		err := find(t, dial(t, c), switchctl.Lookup{Name: "p3"}).Set(t.Context(), switchctl.AdminDown)
		if !errors.Is(err, switchctl.ErrRefused) {
			t.Errorf("%v, want %v", err, switchctl.ErrRefused)
		}
		if up, err := ns.up("p3"); !up || err != nil {
			t.Errorf("p3 up %v, %v", up, err)
		}
		t.Log(err)
	})
}

// TestNetSNMPCommands asks snmpswitch with net-snmp's own commands: it must speak
// SNMP as others understand it, not only as gosnmp does.
func TestNetSNMPCommands(t *testing.T) {
	need(t, false, "snmpget", "snmpset", "snmpbulkwalk", "snmpwalk")
	for auth, a := range map[string]gosnmp.SnmpV3AuthProtocol{"SHA": gosnmp.SHA, "SHA-256": gosnmp.SHA256, "SHA-512": gosnmp.SHA512} {
		for privacy, p := range map[string]gosnmp.SnmpV3PrivProtocol{"AES": gosnmp.AES, "AES-256": gosnmp.AES256, "AES-256-C": gosnmp.AES256C} {
			t.Run(auth+" "+privacy, func(t *testing.T) {
				s := start(t, snmpswitch.Config{Auth: a, Privacy: p, Name: "lab"})
				command := func(name string, words ...string) string {
					t.Helper()
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
					defer cancel()
					args := []string{"-v3", "-On", "-Ln", "-t", "2", "-r", "2", "-u", "airlock", "-l", "authPriv", "-a", auth, "-A", authPassword, "-x", privacy, "-X", privacyPassword, s.Addr()}
					cmd := exec.CommandContext(ctx, name, append(args, words...)...)
					cmd.Env = append(os.Environ(), "MIBS=", "SNMPCONFPATH=/nonexistent", "SNMP_PERSISTENT_DIR="+t.TempDir())
					out, err := cmd.CombinedOutput()
					if err != nil {
						t.Errorf("%s %s: %v", name, words, err)
					}
					return string(out)
				}
				if out := command("snmpget", ".1.3.6.1.2.1.1.5.0", ".1.3.6.1.2.1.31.1.1.1.6.3"); !strings.Contains(out, `STRING: "lab"`) || !strings.Contains(out, "Counter64: 1099511627776") {
					t.Errorf("snmpget: %s", out)
				}
				for _, walk := range []string{"snmpbulkwalk", "snmpwalk"} {
					out := command(walk, ".1.3.6.1.2.1")
					if lines := strings.Count(out, " = ") - strings.Count(out, "No more variables"); lines != 3+14*len(ports()) || !strings.Contains(out, `.31.1.1.1.18.3 = STRING: "vault"`) {
						t.Errorf("%s: %d values\n%s", walk, lines, out)
					}
				}
				if out := command("snmpset", ".1.3.6.1.2.1.2.2.1.7.3", "i", "2"); s.Up(3) {
					t.Errorf("snmpset: %s", out)
				}
				s.Reboot()
				if err := s.NewEngine(); err != nil {
					t.Fatal(err)
				}
				if out := command("snmpset", ".1.3.6.1.2.1.2.2.1.7.3", "i", "1"); !s.Up(3) {
					t.Errorf("snmpset after a restart: %s", out)
				}
			})
		}
	}
}
