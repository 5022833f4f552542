package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"airlock/lease"
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
	leave, err := s.mayOpen(ctx, name, by)
	if err == nil {
		defer leave()
		err = s.doors.Reopen(ctx, name, by.Actor, strings.TrimSpace(openedByHand+" "+by.Reason))
	}
	if err != nil {
		return fmt.Errorf("door %s: %w: %w", name, ErrNotOpened, err)
	}
	return nil
}

// mayOpen asks all that can be asked before the switch, and keeps windows away until leave.
func (s *Site) mayOpen(ctx context.Context, name string, by Caller) (leave func(), err error) {
	if s.policy.Doors[name] == nil {
		return nil, fmt.Errorf("it is %w; there are %s", ErrUnknown, strings.Join(slices.Sorted(maps.Keys(s.policy.Doors)), ", "))
	}
	turn := s.turns[name]
	switch l, err := s.standing(ctx); {
	case turn == nil:
		return nil, errors.New("it rests shut, and opens in a window alone: airlock window VAULT")
	case strings.TrimSpace(by.Reason) == "":
		return nil, errors.New("opening a door needs a reason")
	case l != nil:
		return nil, errors.New("there is a lockdown; end it first: airlock release")
	case err != nil:
		return nil, lease.LockdownUnknown(err)
	}
	if err := s.trust(ctx); err != nil { // S1: what this ledger takes in would prove nothing
		return nil, err
	}
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	default:
		return nil, errors.New("a window has the vault's door; try again when it is over: airlock status")
	}
}
