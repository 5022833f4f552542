//go:build !linux

package ledger

import (
	"time"

	"airlock/ledger/proof"
)

// discipline cannot ask here.
func discipline() (proof.ClockState, time.Duration) { return proof.ClockUnknown, 0 }
