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
	for _, ctl := range d.controllers {
		if port := ctl.doors[window.Inner]; port == nil || port.name != inner {
			continue
		}
		for side, port := range ctl.doors {
			seen, err := port.examine(ctx)
			if err != nil {
				return fmt.Errorf("door %s: %w", port.name, err)
			}
			ctl.post(sighted{window.Side(side), seen}) // whoever opened it, it is shut
			if side == int(window.Vault) && !seen.sight.Shut() {
				return fmt.Errorf("the vault's door %s was not read as shut: %s", port.name, seen)
			}
		}
		for _, port := range ctl.doors { // once both were resolved
			if why := port.objection(); why != "" {
				return fmt.Errorf("door %s: %s", port.name, why)
			}
		}
	}
	return nil
}

// reopening has a controller open its inner door.
type reopening struct {
	actor, reason string
	taken         chan<- error // why not; nil once the door is on its way
}

// reopen opens the inner door and returns once it is read back as open, or not in time.
func (ctl *controller) reopen(ctx context.Context, actor, reason string) error {
	taken := make(chan error, 1)
	ctl.post(reopening{actor, reason, taken})
	select {
	case err := <-taken:
		if err != nil {
			return err
		}
	case <-ctl.life.Done():
		return context.Cause(ctl.life)
	}
	err := ctl.await(ctx, func() bool {
		inner := ctl.state.Doors[window.Inner]
		return inner.Phase != window.Opening || inner.Tries > 0
	})
	ctl.mu.Lock()
	defer ctl.mu.Unlock()
	if err != nil || ctl.state.Doors[window.Inner].Phase == window.Open {
		return err
	}
	return fmt.Errorf("it was not read back as open: %s; airlock status tells how it stands", ctl.seen[window.Inner])
}

// takeReopening is reopen in the controller's goroutine: what the machine is in says whether.
func (ctl *controller) takeReopening(r reopening) {
	if err := ctl.mayReopen(); err != nil {
		r.taken <- err
		return
	}
	ctl.mu.Lock()
	ctl.request = Opening{Actor: r.actor, Reason: r.reason}
	ctl.mu.Unlock()
	ctl.step(window.Owe{At: time.Now()})
	r.taken <- nil
}

func (ctl *controller) mayReopen() error {
	vault, inner := ctl.state.Doors[window.Vault].Phase, ctl.state.Doors[window.Inner].Phase
	switch {
	case ctl.ending:
		return errors.New("the executor is ending")
	case ctl.state.Locked:
		return errors.New("there is a lockdown; end it first: airlock release")
	case ctl.state.Window != "":
		return fmt.Errorf("window %s is in course", ctl.state.Window)
	case vault != window.Shut:
		return fmt.Errorf("the vault's door %s is %s, and has to be proven shut first", ctl.doors[window.Vault].name, vault)
	case inner == window.Open:
		return errors.New("it is open")
	case inner != window.Shut:
		return fmt.Errorf("it is %s", inner)
	case !ctl.shared.takeToOpen(ctl):
		ctl.shared.release(ctl)
		return errors.New("another vault's door is not proven shut, or its window has this door")
	}
	return nil
}
