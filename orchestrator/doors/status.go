package doors

import (
	"context"
	"sync"
	"time"

	"airlock/orchestrator/doors/window"
	"airlock/policies"
	"airlock/switchctl"
)

// Status is how a door stands.
type Status struct {
	Vault string    // whose door it is; "" for one that no vault names
	State string    // shut, opening, open, shutting, stuck, unknown
	Since time.Time // zero where nobody was there to see it
	Proof string    // what was read last
	Rests string    // shut, or open for an inner door
	// Doubt is why the silence of its probe proves nothing, and Barred why no window opens it,
	// where that is its port; "" for no reason.
	Doubt, Barred string
	Looked        time.Time // when patrol tried last
	Misses        int       // its looks in a row that failed
}

// Describe tells how the doors stand, by their names; what was read, with its time in a zone.
// It waits for no switch. Of a door that several vaults share, the one that is furthest from rest counts.
func (d *Doors) Describe(zone *time.Location) map[string]Status {
	all := map[string]Status{}
	for _, ctl := range d.controllers {
		ctl.describe(all, zone)
	}
	return all
}

func (ctl *controller) describe(all map[string]Status, zone *time.Location) {
	ctl.mu.Lock()
	defer ctl.mu.Unlock()
	for side, d := range ctl.doors {
		if d == nil {
			continue
		}
		phase := ctl.state.Doors[side].Phase
		if _, known := all[d.name]; known && (phase == window.Open || phase == window.Shut) {
			continue
		}
		all[d.name] = Status{
			State: phase.String(), Since: ctl.since[side], Proof: ctl.seen[side].proof(zone),
			Rests: rests(window.Side(side)), Vault: ctl.vault, Doubt: ctl.seen[side].doubting(d.probe), Barred: d.objection(),
			Looked: ctl.watches[side].looked, Misses: ctl.watches[side].Misses,
		}
	}
}

func rests(side window.Side) string {
	if side == window.Inner {
		return window.Open.String()
	}
	return window.Shut.String()
}

func (s sighting) proof(zone *time.Location) string {
	if s.at.IsZero() {
		return s.String()
	}
	return s.String() + ", read " + s.at.In(zone).Format("2006-01-02T15:04:05.000Z07:00")
}

// Observe reads every door of a policy by a session of its own, where no executor runs,
// and changes nothing.
func Observe(ctx context.Context, p policies.Policy, dial func(ctx context.Context, name string) (switchctl.Switch, error)) map[string]Status {
	inner, vaults := map[string]bool{}, map[string]string{}
	for name, v := range p.Vaults {
		vaults[v.Door] = name
		if v.InnerDoor != "" {
			inner[v.InnerDoor] = true
			vaults[v.InnerDoor] = name
		}
	}
	all := map[string]Status{}
	var mu sync.Mutex
	found := map[string]claim{}
	var looks sync.WaitGroup
	for name, conf := range p.Doors {
		looks.Go(func() {
			one, at := observeDoor(ctx, p, name, conf, dial)
			one.Vault, one.Rests = vaults[name], rests(window.Vault)
			if inner[name] {
				one.Rests = rests(window.Inner)
			}
			mu.Lock()
			defer mu.Unlock()
			all[name] = one
			if at != nil {
				found[name] = *at
			}
		})
	}
	looks.Wait()
	bar(p.State, found, all)
	return all
}

// observeDoor reads one door through a session of its own, and says which port it is; nil
// where its first way does not tell.
func observeDoor(ctx context.Context, p policies.Policy, name string, conf *policies.Door, dial func(ctx context.Context, name string) (switchctl.Switch, error)) (Status, *claim) {
	var ways []*session
	d := newDoor(name, conf.Probe, waysTo(p, conf, func(name string) *session {
		ways = append(ways, &session{dial: func(ctx context.Context) (switchctl.Switch, error) { return dial(ctx, name) }})
		return ways[len(ways)-1]
	})...)
	s := d.look(ctx, true)
	one := Status{Proof: s.proof(p.Timezone.Location)}
	switch {
	case !s.sight.Read:
		one.State = window.Unknown.String()
	case s.sight.Shut():
		one.State = window.Shut.String()
	case s.sight.Up:
		one.State = window.Open.String()
	default: // down, and not proven to be
		one.State = window.Shutting.String()
	}
	var at *claim
	if c, ok := d.resolved(ctx); ok {
		at = &c
	}
	if err := d.forget(); err != nil {
		one.Proof += "; " + err.Error()
	}
	for _, w := range ways {
		if err := w.close(); err != nil {
			one.Proof += "; " + err.Error()
		}
	}
	return one, at
}
