package orchestrator

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"airlock/ledger"
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
