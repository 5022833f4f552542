package doors

import (
	"time"

	"airlock/switchctl"
)

// Times is what happened to the vault's door during one window.
type Times struct {
	OpenedAt time.Time // the command to open was sent
	SeenOpen time.Time // it was read back as up
	DownAt   time.Time // the first read-back of ifAdminStatus down
	ProvenAt time.Time // the proof of closure

	before, after switchctl.Reading // of the port, when it was read back as up and last
}

// Octets is what the port itself counted between the first reading and the last, both
// ways; 0 where its counters went backwards.
func (t Times) Octets() uint64 {
	in, out := t.after.InOctets-t.before.InOctets, t.after.OutOctets-t.before.OutOctets
	if t.after.InOctets < t.before.InOctets || t.after.OutOctets < t.before.OutOctets {
		return 0
	}
	return in + out
}

// Speed is the port's, in bit/s, when it was read back as up; 0 where it told none.
func (t Times) Speed() uint64 { return t.before.Row.Speed }

// Exposure is the time from sending the command that opened the door to the first
// read-back of ifAdminStatus down, or to the proof of closure where that first
// failed; up to now while there is no proof, and zero if the door was never opened.
func (t Times) Exposure() time.Duration {
	switch {
	case t.OpenedAt.IsZero():
		return 0
	case t.DownAt.IsZero():
		return time.Since(t.OpenedAt)
	}
	return t.DownAt.Sub(t.OpenedAt)
}
