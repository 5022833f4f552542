package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"airlock/switchctl"

	"github.com/scrapli/scrapligo/util"
)

// session keeps one login at a time, and makes a new one when the last broke.
type session struct {
	config   Config
	platform *Platform
	turn     chan struct{} // holds one token while somebody uses console
	console  *console      // nil: none is logged in
	life     context.Context
	end      context.CancelFunc
	closing  func() error
	armed    map[string]bool // ports whose dead man's switch was armed here; for whoever has the turn
	lost     error           // what ended logins could not write of their recording
}

func newSession(c Config, p *Platform) *session {
	s := &session{config: c, platform: p, turn: make(chan struct{}, 1), armed: map[string]bool{}}
	s.life, s.end = context.WithCancel(context.Background())
	s.closing = sync.OnceValue(s.shutDown)
	return s
}

// Close ends the session and whatever is under way on it. It may be called again.
func (s *session) Close() error { return s.closing() }

func (s *session) shutDown() error {
	select {
	case s.turn <- struct{}{}: // nobody uses it
	default:
		s.end() // makes whoever uses it stop
		s.turn <- struct{}{}
	}
	s.end()
	defer func() { <-s.turn }()
	if s.console == nil {
		return s.lost
	}
	err := s.console.leave()
	s.console = nil
	return errors.Join(s.lost, err)
}

func (s *session) errClosed() error {
	return fmt.Errorf("switch %s: the session is closed: %w", s.config.Address, net.ErrClosed)
}

// read is do for work that changes nothing, and may therefore wait for a new login if the
// recording of the last one had better end.
func (s *session) read(ctx context.Context, work func(*console) error) error {
	return s.use(ctx, true, work)
}

// do gives work the console. Where a login that had been idle turns out to be dead, and
// work had only read so far, it is done again on a new one.
func (s *session) do(ctx context.Context, work func(*console) error) error {
	return s.use(ctx, false, work)
}

func (s *session) use(ctx context.Context, reading bool, work func(*console) error) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer func() { <-s.turn }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	if reading && s.console != nil && s.console.line.record.due(time.Now()) {
		s.ended(s.console.leave())
	}
	for idle := s.console != nil; ; idle = false {
		err := s.attempt(ctx, work)
		if err == nil {
			return nil
		}
		kept := s.console != nil
		again := idle && !kept && ctx.Err() == nil && errors.Is(err, util.ErrConnectionError) && !errors.Is(err, errChanging)
		if !again {
			return s.explain(ctx, err)
		}
	}
}

func (s *session) take(ctx context.Context) error {
	select {
	case <-s.life.Done():
		return s.errClosed()
	case <-ctx.Done():
	case s.turn <- struct{}{}:
		if ctx.Err() == nil && s.life.Err() == nil {
			return nil
		}
		<-s.turn // select chooses among several that are ready
	}
	if s.life.Err() != nil {
		return s.errClosed()
	}
	return fmt.Errorf("switch %s: nothing was sent: %w", s.config.Address, ctx.Err())
}

// attempt logs in where need be and does the work. Only a refusal, or a port that moved,
// leaves a login that can be used again.
func (s *session) attempt(ctx context.Context, work func(*console) error) error {
	if s.console != nil && !s.console.line.IsAlive() {
		s.drop()
	}
	if s.console == nil {
		console, err := open(ctx, s.config, s.platform)
		if err != nil {
			return err
		}
		s.console = console
	}
	l := s.console.line
	stop := context.AfterFunc(ctx, func() { l.Close() }) // drop returns its error again
	err := work(s.console)
	stopped := stop()
	var usable *stillUsable
	if !stopped || err != nil && !errors.As(err, &usable) {
		if s.console.changing {
			err = errors.Join(err, errChanging)
		}
		s.drop()
	}
	return err
}

func (s *session) drop() { s.ended(s.console.close()) }

// ended forgets the console, which ended with err. The first such error is told in the
// end; a full disk says the same every hour.
func (s *session) ended(err error) {
	s.console = nil
	if s.lost == nil {
		s.lost = err
	}
}

// errChanging marks a failure that no second try may follow.
var errChanging = errors.New("it may have been carried out")

// stillUsable is a failure that leaves the console at its prompt.
type stillUsable struct{ err error }

func (e *stillUsable) Error() string { return e.err.Error() }
func (e *stillUsable) Unwrap() error { return e.err }

// explain makes of what broke what happened and what to do.
func (s *session) explain(ctx context.Context, err error) error {
	where := "switch " + s.config.Address
	var usable *stillUsable
	switch {
	case errors.As(err, &usable):
		return fmt.Errorf("%s: %w", where, err)
	case s.life.Err() != nil:
		return fmt.Errorf("%w; what was under way may have been carried out: %w", s.errClosed(), switchctl.ErrTimeout)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w (%w); what was sent may have been carried out", where, switchctl.ErrTimeout, ctx.Err())
	case errors.Is(err, util.ErrPrivilegeError):
		return fmt.Errorf("%s: %w: %w; give the account the right to configure, or its enable password", where, switchctl.ErrAuth, err)
	case errors.Is(err, util.ErrTimeoutError), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w: %w; if the switch is only slow, look at its load; if its prompt is unlike those of platform %s, describe it in a file of your own; what was sent may have been carried out",
			where, switchctl.ErrTimeout, err, s.platform.Platform)
	case errors.Is(err, util.ErrConnectionError):
		return fmt.Errorf("%s: %w: the switch ended the session (%w); what was sent may have been carried out", where, switchctl.ErrTimeout, err)
	}
	return fmt.Errorf("%s: %w", where, err)
}
