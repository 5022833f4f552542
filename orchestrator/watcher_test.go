package orchestrator

import (
	"context"
	"errors"
	"strings"
	"testing"

	"airlock/orchestrator/doors"
)

// mortal is a watcher that a test can end.
type mortal struct {
	ended     chan struct{}
	dismissed chan struct{}
}

func (m mortal) Dismiss() error         { close(m.dismissed); return nil }
func (m mortal) Ended() <-chan struct{} { return m.ended }

// S14: a window whose watcher ends is over: nobody else would shut the door if this process
// ended too. Without a watcher none begins.
func TestWatcherThatEnds(t *testing.T) {
	h := newHospital(t)
	reached, _ := h.hang()
	h.within(func(s *Site) {
		if _, err := s.Gather(t.Context(), []string{"accounting"}, byTest, silent); err != nil {
			t.Fatal(err)
		}
		s.parts.Watcher = func(context.Context, string, string) (doors.Watcher, error) {
			return nil, errors.New("no process can be started")
		}
		if _, err := s.Window(t.Context(), "secondary", byTest, silent); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "run airlock guard") {
			t.Errorf("without a watcher: %v, want ErrRefused", err)
		}
		if moved := h.moved(); len(moved) > 0 {
			t.Errorf("for that, %v", moved)
		}
		w := mortal{make(chan struct{}), make(chan struct{})}
		s.parts.Watcher = func(context.Context, string, string) (doors.Watcher, error) { return w, nil }
		over := make(chan error, 1)
		go func() {
			_, err := s.Window(t.Context(), "secondary", byTest, silent)
			over <- err
		}()
		<-reached
		if !h.sw.Up(3) {
			t.Error("the door is not open")
		}
		close(w.ended)
		if err := <-over; err == nil || !strings.Contains(err.Error(), "watcher has ended") {
			t.Errorf("the window ended with %v", err)
		}
		if h.sw.Up(3) {
			t.Error("S14: the door stands open, and nobody watches it")
		}
		<-w.dismissed // it is told all the same: it may only have fallen silent
	})
}
