package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"airlock/orchestrator/doors/window"
)

// openedByHand begins the reason of such an opening.
const openedByHand = "opened by hand"

// ErrNotOpened: a door that rests open was not opened.
var ErrNotOpened = errors.New("the door was not opened")

// Open opens a door that rests open and that a person shut, or that was found shut. Nothing
// else is ever opened outside of a window. Each vault's door that it stands against is
// proven shut anew before (S6), and the intent is durable (S1). It returns once the door is
// read back as open; until that comes, or a person shuts it, airlock goes on trying.
func (s *Site) Open(ctx context.Context, name string, by Caller) error {
	k, leave, err := s.mayOpen(ctx, name, by)
	if err == nil {
		defer leave()
		err = s.proveShut(ctx, name)
	}
	if err == nil {
		err = k.reopen(ctx, by.Actor, strings.TrimSpace(openedByHand+" "+by.Reason))
	}
	if err != nil {
		return fmt.Errorf("door %s: %w: %w", name, ErrNotOpened, err)
	}
	return nil
}

// mayOpen asks all that can be asked before the switch, and keeps windows away until leave.
func (s *Site) mayOpen(ctx context.Context, name string, by Caller) (k *keeper, leave func(), err error) {
	if s.policy.Doors[name] == nil {
		return nil, nil, fmt.Errorf("it is %w; there are %s", ErrUnknown, strings.Join(slices.Sorted(maps.Keys(s.policy.Doors)), ", "))
	}
	i := slices.IndexFunc(s.keepers, func(k *keeper) bool { return k.doors[window.Inner] != nil && k.doors[window.Inner].name == name })
	switch l, err := s.standing(ctx); {
	case i < 0:
		return nil, nil, errors.New("it rests shut, and opens in a window alone: airlock window VAULT")
	case strings.TrimSpace(by.Reason) == "":
		return nil, nil, errors.New("opening a door needs a reason")
	case l != nil:
		return nil, nil, errors.New("there is a lockdown; end it first: airlock release")
	case err != nil:
		return nil, nil, lockUnknown(err)
	}
	if err := s.trust(ctx); err != nil { // S1: what this ledger takes in would prove nothing
		return nil, nil, err
	}
	turn := s.turns[name]
	select {
	case turn <- struct{}{}:
		return s.keepers[i], func() { <-turn }, nil
	default:
		return nil, nil, errors.New("a window has the vault's door; try again when it is over: airlock status")
	}
}

// proveShut has every vault's door that stands against an inner one looked at anew.
func (s *Site) proveShut(ctx context.Context, inner string) error {
	for _, k := range s.keepers {
		if d := k.doors[window.Inner]; d == nil || d.name != inner {
			continue
		}
		for side, d := range k.doors {
			seen, err := d.examine(ctx)
			if err != nil {
				return fmt.Errorf("door %s: %w", d.name, err)
			}
			k.post(sighted{window.Side(side), seen}) // whoever opened it, it is shut
			if side == int(window.Vault) && !seen.sight.Shut() {
				return fmt.Errorf("the vault's door %s was not read as shut: %s", d.name, seen)
			}
		}
		for _, d := range k.doors { // once both were resolved
			if why := d.objection(); why != "" {
				return fmt.Errorf("door %s: %s", d.name, why)
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
	k.request = request{actor: r.actor, reason: r.reason}
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
