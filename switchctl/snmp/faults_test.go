package snmp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"airlock/switchctl"
	"airlock/switchctl/snmp"
	"airlock/switchctl/switchtest/snmpswitch"

	"github.com/gosnmp/gosnmp"
)

// S7: it is resolved at every use to exactly one row; a port's row that became another
// one's is not set. Here the name moves to another index, as with stack membership.
func TestRenumberedStack(t *testing.T) {
	s := start(t, snmpswitch.Config{})
	sw := dial(t, v3(s.Addr()))
	before := find(t, sw, switchctl.Lookup{Name: "p3"})
	for index, name := range map[int]string{3: "p1", 1: "p3"} {
		if err := s.Edit(index, func(p *snmpswitch.Port) { p.Name = name }); err != nil {
			t.Fatal(err)
		}
	}
	if err := before.Set(t.Context(), switchctl.AdminDown); !errors.Is(err, switchctl.ErrMoved) {
		t.Errorf("set by the old index: %v, want %v", err, switchctl.ErrMoved)
	}
	if s.Sets() != 0 {
		t.Errorf("%d SETs were sent", s.Sets())
	}
	if err := find(t, sw, switchctl.Lookup{Name: "p3"}).Set(t.Context(), switchctl.AdminDown); err != nil {
		t.Error(err)
	}
	if s.Up(1) || !s.Up(3) {
		t.Errorf("port 1 up %v, port 3 up %v; want only port 1 shut", s.Up(1), s.Up(3))
	}
}

// S7: another description: nothing is sent.
func TestDescriptionIsCompared(t *testing.T) {
	s := start(t, snmpswitch.Config{})
	p := find(t, dial(t, v3(s.Addr())), switchctl.Lookup{Name: "p3", Alias: "vault"})
	if err := s.Edit(3, func(p *snmpswitch.Port) { p.Alias = "lobby" }); err != nil {
		t.Fatal(err)
	}
	if err := p.Set(t.Context(), switchctl.AdminDown); !errors.Is(err, switchctl.ErrMoved) || !s.Up(3) || s.Sets() != 0 {
		t.Errorf("set: %v, port up %v, %d SETs; want %v and nothing sent", err, s.Up(3), s.Sets(), switchctl.ErrMoved)
	}
}

func TestRefusals(t *testing.T) {
	s := start(t, snmpswitch.Config{})
	p := find(t, dial(t, v3(s.Addr())), switchctl.Lookup{Name: "p3"})
	for status, cure := range map[gosnmp.SNMPError]string{
		gosnmp.NotWritable:         "cli driver",
		gosnmp.ReadOnly:            "read-write view",
		gosnmp.NoAccess:            "read and write access",
		gosnmp.AuthorizationError:  "read and write access",
		gosnmp.NoSuchName:          "read-write view of ifTable",
		gosnmp.GenErr:              "switch's log",
		gosnmp.WrongValue:          "err-disabled",
		gosnmp.InconsistentValue:   "err-disabled",
		gosnmp.ResourceUnavailable: "another session",
		gosnmp.CommitFailed:        "another session",
		gosnmp.UndoFailed:          "half-way",
	} {
		s.SetFaults(snmpswitch.Faults{RefuseSet: status})
		err := p.Set(t.Context(), switchctl.AdminDown)
		if !errors.Is(err, switchctl.ErrRefused) || !strings.Contains(fmt.Sprint(err), cure) || errors.Is(err, switchctl.ErrTimeout) {
			t.Errorf("%s: %v, want %v with %q", status, err, switchctl.ErrRefused, cure)
		}
	}
	if !s.Up(3) {
		t.Error("the port was shut")
	}
}

