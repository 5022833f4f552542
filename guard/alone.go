package guard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"airlock/lease"
	"airlock/policies"

	"github.com/gofrs/flock"
)

// ErrAnother: another guard lives on the same state folder. Two of them do no harm to a
// door, and yet nobody would know whose word it is that a guard lives.
var ErrAnother = errors.New("another guard runs")

// heardWithin is for how many intervals a guard counts as alive after its last sign.
const heardWithin = 3

// Alone makes this process the only guard with its ledger, until release or its end. Only
// another guard that is alive is in the way, as ErrAnother: where that is not known, or the
// other one stands still, doubt says so, and the doors are guarded all the same (S14).
func Alone(p policies.Policy) (release func() error, doubt, err error) {
	dir := filepath.Dir(p.Guard.Ledger)
	release = func() error { return nil }
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return release, fmt.Errorf("it is not known whether another guard runs: %w", err), nil
	}
	lock := flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o600))
	switch taken, err := lock.TryLock(); {
	case err != nil:
		return release, fmt.Errorf("it is not known whether another guard runs: %w", err), nil
	case taken:
		return lock.Unlock, nil, nil
	}
	sign, age, err := lastSign(p)
	switch {
	case err != nil:
		return release, fmt.Errorf("another process has %s, and nothing is heard of it (%w): end it", lock.Path(), err), nil
	case age > heardWithin*time.Duration(p.Guard.Interval):
		return release, fmt.Errorf("another guard, process %d, has %s, and was not heard of for %s: end it", sign.PID, lock.Path(), age.Round(time.Second)), nil
	}
	return release, nil, fmt.Errorf("%w with the ledger %s: process %d; end that one first", ErrAnother, p.Guard.Ledger, sign.PID)
}

// lastSign is the last that a guard with this ledger said of itself, and how long ago.
func lastSign(p policies.Policy) (lease.Guard, time.Duration, error) {
	sign, err := lease.ReadGuard(lease.GuardFile(p.Guard.Ledger))
	if err != nil {
		return sign, 0, err
	}
	now, err := lease.Now()
	if err == nil && (sign.Clock.Boot != now.Boot || sign.Clock.Since > now.Since) {
		err = errors.New("its last sign of life is of before the machine was booted")
	}
	return sign, now.Since - sign.Clock.Since, err
}
