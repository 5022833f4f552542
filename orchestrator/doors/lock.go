package doors

import (
	"context"
	"time"

	"airlock/orchestrator/doors/window"
)

// lock is a lockdown on its way to a controller.
type lock struct {
	at            time.Time
	actor, reason string
}

func (ctl *controller) lock(l lock) {
	ctl.mu.Lock()
	if ctl.state.Window == "" {
		ctl.request = Opening{Actor: l.actor, Reason: l.reason}
	}
	ctl.mu.Unlock()
	ctl.withdraw(l.reason)
	ctl.step(window.Lock{At: l.at, Why: l.reason})
}

func (ctl *controller) isLocked() bool {
	ctl.mu.Lock()
	defer ctl.mu.Unlock()
	return ctl.state.Locked
}

// locked returns once both doors are proven shut in a lockdown, or stuck (ErrNotShut).
func (ctl *controller) locked(ctx context.Context) error {
	r := make(reached)
	ctl.post(r)
	select {
	case <-r:
	case <-ctl.life.Done():
		return context.Cause(ctl.life)
	}
	return ctl.await(ctx, func() bool {
		return shutOrStuck(ctl.state, window.Vault) && (ctl.doors[window.Inner] == nil || shutOrStuck(ctl.state, window.Inner))
	})
}

func shutOrStuck(s window.State, side window.Side) bool {
	p := s.Doors[side].Phase
	return p == window.Shut || p == window.Stuck
}
