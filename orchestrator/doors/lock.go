package doors

import (
	"context"
	"time"

	"airlock/orchestrator/doors/window"
)

// lock is a lockdown on its way to a keeper.
type lock struct {
	at            time.Time
	actor, reason string
}

func (k *keeper) lock(l lock) {
	k.mu.Lock()
	if k.state.Window == "" {
		k.request = Opening{Actor: l.actor, Reason: l.reason}
	}
	k.mu.Unlock()
	k.withdraw(l.reason)
	k.step(window.Lock{At: l.at, Why: l.reason})
}

func (k *keeper) isLocked() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state.Locked
}

// locked returns once both doors are proven shut in a lockdown, or stuck (ErrNotShut).
func (k *keeper) locked(ctx context.Context) error {
	r := make(reached)
	k.post(r)
	select {
	case <-r:
	case <-k.life.Done():
		return context.Cause(k.life)
	}
	return k.await(ctx, func() bool {
		return shutOrStuck(k.state, window.Vault) && (k.doors[window.Inner] == nil || shutOrStuck(k.state, window.Inner))
	})
}

func shutOrStuck(s window.State, side window.Side) bool {
	p := s.Doors[side].Phase
	return p == window.Shut || p == window.Stuck
}
