package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"airlock/orchestrator/doors/window"
	"airlock/policies"
)

// Watcher is a process that watches over one opening of a door, where no guard does (S14).
type Watcher interface {
	// Dismiss says that the door is proven shut. A watcher that is not dismissed when this
	// process ends shuts the door.
	Dismiss() error
	// Ended is closed when the watcher has ended, for whatever reason.
	Ended() <-chan struct{}
}

// watched has somebody watch over the vault's door before it is opened: the guard, if one
// is heard of, or else a watcher. The context that it gives ends if the watcher does: then
// the door is shut. leave is called once the window is over.
//
// Without either the door stays shut: nobody would shut it if this process ended. Hospital
// IT has a remedy at hand, a guard.
func (s *Site) watched(ctx context.Context, p *passage) (watched context.Context, leave func(), err error) {
	if s.parts.Watcher == nil || guardLives(s.policy, s.guards.latest()) {
		return ctx, func() {}, nil
	}
	w, err := s.parts.Watcher(ctx, p.policy.Door, p.record.ID)
	if err != nil {
		return nil, nil, fmt.Errorf("no guard is heard of, and nobody else would shut the door if this process ended; run airlock guard: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	over := make(chan struct{})
	s.hands.Go(func() {
		select {
		case <-w.Ended():
			cancel(errors.New("the door's watcher has ended"))
		case <-over:
		}
	})
	return ctx, func() {
		close(over)
		cancel(nil)
		s.hands.Go(func() { s.dismiss(p.keeper, w) })
	}, nil
}

// dismiss sends the watcher away once the door is proven shut. An executor that ends
// before that leaves the door to it.
func (s *Site) dismiss(k *keeper, w Watcher) {
	for {
		k.mu.Lock()
		changed, shut := k.changed, k.state.Doors[window.Vault].Phase == window.Shut
		k.mu.Unlock()
		if shut {
			break
		}
		select {
		case <-changed:
		case <-s.life.Done():
			return
		}
	}
	if err := w.Dismiss(); err != nil {
		s.alarm(Alarm{At: time.Now(), Door: k.doors[window.Vault].name, What: "is shut, and its watcher does not hear it", Why: err.Error()})
	}
}

// guardLives tells whether a guard will shut a door that is left open: one that was heard
// of lately, by its sign or its question, and that has looked at every door. Of one on this
// machine, the process is there as well.
func guardLives(p policies.Policy, last poll) bool {
	st := guardStatus(p, last, time.Time{})
	if st == nil || st.Missing != "" {
		return false
	}
	return st.PID == 0 || !errors.Is(syscall.Kill(st.PID, 0), syscall.ESRCH)
}