// A timed-out SET may have been applied: it is an error, never a success.
func TestSetThatTimesOutMayBeCarriedOut(t *testing.T) {
	s := start(t, snmpswitch.Config{})
	p := find(t, dial(t, v3(s.Addr())), switchctl.Lookup{Name: "p3"})
	s.SetFaults(snmpswitch.Faults{Drop: func(r gosnmp.PDUType) bool { return r == gosnmp.SetRequest }})
	err := p.Set(t.Context(), switchctl.AdminDown)
	if !errors.Is(err, switchctl.ErrTimeout) || !strings.Contains(fmt.Sprint(err), "may have been carried out") {
		t.Errorf("set: %v, want %v", err, switchctl.ErrTimeout)
	}
	if s.Sets() != 2 {
		t.Errorf("%d SETs were sent, want one and a retry", s.Sets())
	}
	// S3: only a read-back from the switch makes a door shut.
	if r, err := p.Read(t.Context()); err != nil || r.Row.Admin != switchctl.AdminDown {
		t.Errorf("read back: %+v, %v; want it down", r.Row, err)
	}
}

func TestLostAnswerIsAskedForAgain(t *testing.T) {
	s := start(t, snmpswitch.Config{})
	p := find(t, dial(t, v3(s.Addr())), switchctl.Lookup{Name: "p3"})
	var lost atomic.Int64
	s.SetFaults(snmpswitch.Faults{Drop: func(gosnmp.PDUType) bool { return lost.Add(1)%2 == 1 }})
	if err := p.Set(t.Context(), switchctl.AdminDown); err != nil || s.Up(3) {
		t.Errorf("set: %v, up %v", err, s.Up(3))
	}
	if lost.Load() != 4 {
		t.Errorf("%d requests, want 2 and 2 again", lost.Load())
	}
}

// S3: an accepted SET proves nothing; these readings show what the switch really did.
func TestAcceptedIsNotCarriedOut(t *testing.T) {
	s := start(t, snmpswitch.Config{})
	p := find(t, dial(t, v3(s.Addr())), switchctl.Lookup{Name: "p3"})
	read := func() switchctl.Row {
		t.Helper()
		r, err := p.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return r.Row
	}
	set := func(admin switchctl.Admin) {
		t.Helper()
		if err := p.Set(t.Context(), admin); err != nil {
			t.Fatal(err)
		}
	}
	s.SetFaults(snmpswitch.Faults{SwallowSet: true})
	set(switchctl.AdminDown)
	if r := read(); r.Admin != switchctl.AdminUp {
		t.Errorf("swallowed, but %+v", r)
	}
	s.SetFaults(snmpswitch.Faults{ApplyAfter: time.Hour})
	set(switchctl.AdminDown)
	if r := read(); r.Admin != switchctl.AdminUp {
		t.Errorf("not yet applied, but %+v", r)
	}
	s.SetFaults(snmpswitch.Faults{StaleOper: time.Hour})
	set(switchctl.AdminDown)
	if r := read(); r.Admin != switchctl.AdminDown || r.Oper != switchctl.OperUp {
		t.Errorf("ifOperStatus is stale, but %+v", r)
	}
	s.SetFaults(snmpswitch.Faults{ApplyAfter: time.Millisecond})
	set(switchctl.AdminUp)
	for read().Admin != switchctl.AdminUp { // bounded by the test's own time limit
	}
}

