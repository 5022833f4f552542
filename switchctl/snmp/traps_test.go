package snmp_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"airlock/switchctl"
	"airlock/switchctl/snmp"
)

// trapped is a listener under test, with what it took and refused.
type trapped struct {
	*snmp.TrapListener
	t     testing.TB
	taken chan switchctl.Trap

	mu      sync.Mutex
	refused []snmp.Refusal
}

func listen(t testing.TB, on string, senders ...snmp.Sender) *trapped {
	t.Helper()
	l := &trapped{t: t, taken: make(chan switchctl.Trap, 1000)}
	var err error
	l.TrapListener, err = snmp.ListenTraps(t.Context(), snmp.TrapConfig{Listen: on, Engine: "test", Senders: senders, Refused: func(r snmp.Refusal) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.refused = append(l.refused, r)
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx, func(trap switchctl.Trap) { l.taken <- trap }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the listener ended with %v", err)
		}
	})
	return l
}

// refusals are the reasons that were told.
func (l *trapped) refusals() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprint(l.refused)
}

// next is the trap that comes.
func (l *trapped) next() switchctl.Trap {
	l.t.Helper()
	select {
	case trap := <-l.taken:
		return trap
	case <-time.After(time.Minute):
		l.t.Fatalf("no trap came; refused were %s", l.refusals())
		panic("unreachable")
	}
}

// The versions and credentials of senders.
func byUser(from string) snmp.Sender {
	return snmp.Sender{Switch: "core", From: from, Config: v3("")}
}

func byCommunity(from string) snmp.Sender {
	return snmp.Sender{Switch: "old", From: from, Config: snmp.Config{Version: "2c", Community: "s3cret-community"}}
}

const (
	sendV3 = "-v3 -u airlock -l authPriv -a SHA-256 -A " + authPassword + " -x AES -X " + privacyPassword
	sendV2 = "-v2c -c s3cret-community"

	linkUp = ".1.3.6.1.6.3.1.1.5.4"
	port3  = ".1.3.6.1.2.1.2.2.1.1.3 i 3 .1.3.6.1.2.1.2.2.1.7.3 i 1 .1.3.6.1.2.1.31.1.1.1.1.3 s p3 .1.3.6.1.2.1.31.1.1.1.18.3 s vault"
)

