package snmp_test

import (
	"fmt"
	"testing"

	"airlock/switchctl"
	"airlock/switchctl/switchtest/snmpswitch"
)

// BenchmarkPort measures, against a switch of 52 ports on loopback, what a window waits
// for: the lookup before it, and a SET with its first read-back within it.
func BenchmarkPort(b *testing.B) {
	var many []snmpswitch.Port
	for i := range 52 {
		many = append(many, snmpswitch.Port{Index: i + 1, Name: fmt.Sprintf("port1.0.%d", i+1), Description: "port", Up: true})
	}
	s := start(b, snmpswitch.Config{Ports: many})
	sw := dial(b, v3(s.Addr()))
	ask := switchctl.Lookup{Name: "port1.0.52"}
	p := find(b, sw, ask)
	admin := switchctl.AdminUp
	for name, op := range map[string]func() error{
		"Find": func() error { _, err := sw.Find(b.Context(), ask); return err },
		"Read": func() error { _, err := p.Read(b.Context()); return err },
		"SetRead": func() error {
			admin = switchctl.AdminUp + switchctl.AdminDown - admin
			if err := p.Set(b.Context(), admin); err != nil {
				return err
			}
			r, err := p.Read(b.Context())
			if err == nil && r.Row.Admin != admin {
				return fmt.Errorf("read back %+v", r.Row)
			}
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := op(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