// After a restart the engine's boots and time differ, after a change of its ID the keys
// as well; a port found before can be shut all the same, at the first try.
func TestEngineChanges(t *testing.T) {
	for name, change := range map[string]func(*snmpswitch.Switch) error{
		"reboot":        func(s *snmpswitch.Switch) error { s.Reboot(); return nil },
		"clock":         func(s *snmpswitch.Switch) error { s.SetClock(time.Hour); return nil },
		"another ID":    (*snmpswitch.Switch).NewEngine,
		"twice another": func(s *snmpswitch.Switch) error { return errors.Join(s.NewEngine(), s.NewEngine()) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, snmpswitch.Config{})
			sw := dial(t, v3(s.Addr()))
			p := find(t, sw, switchctl.Lookup{Name: "p3"})
			for _, admin := range []switchctl.Admin{switchctl.AdminDown, switchctl.AdminUp} {
				if err := change(s); err != nil {
					t.Fatal(err)
				}
				if err := p.Set(t.Context(), admin); err != nil {
					t.Fatalf("set %d: %v", admin, err)
				}
				if r, err := p.Read(t.Context()); err != nil || r.Row.Admin != admin || r.Uptime > time.Minute {
					t.Errorf("read: %+v, %v", r, err)
				}
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	s := start(t, snmpswitch.Config{})
	for name, c := range map[string]struct {
		change func(*snmp.Config)
		says   string
	}{
		"user":             {func(c *snmp.Config) { c.User = "nobody" }, `does not know the SNMPv3 user "nobody"`},
		"auth password":    {func(c *snmp.Config) { c.AuthPassword = "not-the-password" }, `authentication protocol (SHA-256) or password`},
		"auth protocol":    {func(c *snmp.Config) { c.Auth = "SHA-512" }, `authentication protocol (SHA-512) or password`},
		"privacy password": {func(c *snmp.Config) { c.PrivacyPassword = "not-the-password" }, "check the privacy protocol and password"},
		"privacy protocol": {func(c *snmp.Config) { c.Privacy = "AES-256" }, "check the privacy protocol and password"},
	} {
		config := v3(s.Addr())
		c.change(&config)
		_, err := snmp.Dial(t.Context(), config)
		if !errors.Is(err, switchctl.ErrAuth) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("wrong %s: %v, want %v with %q", name, err, switchctl.ErrAuth, c.says)
		}
		noSecrets(t, err)
	}
}

// S13: no secret reaches an error.
func noSecrets(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{authPassword, privacyPassword, "not-the-password", "s3cret-community"} {
		if strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
}

func TestUnreachable(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	v2 := v3(silent.LocalAddr().String())
	v2.Version, v2.Community = "2c", "s3cret-community"
	for name, c := range map[string]struct {
		config snmp.Config
		says   string
	}{
		"silent":       {v3(silent.LocalAddr().String()), "check the address"},
		"silent, v2c":  {v2, "answers nothing to a wrong one"},
		"nobody there": {v3("127.0.0.1:1"), "check the address"},
	} {
		_, err := snmp.Dial(t.Context(), c.config)
		if !errors.Is(err, switchctl.ErrTimeout) || errors.Is(err, switchctl.ErrAuth) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: %v, want %v with %q", name, err, switchctl.ErrTimeout, c.says)
		}
		noSecrets(t, err)
	}
}

func TestWrongCommunity(t *testing.T) {
	s := start(t, snmpswitch.Config{Community: "private"})
	c := snmp.Config{Address: s.Addr(), Version: "2c", Community: "s3cret-community", Timeout: 50 * time.Millisecond, Retries: -1}
	_, err := snmp.Dial(t.Context(), c)
	if !errors.Is(err, switchctl.ErrTimeout) {
		t.Errorf("%v, want %v", err, switchctl.ErrTimeout)
	}
	noSecrets(t, err)
}

// A table that could not be read whole is an error, never a shorter table: a row that
// was cut off could be the one that makes a name ambiguous.
func TestTableThatBreaksOff(t *testing.T) {
	const ifName = ".1.3.6.1.2.1.31.1.1.1.1."
	for name, c := range map[string]struct {
		alter func(request, answer *gosnmp.SnmpPacket)
		fails bool
	}{
		"GETBULK refused": {func(request, answer *gosnmp.SnmpPacket) {
			if request.PDUType == gosnmp.GetBulkRequest {
				answer.Error = gosnmp.GenErr
			}
		}, false},
		"GETBULK too big": {func(request, answer *gosnmp.SnmpPacket) {
			if request.PDUType == gosnmp.GetBulkRequest {
				answer.Error, answer.Variables = gosnmp.TooBig, nil
			}
		}, false},
		"GETBULK runs in a circle": {func(request, answer *gosnmp.SnmpPacket) {
			if request.PDUType == gosnmp.GetBulkRequest && len(answer.Variables) > 3 {
				answer.Variables[2] = answer.Variables[1]
			}
		}, false},
		"everything runs in a circle": {func(request, answer *gosnmp.SnmpPacket) {
			answer.Variables = request.Variables
		}, true},
		"goes back": {func(request, answer *gosnmp.SnmpPacket) {
			for i := range answer.Variables {
				answer.Variables[i].Name = strings.Replace(answer.Variables[i].Name, ifName+"3", ifName+"1", 1)
			}
		}, true},
		"genErr in the middle": {func(request, answer *gosnmp.SnmpPacket) {
			if strings.HasPrefix(answer.Variables[0].Name, ifName) {
				answer.Error = gosnmp.GenErr
			}
		}, true},
		"empty answer": {func(request, answer *gosnmp.SnmpPacket) {
			if strings.HasPrefix(request.Variables[0].Name+".", ifName) {
				answer.Variables, answer.Error = nil, gosnmp.TooBig
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, snmpswitch.Config{})
			sw := dial(t, v3(s.Addr()))
			s.SetFaults(snmpswitch.Faults{Alter: c.alter})
			rows, err := sw.Rows(t.Context())
			if c.fails && (err == nil || rows != nil) || !c.fails && (err != nil || len(rows) != len(ports())) {
				t.Errorf("%d rows, %v; want an error: %v", len(rows), err, c.fails)
			}
			if _, err := sw.Find(t.Context(), switchctl.Lookup{Name: "p3"}); (err != nil) != c.fails {
				t.Errorf("find: %v; want an error: %v", err, c.fails)
			}
		})
	}
}

// Large answers that are lost on the way, as where fragments are dropped.
func TestBulkOfTextsIsLost(t *testing.T) {
	s := start(t, snmpswitch.Config{})
	config := v3(s.Addr())
	config.Retries = -1
	sw := dial(t, config)
	s.SetFaults(snmpswitch.Faults{Alter: func(request, answer *gosnmp.SnmpPacket) {
		text := answer.Variables[0].Type == gosnmp.OctetString
		if request.PDUType == gosnmp.GetBulkRequest && text {
			answer.PDUType = 0 // an answer that no one can read
		}
	}})
	if rows, err := sw.Rows(t.Context()); err != nil || len(rows) != len(ports()) {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

func TestRowsAcrossManyAnswers(t *testing.T) {
	var many []snmpswitch.Port
	for i := range 300 {
		many = append(many, snmpswitch.Port{Index: 10001 + 5*i, Name: fmt.Sprintf("Gi1/0/%d", i+1), Description: "Ethernet Interface", Up: i%2 == 0, Speed: 10e9})
	}
	s := start(t, snmpswitch.Config{Ports: many})
	rows, err := dial(t, v3(s.Addr())).Rows(t.Context())
	if err != nil || len(rows) != len(many) {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, r := range rows {
		want := switchctl.Row{Index: many[i].Index, Name: many[i].Name, Description: "Ethernet Interface", Type: 6,
			Admin: switchctl.Admin(2 - (i+1)%2), Oper: switchctl.Oper(2 - (i+1)%2), Speed: 10e9}
		if r != want {
			t.Errorf("row %d: %+v, want %+v", i, r, want)
		}
	}
}

// A column that the agent lacks leads to a refusal, never to a guess.
func TestMissingColumns(t *testing.T) {
	const interfaces, extended = ".1.3.6.1.2.1.2.2.1.", ".1.3.6.1.2.1.31.1.1.1."
	s := start(t, snmpswitch.Config{Without: []string{extended + "1", extended + "6", extended + "10", extended + "15", extended + "18"}})
	sw := dial(t, v3(s.Addr()))
	if _, err := sw.Find(t.Context(), switchctl.Lookup{Name: "p3"}); !errors.Is(err, switchctl.ErrNoMatch) || !strings.Contains(err.Error(), "gives no ifName") {
		t.Errorf("by a name that is not there: %v", err)
	}
	r, err := find(t, sw, switchctl.Lookup{Description: "port 3"}).Read(t.Context())
	if err != nil || r.WideOctets || r.InOctets != 0 || r.OutOctets != 7 || r.Row.Speed != 1e9 {
		t.Errorf("read: %+v, %v; want 32-bit counters", r, err)
	}

	s = start(t, snmpswitch.Config{Without: []string{interfaces + "3"}})
	if _, err := dial(t, v3(s.Addr())).Find(t.Context(), switchctl.Lookup{Name: "p3"}); !errors.Is(err, switchctl.ErrNotPhysical) {
		t.Errorf("without ifType: %v", err)
	}

	s = start(t, snmpswitch.Config{Without: []string{interfaces + "8"}})
	if _, err := find(t, dial(t, v3(s.Addr())), switchctl.Lookup{Name: "p3"}).Read(t.Context()); !errors.Is(err, switchctl.ErrRefused) {
		t.Errorf("without ifOperStatus: %v", err)
	}
}

// What shows later that somebody else opened a port is in every reading.
func TestReadTellsOfChanges(t *testing.T) {
	var octets atomic.Uint64
	s := start(t, snmpswitch.Config{Ports: []snmpswitch.Port{{Index: 3, Name: "p3", Octets: func() (uint64, uint64) { return octets.Load(), 1 << 50 }}}})
	p := find(t, dial(t, v3(s.Addr())), switchctl.Lookup{Name: "p3"})
	read := func() switchctl.Reading {
		t.Helper()
		r, err := p.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	before := read()
	for read().Uptime < before.Uptime+50*time.Millisecond { // ifLastChange counts hundredths of a second
	}
	if before.Row.LastChange != 0 || read().Row.LastChange != 0 {
		t.Errorf("nothing changed, and ifLastChange is %s", before.Row.LastChange)
	}
	if err := p.Set(t.Context(), switchctl.AdminUp); err != nil {
		t.Fatal(err)
	}
	octets.Add(1 << 40)
	if r := read(); r.Row.LastChange < before.Uptime+50*time.Millisecond || r.Row.LastChange > r.Uptime || r.InOctets != 1<<40 || r.OutOctets != 1<<50 || !r.WideOctets {
		t.Errorf("after it came up: %+v", r)
	}
}

func TestRead(t *testing.T) {
	s := start(t, snmpswitch.Config{})
	var requests atomic.Int64
	sw := dial(t, v3(s.Addr()))
	p := find(t, sw, switchctl.Lookup{Name: "p3"})
	s.SetFaults(snmpswitch.Faults{Drop: func(gosnmp.PDUType) bool { requests.Add(1); return false }})
	r, err := p.Read(t.Context())
	want := switchctl.Row{Index: 3, Name: "p3", Alias: "vault", Description: "port 3", Type: 6, Admin: switchctl.AdminUp, Oper: switchctl.OperUp, Speed: 1e9}
	if err != nil || r.Row != want || !r.WideOctets || r.InOctets != 1<<40 || r.OutOctets != 1<<33+7 || r.Uptime > time.Minute {
		t.Errorf("read: %+v, %v", r, err)
	}
	if n := requests.Swap(0); n != 1 {
		t.Errorf("a reading took %d requests, want 1", n)
	}
	if err := p.Set(t.Context(), switchctl.AdminDown); err != nil || requests.Load() != 2 {
		t.Errorf("set took %d requests, %v; want 2", requests.Load(), err)
	}
}

// A row that is gone is not the row that was found.
func TestRowIsGone(t *testing.T) {
	s := start(t, snmpswitch.Config{})
	p := find(t, dial(t, v3(s.Addr())), switchctl.Lookup{Name: "p3"})
	if err := s.Edit(3, func(p *snmpswitch.Port) { p.Index = 4 }); err != nil {
		t.Fatal(err)
	}
	if err := p.Set(t.Context(), switchctl.AdminDown); !errors.Is(err, switchctl.ErrMoved) || s.Sets() != 0 {
		t.Errorf("set: %v, %d SETs", err, s.Sets())
	}
}

// An answer without what was asked for is no answer.
func TestAnswerToAnotherQuestion(t *testing.T) {
	s := start(t, snmpswitch.Config{})
	p := find(t, dial(t, v3(s.Addr())), switchctl.Lookup{Name: "p3"})
	s.SetFaults(snmpswitch.Faults{Alter: func(_, answer *gosnmp.SnmpPacket) {
		answer.Variables = slices.DeleteFunc(answer.Variables, func(v gosnmp.SnmpPDU) bool { return strings.HasPrefix(v.Name, ".1.3.6.1.2.1.31") })
	}})
	if err := p.Set(t.Context(), switchctl.AdminDown); !errors.Is(err, switchctl.ErrTimeout) || s.Sets() != 0 {
		t.Errorf("set: %v, %d SETs", err, s.Sets())
	}
}

func TestContextWhileAnotherSpeaks(t *testing.T) {
	s := start(t, snmpswitch.Config{})
	config := v3(s.Addr())
	config.Timeout = time.Minute
	sw := dial(t, config)
	p := find(t, sw, switchctl.Lookup{Name: "p3"})
	s.SetFaults(snmpswitch.Faults{Drop: func(gosnmp.PDUType) bool { return true }})
	speaking, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { _, err := p.Read(speaking); done <- err }()
	waiting, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Set(waiting, switchctl.AdminDown); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for the turn: %v", err)
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("speaking: %v", err)
	}
}

func TestConfig(t *testing.T) {
	good := v3("127.0.0.1:1")
	for says, change := range map[string]func(*snmp.Config){
		"version":            func(c *snmp.Config) { c.Version = "1" },
		"user":               func(c *snmp.Config) { c.User = "" },
		"auth":               func(c *snmp.Config) { c.Auth = "MD5" },
		"privacy":            func(c *snmp.Config) { c.Privacy = "DES" },
		"both passwords":     func(c *snmp.Config) { c.AuthPassword = "short" },
		"at least 8":         func(c *snmp.Config) { c.PrivacyPassword = "" },
		"at most 10":         func(c *snmp.Config) { c.Retries = 11 },
		"host or host:port":  func(c *snmp.Config) { c.Address = "" },
		`"127.0.0.1:http"`:   func(c *snmp.Config) { c.Address = "127.0.0.1:http" },
		"1 to 127 bytes":     func(c *snmp.Config) { c.Version = "2c" },
		"must have 1 to 127": func(c *snmp.Config) { c.Version, c.Community = "2c", strings.Repeat("x", 128) },
	} {
		c := good
		change(&c)
		if _, err := snmp.Dial(t.Context(), c); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", c, err, says)
		}
	}
}

func TestProtocols(t *testing.T) {
	auths := map[string]gosnmp.SnmpV3AuthProtocol{"SHA": gosnmp.SHA, "SHA-224": gosnmp.SHA224, "SHA-256": gosnmp.SHA256, "SHA-384": gosnmp.SHA384, "SHA-512": gosnmp.SHA512}
	privacies := map[string]gosnmp.SnmpV3PrivProtocol{"AES": gosnmp.AES, "AES-192": gosnmp.AES192, "AES-256": gosnmp.AES256, "AES-192-C": gosnmp.AES192C, "AES-256-C": gosnmp.AES256C}
	for auth, a := range auths {
		for privacy, p := range privacies {
			s := start(t, snmpswitch.Config{Auth: a, Privacy: p})
			config := v3(s.Addr())
			config.Auth, config.Privacy = auth, privacy
			if err := find(t, dial(t, config), switchctl.Lookup{Name: "p3"}).Set(t.Context(), switchctl.AdminDown); err != nil {
				t.Errorf("%s with %s: %v", auth, privacy, err)
			}
		}
	}
}
