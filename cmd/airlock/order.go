package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"airlock/console"
	"airlock/orchestrator"
	"airlock/orchestrator/doors"
	"airlock/policies"

	"github.com/spf13/cobra"
)

// busyFor is how long a command waits for an executor that is only just starting, or
// ending.
const busyFor = 10 * time.Second

// order has an order carried out: by the executor that runs, or by this process, which
// then is the executor for as long as that takes.
func (a *app) order(ctx context.Context, p policies.Policy, o orchestrator.Order) (orchestrator.Outcome, error) {
	o.Actor, o.UID, o.Site = actor(), person(), p.Site
	watch, end := a.detached()
	defer end()
	for began := time.Now(); ; {
		remote, err := console.Connect(ctx, p.State.Socket())
		if err == nil {
			out, err := remote.Do(ctx, o, watch)
			if err == nil || !strings.HasPrefix(err.Error(), orchestrator.ErrOtherSite.Error()) { // which says it all
				a.sayRuns(p, out.Runs)
			}
			return out, err
		}
		out, err := a.orderHere(ctx, p, o, watch)
		if !errors.Is(err, orchestrator.ErrBusy) || time.Since(began) > busyFor {
			return out, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return out, err
		}
	}
}

// answer has an order carried out and prints the part of its outcome that it was given for,
// by show if there is that part.
func answer[T any](a *app, c *cobra.Command, p policies.Policy, o orchestrator.Order, part func(orchestrator.Outcome) *T, show func(T)) error {
	out, err := a.order(c.Context(), p, o)
	switch result := part(out); {
	case a.json:
		return errors.Join(err, a.printJSON(result))
	case result != nil:
		show(*result)
	}
	return err
}

func (a *app) orderHere(ctx context.Context, p policies.Policy, o orchestrator.Order, watch orchestrator.Watch) (orchestrator.Outcome, error) {
	var out orchestrator.Outcome
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	err := a.execute(ctx, p, o.Verb, quiet, func(ctx context.Context, s *orchestrator.Site) error {
		watch(orchestrator.Progress{Task: "start-up", Stage: "reading the doors"})
		notShut := s.Settle(ctx) // S5: before anything else
		if errors.Is(notShut, orchestrator.ErrNotShut) {
			for _, line := range errorLines(notShut) {
				watch(orchestrator.Progress{Task: "start-up", Text: "ALARM " + line})
			}
		} else if notShut != nil {
			return notShut
		}
		var err error
		watch(orchestrator.Progress{Task: "start-up", Stage: "done"})
		out, err = s.Do(ctx, o, watch)
		return err
	})
	return out, err
}

// execute makes this process the site's executor while f runs. The doors are where
// they belong, or known to be stuck, when it returns.
func (a *app) execute(ctx context.Context, p policies.Policy, command string, log *slog.Logger, f func(context.Context, *orchestrator.Site) error) error {
	if command != "shut" && command != "lockdown" { // S2
		if err := a.refuseExposed(p); err != nil {
			return err
		}
	}
	drivers := parts(p)
	if command != "demo" { // whose switch ends with it
		drivers.Watcher = func(ctx context.Context, door, window string) (doors.Watcher, error) {
			return a.watcher(ctx, p, door, window)
		}
	}
	s, err := orchestrator.Open(ctx, p, drivers, orchestrator.Options{Command: command, Actor: actor(), Version: a.version, File: a.read.File, Log: log})
	if err != nil {
		return err
	}
	if a.yaml != nil {
		if err := rememberPolicy(p.State, a.yaml); err != nil {
			log.Warn("a policy file that is broken would keep people from shutting doors", "error", err)
		}
	}
	l, err := console.Listen(p.State.Socket())
	if err != nil && (command == "shut" || command == "lockdown") {
		return errors.Join(f(ctx, s), s.End(), err, s.Close()) // S2: nobody is told how it goes, and doors are shut
	}
	if err != nil {
		return errors.Join(err, s.Close())
	}
	// The socket answers until the doors are shut, so it outlives ctx; and it is gone
	// before the site is given back, lest it be another's.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- console.Serve(serving, l, console.OrderHandler(s)) }()
	err = errors.Join(f(ctx, s), s.End())
	stop()
	return errors.Join(err, <-ended, console.Remove(p.State), s.Close())
}
