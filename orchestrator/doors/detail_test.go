package doors

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"airlock/switchctl"
)

// A nought in the ledger is what a switch counted, not what it kept to itself; and what
// is read from the ledger is what was read from the switch.
func TestReadingInTheLedger(t *testing.T) {
	at := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	row := switchctl.Row{Index: 5, Name: "p3", Admin: switchctl.AdminDown, Oper: switchctl.OperDown}
	for name, c := range map[string]struct {
		reading switchctl.Reading
		want    string
	}{
		"a command line that counts nothing": {switchctl.Reading{At: at, Row: row}, ``},
		"a port that was never used":         {switchctl.Reading{At: at, Row: row, Uptime: time.Hour, WideOctets: true}, `,"uptime_seconds":3600,"last_change_seconds":0,"in_octets":0,"out_octets":0,"wide_octets":true`},
		"narrow counters":                    {switchctl.Reading{At: at, Row: row, OutOctets: 7}, `,"in_octets":0,"out_octets":7`},
	} {
		data, err := json.Marshal(detailOf(c.reading, at))
		if err != nil {
			t.Fatal(err)
		}
		if _, got, _ := strings.Cut(string(data), `"oper":2`); got != c.want+"}" {
			t.Errorf("%s: %s, want %s", name, data, c.want)
		}
		var kept readingDetail
		if err := json.Unmarshal(data, &kept); err != nil || kept.reading() != c.reading {
			t.Errorf("%s: %+v comes back as %+v, %v", name, c.reading, kept.reading(), err)
		}
	}
}
