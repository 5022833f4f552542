package orchestrator

import (
	"bufio"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"airlock/ledger"
	"airlock/policies"
)

// The SIEM is told what serve does, its end included. S2: nothing waits for a SIEM that
// is not there.
func TestSIEMIsTold(t *testing.T) {
	h := newHospital(t)
	h.keys()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	told := make(chan string, 1000)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			for in := bufio.NewReader(c); ; {
				text, err := in.ReadString(')') // every message ends in its actor
				if err != nil {
					break
				}
				told <- text
			}
			c.Close()
		}
	}()
	h.policy.Ledger.Syslog = &policies.Syslog{URL: "tcp://" + l.Addr().String(), Facility: "local0", AlarmAfter: policies.Duration(time.Minute)}
	await := func(what string) {
		t.Helper()
		for late := time.After(30 * time.Second); ; {
			select {
			case text := <-told:
				if strings.Contains(text, what) {
					return
				}
			case <-late:
				t.Fatalf("the SIEM was not told %q", what)
			}
		}
	}
	h.within(func(s *Site) {
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx) }()
		await(`kind="start"`)
		cancel()
		<-served
	})
	await(`kind="stop"`)
	await(`origin="airlock/` + h.policy.Site + `"`) // a head over that as well

	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	h.within(func(s *Site) {
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx) }()
		for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			st, err := s.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if st.Ledger.Syslog != nil && strings.Contains(st.Ledger.Syslog.Error, "refused") {
				break
			}
			if time.Since(began) > 30*time.Second {
				t.Fatal("the status does not tell of the outage")
			}
		}
		cancel()
		<-served
	})
	if got := h.entries(ledger.Filter{Kind: ledger.KindStop}); len(got) != 2 {
		t.Errorf("%d ends are in the ledger", len(got))
	}
}
