package guard

import (
	"errors"
	"fmt"
	"time"

	"airlock/lease"
)

// errLockdown: no lease is valid.
var errLockdown = errors.New("lockdown")

// folder is the executor's state folder, on this machine.
type folder string

// read gives the lease of a door, unless nobody has leave.
func (f folder) read(door string) (lease.Lease, error) {
	l, err := lease.In(string(f)).Read(door)
	locked, doubt := lease.Locked(string(f))
	if locked != nil && doubt == nil {
		return l, inLockdown(*locked)
	}
	return l, errors.Join(err, doubt)
}

func inLockdown(l lease.Lockdown) error {
	return fmt.Errorf("%w by %s since %s: %s", errLockdown, l.By, l.At.Format(time.RFC3339), l.Reason)
}
