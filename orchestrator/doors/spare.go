package doors

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"

	"airlock/switchctl"
)

// spares is how many descriptors are kept for what shuts a door and reads it: sessions with
// switches, each with a host key's file and a name to look up, and the lockdown's file.
const spares = 16

// spare keeps descriptors, so that those who use up all others leave some: an executor
// without one cannot make the session by which it would shut a door (S2, S14).
type spare struct {
	mu    sync.Mutex
	files []*os.File
	given int // how often all were let go
}

// keep takes as many as are missing, or as there are.
func (s *spare) keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.files) < spares {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return
		}
		s.files = append(s.files, f)
	}
}

// give lets go of all.
func (s *spare) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.files) > 0 {
		s.given++
	}
	for _, f := range s.files {
		_ = f.Close() // it was only held
	}
	s.files = nil
}

// times is how often all were let go.
func (s *spare) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.given
}

// spend has f tried once more, with what was kept, if it failed for want of descriptors.
func (s *spare) spend(f func() error) error {
	before := s.times()
	err := f()
	if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
		return err
	}
	if s.give(); s.times() == before { // neither now, nor by another while f tried
		return err
	}
	return f()
}

// sparing dials a switch, by what was kept if need be.
func (s *spare) sparing(dial func(context.Context) (switchctl.Switch, error)) func(context.Context) (switchctl.Switch, error) {
	return func(ctx context.Context) (sw switchctl.Switch, err error) {
		err = s.spend(func() error {
			sw, err = dial(ctx)
			return err
		})
		return sw, err
	}
}
