package snmp_test

import (
	"context"
	"testing"
	"time"

	"airlock/switchctl"
	"airlock/switchctl/snmp"
	"airlock/switchctl/switchtest"
	"airlock/switchctl/switchtest/snmpswitch"

	"github.com/gosnmp/gosnmp"
)

const (
	authPassword    = "authpass123"
	privacyPassword = "privpass123"
)

// ports are four physical ports, two of one name, an aggregate and a VLAN.
func ports() []snmpswitch.Port {
	return []snmpswitch.Port{
		{Index: 1, Name: "p1", Description: "port 1", Up: true},
		{Index: 3, Name: "p3", Alias: "vault", Description: "port 3", Up: true, Octets: func() (uint64, uint64) { return 1 << 40, 1<<33 + 7 }},
		{Index: 7, Name: "twice", Description: "port 7"},
		{Index: 1276379648, Name: "twice", Description: "port 8"},
		{Index: 1276379700, Name: "Po1", Description: "Port-channel1", Type: 161, Up: true},
		{Index: 1276379701, Name: "Vlan10", Description: "Vlan10", Type: 6, Up: true},
	}
}

func start(t testing.TB, c snmpswitch.Config) *snmpswitch.Switch {
	t.Helper()
	if c.Ports == nil {
		c.Ports = ports()
	}
	if c.Community == "" {
		c.User, c.AuthPassword, c.PrivacyPassword = "airlock", authPassword, privacyPassword
	}
	s, err := snmpswitch.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close switch: %v", err)
		}
	})
	return s
}

func v3(address string) snmp.Config {
	return snmp.Config{Address: address, Version: "3", User: "airlock", Auth: "SHA-256", AuthPassword: authPassword,
		Privacy: "AES", PrivacyPassword: privacyPassword, Timeout: 500 * time.Millisecond, Retries: 1}
}

func dial(t testing.TB, c snmp.Config) switchctl.Switch {
	t.Helper()
	sw, err := snmp.Dial(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sw.Close(); err != nil {
			t.Errorf("close session: %v", err)
		}
	})
	return sw
}

func find(t testing.TB, sw switchctl.Switch, l switchctl.Lookup) switchctl.Port {
	t.Helper()
	p, err := sw.Find(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestConformance(t *testing.T) {
	for _, version := range []string{"3", "2c"} {
		t.Run("version "+version, func(t *testing.T) {
			config := snmpswitch.Config{Name: "core"}
			if version == "2c" {
				config.Community = "private"
			}
			s := start(t, config)
			client := v3(s.Addr())
			client.Version, client.Community, client.Timeout = version, config.Community, 5*time.Second
			switchtest.Conformance(t, switchtest.Harness{
				Dial: func(ctx context.Context) (switchctl.Switch, error) { return snmp.Dial(ctx, client) },
				Port: switchctl.Row{Index: 3, Name: "p3", Alias: "vault", Description: "port 3", Type: 6},
				Refused: map[switchctl.Lookup]error{
					{Name: "twice"}:       switchctl.ErrAmbiguous,
					{Name: "Po1"}:         switchctl.ErrNotPhysical,
					{Name: "Vlan10"}:      switchctl.ErrNotPhysical,
					{Index: 2}:            switchctl.ErrNoMatch,
					{Alias: "vault "}:     nil,
					{Name: "", Index: -3}: switchctl.ErrNoMatch,
				},
				Truth: func() (switchctl.Admin, error) {
					if s.Up(3) {
						return switchctl.AdminUp, nil
					}
					return switchctl.AdminDown, nil
				},
				Settle: 5 * time.Second,
				Rename: func(name string) error { return s.Edit(3, func(p *snmpswitch.Port) { p.Name = name }) },
				Silence: func(silent bool) error {
					s.SetFaults(snmpswitch.Faults{Drop: func(gosnmp.PDUType) bool { return silent }})
					return nil
				},
			})
		})
	}
}
