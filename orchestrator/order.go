package orchestrator

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"airlock/lease"
)

// Order is something that a person, or a program on their behalf, wants done now.
type Order struct {
	Verb    string   `json:"verb"`              // gather, accept, window, shut, open, lockdown, release, accept-port, restore, heal, verify, snapshots, recheck, status
	Names   []string `json:"names,omitempty"`   // gather, accept, snapshots: systems; shut: doors; none: all; open, accept-port: a door
	Vault   string   `json:"vault,omitempty"`   // window, verify, snapshots
	Restore *Restore `json:"restore,omitempty"` // restore
	Heal    *Heal    `json:"heal,omitempty"`    // heal
	// Generation is which one of the vault, for snapshots: a number, or the beginning of
	// its hash; the newest if empty.
	Generation string  `json:"generation,omitempty"`
	Sample     float64 `json:"sample,omitempty"` // verify: the part to read back, 0 to 1
	Key        string  `json:"key,omitempty"`    // release: the release key, "" to release as another person
	// Site is the one that whoever gives the order means, by their policy file; "" from a
	// program that does not say.
	Site string `json:"site,omitempty"`
	Caller
}

// MovesDoors tells whether an order may open or shut a door.
func (o Order) MovesDoors() bool {
	switch o.Verb {
	case "window", "shut", "open", "lockdown", "release", "accept-port", "heal":
		return true
	case "verify", "snapshots":
		return o.Vault != ""
	}
	return o.Restore != nil && o.Restore.From != ""
}

// Outcome is what came of an order: the field of its verb, also where it failed.
type Outcome struct {
	Gathered  []Gathered     `json:"gathered,omitempty"`
	Accepted  *Accepted      `json:"accepted,omitempty"`
	Window    *WindowRecord  `json:"window,omitempty"`
	Windows   []WindowRecord `json:"windows,omitempty"` // snapshots of a vault
	Restored  *Restored      `json:"restored,omitempty"`
	Healed    *Healed        `json:"healed,omitempty"`
	Verified  *Verified      `json:"verified,omitempty"`
	Snapshots []Snapshot     `json:"snapshots,omitempty"`
	Shut      []ShutDoor     `json:"shut,omitempty"` // shut, lockdown; release: what every door is
	Kept      []string       `json:"kept,omitempty"` // release: why doors that rest open are not
	Status    *Status        `json:"status,omitempty"`
	Port      *lease.Port    `json:"port,omitempty"` // that counts as the door's own from now on
	Runs      *Runs          `json:"runs,omitempty"` // by whom the order was carried out, or refused
}

// ShutDoor is a door after such an order: what it is, and what shows it.
type ShutDoor struct {
	Door  string `json:"door"`
	State string `json:"state"`
	Proof string `json:"proof"`
}

// shutDoors are doors as they were read last; all if none is named.
func (s *Site) shutDoors(names []string) []ShutDoor {
	all := s.doors.Describe(s.policy.Timezone.Location)
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(all))
	}
	var doors []ShutDoor
	for _, name := range names {
		doors = append(doors, ShutDoor{name, all[name].State, all[name].Proof})
	}
	return doors
}

// Executor carries out orders: a Site, or a connection to the process that has it.
type Executor interface {
	// Do returns when the order is done and every door that it moved is where it
	// belongs, or stuck (ErrNotShut). When ctx ends, doors are shut before it returns.
	Do(ctx context.Context, o Order, watch Watch) (Outcome, error)
}

// Do carries out an order.
func (s *Site) Do(ctx context.Context, o Order, watch Watch) (out Outcome, err error) {
	ctx, done := s.untilEnd(ctx, o)
	defer done()
	err = s.contain("order "+o.Verb, func() (err error) {
		if err = s.meant(o); err == nil {
			out, err = s.do(ctx, o, watch)
		}
		return err
	})
	out.Runs = &Runs{s.policy.Site, s.options.File}
	return out, err
}

func (s *Site) do(ctx context.Context, o Order, watch Watch) (Outcome, error) {
	var out Outcome
	var err error
	switch o.Verb {
	case "gather":
		out.Gathered, err = s.Gather(ctx, o.Names, o.Caller, watch)
	case "accept":
		if len(o.Names) != 1 {
			return out, fmt.Errorf("accept: one system is needed")
		}
		var a Accepted
		a, err = s.Accept(ctx, o.Names[0], o.Caller)
		out.Accepted = &a
	case "window":
		var r WindowRecord
		r, err = s.Window(ctx, o.Vault, o.Caller, watch)
		out.Window = &r
	case "shut":
		if err = s.Shut(ctx, o.Names, o.Caller); err == nil {
			out.Shut = s.shutDoors(o.Names)
		}
	case "open":
		if len(o.Names) != 1 {
			return out, fmt.Errorf("open: which door is missing")
		}
		err = s.Open(ctx, o.Names[0], o.Caller)
	case "lockdown":
		err = s.Lockdown(ctx, o.Caller)
		out.Shut = s.shutDoors(nil)
	case "release":
		if err = s.Release(ctx, o.Caller, o.Key); err == nil {
			out.Shut, out.Kept = s.shutDoors(nil), s.kept(ctx)
		}
	case "accept-port":
		if len(o.Names) != 1 {
			return out, fmt.Errorf("accept: which door is missing")
		}
		out.Port, err = s.AcceptPort(ctx, o.Names[0], o.Caller)
	case "restore":
		if o.Restore == nil {
			return out, fmt.Errorf("restore: what shall be restored is missing")
		}
		var r Restored
		r, err = s.Restore(ctx, *o.Restore, o.Caller, watch)
		out.Restored = &r
	case "heal":
		if o.Heal == nil {
			return out, fmt.Errorf("heal: from which vault is missing")
		}
		var h Healed
		h, err = s.Heal(ctx, *o.Heal, o.Caller, watch)
		out.Healed = &h
	case "verify":
		var v Verified
		v, err = s.Verify(ctx, o.Vault, o.Sample, o.Caller, watch)
		out.Verified = &v
	case "snapshots":
		var name string
		if len(o.Names) > 0 {
			name = o.Names[0]
		}
		if o.Vault != "" {
			out.Snapshots, out.Windows, err = s.SnapshotsOf(ctx, o.Vault, o.Generation, name, o.Caller, watch)
		} else {
			out.Snapshots, err = s.Snapshots(ctx, name)
		}
	case "recheck":
		s.custody.Recheck(ctx)
	case "status":
		var st Status
		st, err = s.Status(ctx)
		out.Status = &st
	default:
		return out, fmt.Errorf("order %q is not known to this executor: it may be an older version", o.Verb)
	}
	return out, err
}
