package doors

import (
	"fmt"
	"time"

	"airlock/switchctl"
)

// doorDetail is the evidence beside a change of a door's state.
type doorDetail struct {
	Side     string         `json:"side,omitempty"` // "inner" of a door on the departments' side
	Reading  *readingDetail `json:"reading,omitempty"`
	By       string         `json:"by,omitempty"`          // the switch's name in the policy file, where the door has several ways
	Probe    string         `json:"probe,omitempty"`       // silent, answers, pending
	Doubt    string         `json:"probe_doubt,omitempty"` // why its silence proves nothing
	Error    string         `json:"error,omitempty"`       // why nothing could be read
	Exposure float64        `json:"exposure_seconds,omitempty"`
}

// readingDetail is a reading. What its switch does not tell is absent: a nought would be
// evidence.
type readingDetail struct {
	At         time.Time `json:"at"`
	Index      int       `json:"index"`
	Name       string    `json:"name,omitempty"`
	Alias      string    `json:"alias,omitempty"`
	Admin      int       `json:"admin"` // ifAdminStatus
	Oper       int       `json:"oper"`  // ifOperStatus
	Uptime     float64   `json:"uptime_seconds,omitempty"`
	LastChange *float64  `json:"last_change_seconds,omitempty"`
	InOctets   *uint64   `json:"in_octets,omitempty"`
	OutOctets  *uint64   `json:"out_octets,omitempty"`
	Wide       bool      `json:"wide_octets,omitempty"` // 64-bit counters
}

// reading is what of a reading the ledger holds.
func (r readingDetail) reading() switchctl.Reading {
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return switchctl.Reading{
		At: r.At, Uptime: seconds(r.Uptime), InOctets: orZero(r.InOctets), OutOctets: orZero(r.OutOctets), WideOctets: r.Wide,
		Row: switchctl.Row{
			Index: r.Index, Name: r.Name, Alias: r.Alias, Admin: switchctl.Admin(r.Admin), Oper: switchctl.Oper(r.Oper),
			LastChange: seconds(orZero(r.LastChange)),
		},
	}
}

// orZero is what a switch told; zero if it did not.
func orZero[T any](v *T) (zero T) {
	if v == nil {
		return zero
	}
	return *v
}

// detailOf is what the ledger is to hold of a reading.
func detailOf(r switchctl.Reading, at time.Time) *readingDetail {
	d := &readingDetail{
		At: at, Index: r.Row.Index, Name: r.Row.Name, Alias: r.Row.Alias,
		Admin: int(r.Row.Admin), Oper: int(r.Row.Oper), Uptime: r.Uptime.Seconds(), Wide: r.WideOctets,
	}
	if changed := r.Row.LastChange.Seconds(); r.Uptime > 0 {
		d.LastChange = &changed
	}
	if r.WideOctets || r.InOctets|r.OutOctets != 0 {
		d.InOctets, d.OutOctets = &r.InOctets, &r.OutOctets
	}
	return d
}

func sightDetail(s sighting) doorDetail {
	d := doorDetail{By: s.by, Probe: s.probe, Doubt: s.doubt}
	switch {
	case s.at.IsZero():
	case s.err != nil:
		d.Error = s.err.Error()
	default:
		d.Reading = detailOf(s.reading, s.at)
	}
	return d
}

// String says what was seen, for alarms and the status.
func (s sighting) String() string {
	switch {
	case s.at.IsZero():
		return "not read yet"
	case s.err != nil:
		return s.err.Error()
	}
	text := fmt.Sprintf("ifAdminStatus %d, ifOperStatus %d", s.reading.Row.Admin, s.reading.Row.Oper)
	if s.probe != "" {
		text += ", probe " + s.probe
	}
	if s.doubt != "" {
		text += " (" + s.doubt + ")"
	}
	return text
}