// notify has net-snmp send a trap or an inform; an inform that is not acknowledged is an error.
func notify(t testing.TB, program, to, options, trap string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := append(strings.Fields("-Ln -r 1 -t 1 "+options), to, "4711") // sysUpTime
	cmd := exec.CommandContext(ctx, program, append(args, strings.Fields(trap)...)...)
	cmd.Env = append(os.Environ(), "MIBS=", "SNMPCONFPATH=/nonexistent", "SNMP_PERSISTENT_DIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return nil
}

// Traps and informs as net-snmp's own commands send them: who has the credentials is
// heard, and an inform acknowledged; nobody else is, and learns nothing.
func TestTrapsOfNetSNMP(t *testing.T) {
	need(t, false, "snmptrap", "snmpinform")
	engine := " -e 0x80001f8804" + hex.EncodeToString([]byte("sender")) + " "
	for name, c := range map[string]struct {
		sender  snmp.Sender
		options string
		refused string
	}{
		"2c":                        {byCommunity("127.0.0.1"), sendV2, ""},
		"3":                         {byUser("127.0.0.1"), sendV3, ""},
		"3, another engine":         {byUser("127.0.0.1"), sendV3 + engine, ""},
		"wrong community":           {byCommunity("127.0.0.1"), "-v2c -c public", "community is wrong"},
		"2c where 3 is expected":    {byUser("127.0.0.1"), sendV2, "credentials of version 3"},
		"3 where 2c is expected":    {byCommunity("127.0.0.1"), sendV3, "cannot be read"},
		"version 1":                 {byCommunity("127.0.0.1"), "", "version 1"},
		"wrong user":                {byUser("127.0.0.1"), strings.Replace(sendV3, "-u airlock", "-u nobody", 1), "user is not the switch's"},
		"wrong password":            {byUser("127.0.0.1"), strings.Replace(sendV3, authPassword, "not-the-password", 1), "passwords are wrong"},
		"wrong protocol":            {byUser("127.0.0.1"), strings.Replace(sendV3, "SHA-256", "SHA-512", 1), "passwords are wrong"},
		"wrong privacy":             {byUser("127.0.0.1"), strings.Replace(sendV3, privacyPassword, "not-the-password", 1), "passwords are wrong"},
		"the user without password": {byUser("127.0.0.1"), "-v3 -u airlock -l noAuthNoPriv", "not both authentic and encrypted"},
		"the user without privacy":  {byUser("127.0.0.1"), strings.Replace(sendV3, "authPriv", "authNoPriv", 1), "not both authentic and encrypted"},
		"from elsewhere":            {byUser("127.0.0.2"), sendV3, "address that is no switch's"},
	} {
		for _, program := range []string{"snmptrap", "snmpinform"} {
			if program == "snmpinform" && (c.options == "" || strings.Contains(c.options, engine)) {
				continue // version 1 has none, and of an inform the receiver's engine is the authority
			}
			t.Run(name+" "+program, func(t *testing.T) {
				t.Parallel()
				l := listen(t, "127.0.0.1:0", c.sender)
				var err error
				if c.options == "" {
					err = v1Trap(t, l.Addr().String())
				} else {
					err = notify(t, program, l.Addr().String(), c.options, linkUp+" "+port3)
				}
				acknowledged := err == nil
				if c.refused != "" {
					if program == "snmpinform" && acknowledged {
						t.Error("the inform was acknowledged")
					}
					for end := time.Now().Add(time.Minute); !strings.Contains(l.refusals(), c.refused); <-time.After(time.Millisecond) {
						if time.Now().After(end) {
							t.Fatalf("refused was %s, want %q", l.refusals(), c.refused)
						}
					}
					if len(l.taken) > 0 {
						t.Errorf("it was taken: %+v", <-l.taken)
					}
					return
				}
				if !acknowledged {
					t.Fatalf("%v; refused were %s", err, l.refusals())
				}
				trap := l.next()
				if trap.Kind != switchctl.LinkUp || trap.OID != linkUp || trap.IfIndex != 3 || trap.Name != "p3" || trap.Alias != "vault" ||
					trap.Uptime != 47110*time.Millisecond || trap.Switch != c.sender.Switch || trap.From.String() != "127.0.0.1" ||
					trap.Authentic != (c.sender.Version == "3") {
					t.Errorf("taken was %+v", trap)
				}
			})
		}
	}
}

func v1Trap(t *testing.T, to string) error {
	t.Helper()
	cmd := exec.Command("snmptrap", "-v1", "-c", "s3cret-community", "-Ln", to, "", "127.0.0.1", "3", "0", "4711")
	cmd.Env = append(os.Environ(), "MIBS=", "SNMPCONFPATH=/nonexistent", "SNMP_PERSISTENT_DIR="+t.TempDir())
	return cmd.Run()
}

// A trap that was recorded and is sent again later is no news: RFC 3414 bounds its age.
func TestTrapsAreTimely(t *testing.T) {
	need(t, false, "snmptrap")
	l := listen(t, "127.0.0.1:0", byUser("127.0.0.1"))
	send := func(engine string, boots, seconds int) {
		t.Helper()
		options := fmt.Sprintf("%s -e 0x80001f8804%s -Z %d,%d", sendV3, engine, boots, seconds)
		if err := notify(t, "snmptrap", l.Addr().String(), options, fmt.Sprintf("%s .1.3.6.1.2.1.2.2.1.1.1 i %d", linkUp, boots*10000+seconds)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		boots, seconds int
		taken          bool
	}{
		{5, 1000, true}, {5, 1000, true}, {5, 900, true}, {5, 700, false}, {4, 5000, false}, {6, 3, true}, {5, 1001, false}, {6, 900, true}, {6, 3, false},
	} {
		const always = 99
		send("aabbccdd", c.boots, c.seconds)
		send("dddddddd", always, 0) // another engine's is taken in any case, and the one before has been judged by then
		taken := false
		for trap := l.next(); trap.IfIndex != always*10000; trap = l.next() {
			taken = trap.IfIndex == c.boots*10000+c.seconds
		}
		if taken != c.taken {
			t.Errorf("boots %d time %d: taken %t, want %t", c.boots, c.seconds, taken, c.taken)
		}
	}
}

// A storm costs what the bound allows, and what is alike is told once. What had to be
// left unread is told as such, so that somebody looks.
func TestTrapStorm(t *testing.T) {
	taken := make(chan switchctl.Trap)
	release := make(chan struct{})
	l, err := snmp.ListenTraps(t.Context(), snmp.TrapConfig{Listen: "127.0.0.1:0", Senders: []snmp.Sender{byCommunity("127.0.0.1")}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- l.Run(ctx, func(trap switchctl.Trap) {
			select {
			case taken <- trap:
			case <-ctx.Done():
			}
			<-release
		})
	}()
	message := trapMessage(t)
	conn, err := net.Dial("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const storm = 5000
	for range storm {
		if _, err := conn.Write(message); err != nil {
			t.Fatal(err)
		}
	}
	first := <-taken
	close(release)
	if first.Kind != switchctl.LinkUp || first.IfIndex != 3 {
		t.Errorf("first was %+v", first)
	}
	total, storms := 1+first.Repeats, 0
	for storms == 0 {
		trap := <-taken
		total += 1 + trap.Repeats
		if trap.Kind == switchctl.TrapStorm {
			storms++
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if total > storm {
		t.Errorf("%d were told of %d", total, storm)
	}
}

// trapMessage is a linkUp trap as it stands on the wire.
func trapMessage(t testing.TB) []byte {
	t.Helper()
	need(t, false, "snmptrap")
	wire, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	if err := notify(t, "snmptrap", wire.LocalAddr().String(), sendV2, linkUp+" "+port3); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 65535)
	n, _, err := wire.ReadFrom(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return buffer[:n]
}

// net-snmp's agent tells of a real port that was taken up, by version 3, as trap and as
// inform.
func TestTrapsOfAnAgent(t *testing.T) {
	l := make(map[string]*trapped)
	secrets := fmt.Sprintf("-v 3 -u airlock -l authPriv -a SHA-256 -A %s -x AES -X %s", authPassword, privacyPassword)
	ns := startNetSNMP(t, fmt.Sprintf(`createUser airlock SHA-256 %[1]q AES %[2]q
rwuser airlock authPriv
createUser internal SHA-256 %[1]q
iquerySecName internal
rouser internal auth
trapsess %[3]s %[4]s:11620
trapsess -Ci %[3]s %[4]s:11621
notificationEvent linkUp .1.3.6.1.6.3.1.1.5.4 .1.3.6.1.2.1.2.2.1.1 .1.3.6.1.2.1.2.2.1.7 .1.3.6.1.2.1.2.2.1.8
monitor -S -r 1 -e linkUp "linkUp" .1.3.6.1.2.1.2.2.1.8 != 2
`, authPassword, privacyPassword, secrets, nearEnd))
	l["trap"], l["inform"] = listen(t, nearEnd+":11620", byUser(farEnd)), listen(t, nearEnd+":11621", byUser(farEnd))
	config := v3(ns.address)
	p3 := find(t, dialWhenUp(t, config), switchctl.Lookup{Name: "p3"})
	reading, err := p3.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run(t, "ip", "-n", ns.name, "link", "set", "p3", "down")
	for reading.Row.Oper != switchctl.OperDown { // the agent's cache; bounded by the test's own time limit
		if reading, err = p3.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	run(t, "ip", "-n", ns.name, "link", "set", "p3", "up")
	for name, l := range l {
		for trap := l.next(); trap.Kind != switchctl.LinkUp || trap.IfIndex != reading.Row.Index; trap = l.next() {
			t.Logf("%s: %+v", name, trap)
		}
		t.Logf("linkUp as %s after %s", name, time.Since(began).Round(time.Millisecond))
	}
}

func TestTrapConfig(t *testing.T) {
	good := byUser("127.0.0.1")
	for says, change := range map[string]func(*snmp.TrapConfig){
		"auth":          func(c *snmp.TrapConfig) { c.Senders[0].Auth = "MD5" },
		"switch core":   func(c *snmp.TrapConfig) { c.Senders[0].From = "no.such.host.invalid" },
		"version 2c":    func(c *snmp.TrapConfig) { c.Senders[0].Config = snmp.Config{Version: "2c"} },
		"CAP_NET_BIND_": func(c *snmp.TrapConfig) { c.Listen = "192.0.2.1:162" },
	} {
		c := snmp.TrapConfig{Listen: "127.0.0.1:0", Senders: []snmp.Sender{good}}
		change(&c)
		_, err := snmp.ListenTraps(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
		noSecrets(t, err)
	}
}
