package orchestrator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"airlock/collectors"
)

// placeFile is where it is remembered on which mount a system's source lay when it was
// gathered well.
func (s *Site) placeFile(system string) string {
	return filepath.Join(s.policy.State, "sources", system+".json")
}

// known is where a source lay when it was gathered well, and where it was found since and
// refused.
type known struct {
	Place   collectors.Place  `json:"place"`
	Refused *collectors.Place `json:"refused,omitempty"`
}

// inPlace refuses a source that does not lie where it did: an empty folder below a mount
// that is gone would pass for its backup (S16).
func (s *Site) inPlace(system string, src collectors.Source) (collectors.Place, error) {
	placed, ok := src.(collectors.Placed)
	if !ok {
		return collectors.Place{}, nil
	}
	now, err := placed.Place()
	if err != nil {
		return now, err
	}
	was, err := s.recallPlace(system)
	if err != nil {
		return now, err
	}
	if err := now.Same(was.Place); err != nil {
		was.Refused = &now
		return now, errors.Join(fmt.Errorf("the source is not where it was: %w; if it is right so: airlock accept %s --reason TEXT", err, system), s.keepPlace(system, was))
	}
	return now, nil
}

func (s *Site) recallPlace(system string) (was known, err error) {
	text, err := os.ReadFile(s.placeFile(system))
	if errors.Is(err, fs.ErrNotExist) {
		return was, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &was)
	}
	if err != nil {
		return was, fmt.Errorf("recall where the source of %s lay: %w", system, err)
	}
	return was, nil
}

func (s *Site) keepPlace(system string, k known) error {
	text, err := json.Marshal(k)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(s.placeFile(system)), 0o700)
	}
	if err == nil {
		err = replaceFile(s.placeFile(system), text)
	}
	if err != nil {
		return fmt.Errorf("remember where the source of %s lies: %w", system, err)
	}
	return nil
}

// rememberPlace is called for a gathering that was taken for good.
func (s *Site) rememberPlace(system string, now collectors.Place) error {
	was, err := s.recallPlace(system)
	if err != nil || was == (known{Place: now}) || now == (collectors.Place{}) {
		return err
	}
	return s.keepPlace(system, known{Place: now})
}

// acceptPlace takes the place that was refused last for the right one. It reports whether
// there is one.
func (s *Site) acceptPlace(system string) (refused bool, err error) {
	was, err := s.recallPlace(system)
	if err != nil || was.Refused == nil {
		return false, err
	}
	return true, s.keepPlace(system, known{Place: *was.Refused})
}
