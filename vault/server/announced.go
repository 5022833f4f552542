package server

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"airlock/vault"
)

// announcedDir is where clients show announcements. Nothing lies there.
const announcedDir = "announced"

// announcing is an announcement on its way: no file, but a word.
type announcing struct {
	s      *session
	number int64

	mu   sync.Mutex
	text []byte
}

// announcing takes an announcement in the place of a file.
func (s *session) announcing(number int64) (io.WriterAt, error) {
	if err := s.place(); err != nil {
		return nil, err
	}
	return &announcing{s: s, number: number}, nil
}

var errAnnouncement = errors.New("this is no announcement")

// WriteAt takes it in order.
func (a *announcing) WriteAt(b []byte, off int64) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if off != int64(len(a.text)) || len(a.text)+len(b) > vault.MaxAnnouncement {
		return 0, errAnnouncement
	}
	a.text = append(a.text, b...)
	return len(b), nil
}

// Close has it count for the connection, if it is by the site and of a generation that is
// yet to come.
func (a *announcing) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	<-a.s.line.files
	if err := vault.CheckAnnouncement(a.text, a.number, a.s.host.conf.Name, a.s.host.conf.Site); err != nil {
		return err
	}
	newest, err := a.s.host.readLineage()
	if err != nil {
		return err
	}
	if a.number <= newest.Number {
		return fmt.Errorf("generation %d is here already", a.number)
	}
	a.s.line.announced.Store(true)
	return nil
}
