package orchestrator

import (
	"errors"
	"maps"
	"slices"

	"airlock/repository"
)

var (
	errNone    = errors.New("there is no snapshot") // of the system
	errNotThat = errors.New("no snapshot")          // of that ID or time, among those that there are
)

// asksWrongly reports that an order asked for what is not there, or for a folder that is in
// use. Nothing was restored then, and nothing is learned of the backups: such an order is
// refused, and no restore that failed or missed its RTO.
func asksWrongly(err error) bool {
	for _, wrong := range []error{ErrUnknown, errNotThat, repository.ErrNotEmpty, repository.ErrNoPath} {
		if errors.Is(err, wrong) {
			return true
		}
	}
	return false
}

// nobodys is the error of a system that has no snapshot: why, unless the policy file does
// not know it either. Then it is most likely misspelt, and nothing was lost.
func (s *Site) nobodys(system string, why error) error {
	if s.policy.Systems[system] != nil {
		return why
	}
	return s.unknown("system", system, slices.Sorted(maps.Keys(s.policy.Systems)))
}
