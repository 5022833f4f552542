package orchestrator

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"airlock/ledger"
	"airlock/switchctl"
	"airlock/switchctl/switchtest/snmpswitch"
)

// S7: only the configured port is ever changed; a switch whose SET opens another one as well
// is told of, by the name of that port. A port that was up all along is not.
func TestAnotherPortComesUp(t *testing.T) {
	for _, both := range []bool{true, false} {
		t.Run(fmt.Sprint(both), func(t *testing.T) {
			h := newHospital(t)
			opened := make(chan struct{}, 1)
			err := errors.Join(h.sw.Edit(2, func(p *snmpswitch.Port) { p.Up = !both }), h.sw.Edit(3, func(p *snmpswitch.Port) {
				p.OnAdmin = func(up bool) {
					if up {
						opened <- struct{}{}
					}
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				<-opened
				if err := h.sw.Edit(2, func(p *snmpswitch.Port) { p.Up = true }); err != nil {
					t.Error(err)
				}
			}()
			h.within(func(s *Site) {
				if _, err := s.Window(t.Context(), "secondary", byTest, silent); err != nil {
					t.Fatal(err)
				}
			})
			want := 0
			if both {
				want = 1
			}
			alarms := h.entries(ledger.Filter{Kind: ledger.KindAlarm})
			if len(alarms) != want || both && (alarms[0].Door != "vault-door" || !strings.Contains(string(alarms[0].Detail), "port p2 (index 2)")) {
				t.Errorf("the alarms are %+v, want %d", alarms, want)
			}
		})
	}
}

// Ports of a living hospital come up at any time: only a link that came just after the
// command counts, or a port that was told to be up.
func TestCameUp(t *testing.T) {
	booted := time.Now().Add(-time.Hour)
	sent := booted.Add(30 * time.Minute)
	p := Passage{OpenedAt: sent, before: switchctl.Reading{At: sent.Add(time.Second), Uptime: 30*time.Minute + time.Second, Row: switchctl.Row{Index: 3, Name: "p3"}}}
	row := func(index int, admin switchctl.Admin, oper switchctl.Oper, changed time.Duration) switchctl.Row {
		return switchctl.Row{Index: index, Name: fmt.Sprintf("p%d", index), Type: 6, Admin: admin, Oper: oper, LastChange: changed}
	}
	lag := func(r switchctl.Row) switchctl.Row { r.Type = 161; return r }
	const up, down = switchctl.AdminUp, switchctl.AdminDown
	before := []switchctl.Row{row(1, up, 2, 0), row(2, up, 2, 0), row(3, down, 2, 0), row(4, down, 2, 0), row(5, up, 1, 0), lag(row(6, down, 2, 0)), row(7, up, 2, 0)}
	after := []switchctl.Row{
		row(1, up, 1, 30*time.Minute+time.Second),   // with the door
		row(2, up, 1, 35*time.Minute),               // later
		row(3, up, 1, 30*time.Minute+time.Second),   // the door itself
		row(4, up, 2, 0),                            // told
		row(5, up, 1, 30*time.Minute+2*time.Second), // was up
		lag(row(6, up, 1, 30*time.Minute)),          // an aggregate
		row(7, up, 1, 29*time.Minute),               // before
		row(8, up, 1, 30*time.Minute),               // was not there
	}
	var got []int
	for _, r := range cameUp(before, after, p) {
		got = append(got, r.Index)
	}
	if fmt.Sprint(got) != "[1 4]" {
		t.Errorf("came up: %v, want [1 4]", got)
	}
}
