package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
)

// signals are what the operating system says to the program: by default each of those
// that is caught would end it on the spot, with a door open perhaps (S14).
//
// A command ends by every one of them: what it does is ended, doors are shut first, and
// further signals change nothing. A service ends by those alone that mean just that; by
// others, SIGHUP above all, it never does.
//
// Not caught are those that nobody can, those by which a defect in the program shows
// itself, after which the guard or a watcher shuts, and SIGTSTP, after which the lease
// runs out. SIGPIPE is ignored: that nobody reads what it prints, or that a server hung
// up, is an error of that write, and ends nothing else.
type signals struct {
	end     context.CancelCauseFunc
	service atomic.Bool
	hangups chan os.Signal // to a service
}

// forAll are the signals by which a service ends, too.
func forAll() []os.Signal {
	return append(powerFails(), os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGXCPU)
}

// forCommands are those that end commands alone. SIGALRM is how a command is given a time
// limit from outside, SIGUSR1 and SIGUSR2 how batch systems announce one.
func forCommands() []os.Signal {
	return []os.Signal{syscall.SIGHUP, syscall.SIGALRM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGVTALRM, syscall.SIGPROF, syscall.SIGIO}
}

// catch begins to listen. The context ends with the first signal that ends the program,
// which its cause names.
func catch(ctx context.Context) (context.Context, *signals) {
	ctx, end := context.WithCancelCause(ctx)
	s := &signals{end: end, hangups: make(chan os.Signal, 1)}
	signal.Ignore(syscall.SIGPIPE, syscall.SIGTTOU) // a write from the background does not stop the program either
	caught := make(chan os.Signal, 8)
	signal.Notify(caught, forAll()...)
	for _, sig := range forCommands() {
		if sig != syscall.SIGHUP || !signal.Ignored(sig) { // nohup(1) wants it to go on
			signal.Notify(caught, sig)
		}
	}
	go s.take(caught)
	return ctx, s
}

func (s *signals) take(caught <-chan os.Signal) {
	for sig := range caught {
		if !s.service.Load() || slices.Contains(forAll(), sig) {
			s.end(fmt.Errorf("signal: %s", sig))
			continue
		}
		select {
		case s.hangups <- sig:
		default: // one is waiting already
		}
	}
}

// stay makes the program a service.
func (s *signals) stay() { s.service.Store(true) }

// hear has a service told of the signals that do not end it, until ctx ends.
func (s *signals) hear(ctx context.Context, tell func(os.Signal)) {
	go func() {
		for {
			select {
			case sig := <-s.hangups:
				tell(sig)
			case <-ctx.Done():
				return
			}
		}
	}()
}
