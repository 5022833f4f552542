package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"airlock/lease"
	"airlock/orchestrator/doors"
	"airlock/policies"
	"airlock/switchctl"
)

// newDoors begins to read the doors. A vault's window has its turn with an inner door.
func (s *Site) newDoors() *doors.Doors {
	for _, v := range s.policy.Vaults {
		if v.InnerDoor != "" && s.turns[v.InnerDoor] == nil {
			s.turns[v.InnerDoor] = make(chan struct{}, 1)
		}
	}
	return doors.Open(s.life, doors.Config{
		Policy: s.policy, Ledger: s.policy.State.Ledger(), Broke: s.broke, Log: s.options.Log,
		Dial: func(ctx context.Context, name string) (switchctl.Switch, error) {
			return s.parts.Switch(ctx, name, *s.policy.Switches[name], func(r Recording) { s.queue.Enqueue(func() { s.recorded(name, r) }) })
		},
		DialToRead: s.parts.dialToRead(s.policy),
		Alarm:      func(a doors.Alarm) { s.alarm(Alarm{At: a.At, Door: a.Door, Notice: a.Notice, Why: a.Why}) },
	})
}

// dialToRead makes sessions by which nothing is changed, and so of which nothing is recorded.
func (p Parts) dialToRead(policy policies.Policy) func(ctx context.Context, name string) (switchctl.Switch, error) {
	return func(ctx context.Context, name string) (switchctl.Switch, error) {
		return p.Switch(ctx, name, *policy.Switches[name], nil)
	}
}

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
	if err := s.custody.Trust(ctx); err != nil { // S1: what this ledger takes in would prove nothing
		return nil, err
	}
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	default:
		return nil, errors.New("a window has the vault's door; try again when it is over: airlock status")
	}
}

// AcceptPort makes the port that the policy names now a door's own, by a person's word. Nothing
// is sent to it before the ledger has that (S1).
func (s *Site) AcceptPort(ctx context.Context, name string, by Caller) (*lease.Port, error) {
	if s.policy.Doors[name] == nil {
		return nil, s.unknown("door", name, slices.Sorted(maps.Keys(s.policy.Doors)))
	}
	if strings.TrimSpace(by.Reason) == "" {
		return nil, errors.New("accepting a port needs a reason")
	}
	return s.doors.Accept(ctx, name, by.Actor, by.Reason)
}
