package doors

import (
	"context"
	"sync"

	"airlock/switchctl"
)

// session is the one session with a switch, made when it is first needed and made anew
// after it failed. Several doors may lie on it: none waits while another dials, so two
// may dial at once, and then the first session made is the one that stays.
type session struct {
	dial func(context.Context) (switchctl.Switch, error)

	mu sync.Mutex // never held while anything is waited for (S2)
	sw switchctl.Switch
}

func (s *session) open(ctx context.Context) (switchctl.Switch, error) {
	if sw := s.standing(); sw != nil {
		return sw, nil
	}
	sw, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.sw == nil {
		s.sw = sw
	}
	stays := s.sw
	s.mu.Unlock()
	if stays != sw {
		err = sw.Close()
	}
	return stays, err
}

func (s *session) standing() switchctl.Switch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sw
}

// drop ends the session if it is still the one that failed.
func (s *session) drop(sw switchctl.Switch) error {
	s.mu.Lock()
	if s.sw == nil || s.sw != sw {
		s.mu.Unlock()
		return nil
	}
	s.sw = nil
	s.mu.Unlock()
	return sw.Close()
}

func (s *session) close() error {
	return s.drop(s.standing())
}
