package ledger

import (
	"time"

	"golang.org/x/sys/unix"

	"airlock/ledger/proof"
)

// discipline asks the kernel whether something keeps the wall clock right (adjtimex(2)),
// and how wrong it may be at most.
func discipline() (proof.ClockState, time.Duration) {
	var t unix.Timex // no modes: nothing is changed
	state, err := unix.Adjtimex(&t)
	switch {
	case err != nil:
		return proof.ClockUnknown, 0
	case state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0:
		return proof.ClockFree, 0
	}
	return proof.ClockSynced, time.Duration(t.Maxerror) * time.Microsecond
}
