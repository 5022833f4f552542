package doors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airlock/orchestrator/doors/window"
)

// proveShut has every vault's door that stands against an inner one looked at anew.
func (d *Doors) proveShut(ctx context.Context, inner string) error {
	for _, k := range d.keepers {
		if port := k.doors[window.Inner]; port == nil || port.name != inner {
			continue
		}
		for side, port := range k.doors {
			seen, err := port.examine(ctx)
			if err != nil {
				return fmt.Errorf("door %s: %w", port.name, err)
			}
			k.post(sighted{window.Side(side), seen}) // whoever opened it, it is shut
			if side == int(window.Vault) && !seen.sight.Shut() {
				return fmt.Errorf("the vault's door %s was not read as shut: %s", port.name, seen)
			}
		}
		for _, port := range k.doors { // once both were resolved
			if why := port.objection(); why != "" {
				return fmt.Errorf("door %s: %s", port.name, why)
			}
		}
	}
	return nil
}

// reopening has a keeper open its inner door.
type reopening struct {
	actor, reason string
	taken         chan<- error // why not; nil once the door is on its way
}

// reopen opens the inner door and returns once it is read back as open, or not in time.
func (k *keeper) reopen(ctx context.Context, actor, reason string) error {
	taken := make(chan error, 1)
	k.post(reopening{actor, reason, taken})
	select {
	case err := <-taken:
		if err != nil {
			return err
		}
	case <-k.life.Done():
		return context.Cause(k.life)
	}
	err := k.await(ctx, func() bool {
		inner := k.state.Doors[window.Inner]
		return inner.Phase != window.Opening || inner.Tries > 0
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil || k.state.Doors[window.Inner].Phase == window.Open {
		return err
	}
	return fmt.Errorf("it was not read back as open: %s; airlock status tells how it stands", k.seen[window.Inner])
}

// takeReopening is reopen in the keeper's goroutine: what the machine is in says whether.
func (k *keeper) takeReopening(r reopening) {
	if err := k.mayReopen(); err != nil {
		r.taken <- err
		return
	}
	k.mu.Lock()
	k.request = Opening{Actor: r.actor, Reason: r.reason}
	k.mu.Unlock()
	k.step(window.Owe{At: time.Now()})
	r.taken <- nil
}

func (k *keeper) mayReopen() error {
	vault, inner := k.state.Doors[window.Vault].Phase, k.state.Doors[window.Inner].Phase
	switch {
	case k.ending:
		return errors.New("the executor is ending")
	case k.state.Locked:
		return errors.New("there is a lockdown; end it first: airlock release")
	case k.state.Window != "":
		return fmt.Errorf("window %s is in course", k.state.Window)
	case vault != window.Shut:
		return fmt.Errorf("the vault's door %s is %s, and has to be proven shut first", k.doors[window.Vault].name, vault)
	case inner == window.Open:
		return errors.New("it is open")
	case inner != window.Shut:
		return fmt.Errorf("it is %s", inner)
	case !k.shared.takeToOpen(k):
		k.shared.release(k)
		return errors.New("another vault's door is not proven shut, or its window has this door")
	}
	return nil
}
