package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"airlock/vault"
)

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

// login is a connection by which a client has logged in.
type login struct {
	conn   net.Conn
	client string
	line   *line
	left   chan struct{} // closed once its place is free again
}

func (s *serving) enter(l *login) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins = append(s.logins, l)
}

func (s *serving) leave(l *login) {
	s.mu.Lock()
	s.logins = slices.DeleteFunc(s.logins, func(other *login) bool { return other == l })
	s.mu.Unlock()
	s.logged.give(l.client)
	close(l.left)
}

// placeWithin is how long a newcomer waits for the place of one that is cut for it.
const placeWithin = 2 * time.Second

// makePlace cuts the connection of a client that has been there longest and on which no
// window was announced, so that whoever holds all places cannot keep a window out.
func (s *serving) makePlace(client string) bool {
	s.mu.Lock()
	at := slices.IndexFunc(s.logins, func(l *login) bool { return l.client == client && !l.line.announced.Load() })
	if at < 0 {
		s.mu.Unlock()
		return false
	}
	oldest := s.logins[at]
	s.mu.Unlock()
	s.conf.Log.Warn("too many connections; the oldest that announces no window was cut", "client", client, "from", oldest.conn.RemoteAddr())
	_ = oldest.conn.Close()
	select {
	case <-oldest.left:
		return true
	case <-time.After(placeWithin):
		return false
	}
}
