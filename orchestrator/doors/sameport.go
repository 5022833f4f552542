package doors

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"airlock/lease"
	"airlock/policies"
	"airlock/state"
	"airlock/switchctl"
)

// Clash is what speaks against a door's port, as it is resolved now.
type Clash struct {
	Door string
	Text string
}

// Clashes resolves all doors by all their ways, and lists what an executor would refuse:
// two doors that are one port, a second way that leads to another port than the first, and
// a port that is not the one which counts as the door's own. A way that cannot be taken now
// tells nothing. Nothing is changed.
func Clashes(ctx context.Context, p policies.Policy, open func(context.Context, policies.Switch) (switchctl.Switch, error)) []Clash {
	cs := newClaims()
	var all []Clash
	say := func(door string, err error) { all = append(all, Clash{door, err.Error()}) }
	names := slices.Sorted(maps.Keys(p.Doors))
	for _, name := range names {
		ways := waysTo(p, p.Doors[name], func(string) *session { return nil })
		var first *claim
		for i, by := range ways {
			c, err := resolveOnce(ctx, *p.Switches[by.name], by, open)
			if err != nil {
				continue // of which the finding about the door tells
			}
			cs.set(name, i, c)
			switch {
			case i == 0:
				first = &c
				if err := isOwn(p.State, name, c); err != nil {
					say(name, err)
				}
			case first != nil && !first.row.Alike(c.row):
				say(name, fmt.Errorf("by switch %s it is %s, and by the first way %s; put fallback_port right", c.by, c, first))
			}
		}
	}
	for _, name := range names {
		if err := cs.contested(name); err != nil {
			say(name, err)
		}
	}
	return all
}

// resolveOnce takes one way to a door, by a session of its own.
func resolveOnce(ctx context.Context, conf policies.Switch, by way, open func(context.Context, policies.Switch) (switchctl.Switch, error)) (c claim, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	sw, err := open(ctx, conf)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, sw.Close()) }()
	port, err := sw.Find(ctx, by.lookup)
	if err != nil {
		return c, err
	}
	located, ok := port.(switchctl.Located)
	if !ok {
		return c, errors.Join(errors.ErrUnsupported, port.Close())
	}
	return claim{switchctl.IdentityOf(ctx, sw, by.address), located.Found(), by.name}, port.Close()
}

// isOwn holds a port to the one that counts as the door's own; where none does yet, it may be.
func isOwn(state state.Folder, door string, c claim) error {
	p, err := lease.ReadPort(state, door)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !c.is(claimOf(p)) {
		err = fmt.Errorf("it was port %s, and the policy now names %s; if that is right: airlock accept --door %s --reason TEXT", p, c, door)
	}
	return err
}
