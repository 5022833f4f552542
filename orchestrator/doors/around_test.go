package doors

import (
	"fmt"
	"testing"
	"time"

	"airlock/switchctl"
)

// Ports of a living hospital come up at any time: only a link that came just after the
// command counts, or a port that was told to be up.
func TestCameUp(t *testing.T) {
	booted := time.Now().Add(-time.Hour)
	sent := booted.Add(30 * time.Minute)
	p := Times{OpenedAt: sent, before: switchctl.Reading{At: sent.Add(time.Second), Uptime: 30*time.Minute + time.Second, Row: switchctl.Row{Index: 3, Name: "p3"}}}
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
