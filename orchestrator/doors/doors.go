package doors

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"airlock/ledger"
	"airlock/notice"
	"airlock/orchestrator/doors/window"
	"airlock/policies"
	"airlock/switchctl"
)

// Journal is the ledger as the doors use it.
type Journal interface {
	// Append returns once the entry is durable.
	Append(context.Context, ledger.Entry) (ledger.Entry, error)
	// Note never waits: the entry is written as soon as it can be, marked late if
	// that was not at once (S2).
	Note(ledger.Entry)
}

// Config is what the doors need from their surroundings.
type Config struct {
	Policy policies.Policy // its doors, vaults and switches, the state folder, the times of guard and patrol
	Ledger string          // the ledger's file, for what an earlier run wrote of a door whose own file is gone
	// Dial makes a session with the switch of that name, and DialToRead one by which nothing
	// is changed.
	Dial, DialToRead func(ctx context.Context, name string) (switchctl.Switch, error)
	// Alarm calls a person. It may wait: no door waits for it.
	Alarm func(Alarm)
	Broke Broke // told of every panic; nil: a panic ends the process
	Log   *slog.Logger
}

// Alarm is something about a door that a person must look at.
type Alarm struct {
	At   time.Time
	Door string
	notice.Notice
	Why string
}

// Doors are the doors of one site. Its methods may be called by any goroutine.
type Doors struct {
	// These are set by Open, and do not change.

	config      Config
	life        context.Context     // of all goroutines
	controllers []*controller       // of each vault, and of each door that no vault names
	sessions    map[string]*session // with each switch that has a door, whichever doors lie on it

	hands   sync.WaitGroup // the goroutines; Close waits for them
	claims  *claims        // the ports of all doors
	spare   spare          // descriptors for what shuts a door
	journal Journal        // set by Log, before anything is asked that needs it
}

// Open begins to read every door and, where it should be, to shut it (S5). The doors
// wait for no ledger (S2): what they have to note and to tell waits for Log. They end with
// life; then Close gives back what they held.
func Open(life context.Context, c Config) *Doors {
	d := &Doors{config: c, life: life, sessions: map[string]*session{}, claims: newClaims()}
	d.spare.keep()
	d.build()
	for _, ctl := range d.controllers {
		d.hands.Go(ctl.run)
		for _, port := range ctl.doors {
			if port != nil {
				d.hands.Go(func() { port.run(life) })
			}
		}
	}
	return d
}

// build makes a controller for each vault, and one for each door that no vault names, so
// that every door of the policy file is watched over.
func (d *Doors) build() {
	p := d.config.Policy
	shared := map[string]*innerDoor{}
	named := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(p.Vaults)) {
		v := p.Vaults[name]
		doors := [2]*door{d.door(v.Door), nil}
		if v.InnerDoor != "" {
			doors[window.Inner] = d.door(v.InnerDoor)
			d.claims.rests[v.InnerDoor] = true
			if shared[v.InnerDoor] == nil {
				shared[v.InnerDoor] = &innerDoor{}
			}
		}
		ctl := newController(d.life, name, rules(p, v.Door, v.InnerDoor), doors, d.config.Alarm)
		ctl.lease = newLeaseHolder(p, v.Door)
		ctl.broke = d.config.Broke
		if claim := shared[v.InnerDoor]; claim != nil {
			claim.join(ctl)
		}
		d.controllers = append(d.controllers, ctl)
		named[v.Door], named[v.InnerDoor] = true, true
	}
	for _, name := range slices.Sorted(maps.Keys(p.Doors)) {
		if !named[name] {
			d.controllers = append(d.controllers, newController(d.life, "", rules(p, name, ""), [2]*door{d.door(name), nil}, d.config.Alarm))
		}
	}
	for _, ctl := range d.controllers {
		for _, port := range ctl.doors {
			if port != nil {
				d.recallPort(ctl, port)
			}
		}
	}
}

func (d *Doors) door(name string) *door {
	conf := d.config.Policy.Doors[name]
	port := newDoor(name, conf.Probe, waysTo(d.config.Policy, conf, d.session)...)
	port.timer, port.broke = conf.Timer != policies.TimerNone, d.config.Broke
	port.probe.controls = conf.Control
	port.claims = d.claims
	return port
}

// session is the one with a switch, whichever doors lie on it.
func (d *Doors) session(name string) *session {
	if d.sessions[name] == nil {
		d.sessions[name] = &session{dial: d.spare.sparing(func(ctx context.Context) (switchctl.Switch, error) { return d.config.Dial(ctx, name) })}
	}
	return d.sessions[name]
}

// waysTo are the ways to a door's port, its own first.
func waysTo(p policies.Policy, conf *policies.Door, to func(name string) *session) []way {
	all := []way{{conf.Switch, switchctl.Lookup(conf.Port), to(conf.Switch), p.Switches[conf.Switch].Address}}
	if conf.Fallback != "" {
		all = append(all, way{conf.Fallback, switchctl.Lookup(conf.FallbackPort), to(conf.Fallback), p.Switches[conf.Fallback].Address})
	}
	return all
}

func rules(p policies.Policy, outer, inner string) window.Rules {
	r := window.Rules{
		HasInner: inner != "", ReadWithin: 10 * time.Second,
		Repeat: 2 * time.Second, RepeatMax: time.Minute, Lag: 20 * time.Second,
	}
	for side, name := range []string{outer, inner} {
		if d := p.Doors[name]; d != nil {
			r.Doors[side] = window.Limits{OpenWithin: time.Duration(d.OpenWithin), ProveWithin: time.Duration(d.ProveWithin)}
		}
	}
	return r
}

// Past is what the ledger knows of earlier runs.
type Past struct {
	// Last is the newest entry that a filter chooses; none where the ledger cannot be read.
	Last func(context.Context, ledger.Filter) (ledger.Entry, bool)
	// Owed reports whether an inner door has to be opened again that an earlier run shut.
	Owed func(ctx context.Context, inner string) bool
	// Cut is the end of a vault's window that an earlier executor did not live to end; nil
	// for none. It is asked for once the vault's door is proven shut, and told since when.
	Cut func(ctx context.Context, vault string) (end func(since time.Time) ledger.Entry)
}

// Recall takes what the ledger knows of earlier runs: what to compare a door with, which port
// is its own, an inner door whose opening is owed, a switch's own timer that may be running,
// a window that never ended.
func (d *Doors) Recall(ctx context.Context, past Past) {
	for _, ctl := range d.controllers {
		for side, port := range ctl.doors {
			if port != nil {
				recallProbe(ctx, past, port)
				d.comparePort(ctx, past, port)
				ctl.post(recall(ctx, past, window.Side(side), port.name))
			}
		}
		if inner := ctl.doors[window.Inner]; inner != nil && past.Owed(ctx, inner.name) {
			ctl.post(stepped{window.Owe{At: time.Now()}})
		}
		if ctl.vault == "" {
			continue
		}
		if last, ok := past.Last(ctx, ledger.Filter{Kind: ledger.KindTimer, Door: ctl.doors[window.Vault].name}); ok && last.To == timerArmed {
			ctl.post(timing{maybe: true})
		}
		if end := past.Cut(ctx, ctl.vault); end != nil {
			ctl.post(cut{end})
		}
	}
}

// Log gives the doors their ledger: what they have to note and to tell is noted and told from
// now on. It is called once.
func (d *Doors) Log(j Journal) {
	d.journal = j
	for _, ctl := range d.controllers {
		ctl.journal, ctl.folder = j, d.config.Policy.State
		d.hands.Go(func() { ctl.queue.Run(d.life) })
	}
}

// of is the controller of a vault of the policy's.
func (d *Doors) of(vault string) *controller {
	return d.controllers[slices.IndexFunc(d.controllers, func(ctl *controller) bool { return ctl.vault == vault })]
}

// Hold has one window of a vault held, and returns once it is over: every door where it
// belongs, or stuck, which is ErrNotShut. ErrRefused: nothing was opened. When ctx ends, the
// window is ended and the doors are shut before Hold returns.
func (d *Doors) Hold(ctx context.Context, vault string, o Opening) (Times, error) {
	return d.of(vault).hold(ctx, o)
}

// Listen asks the probe of a vault's door while that stands open. The function that it
// returns ends that without waiting, and keeps what came of it; reached says that what the
// door was opened for could be reached, so that the probe should have answered too.
func (d *Doors) Listen(ctx context.Context, vault string) (end func(reached bool)) {
	return d.of(vault).doors[window.Vault].probe.listen(ctx)
}

// Shut shuts doors and returns once they are proven shut, or stuck (ErrNotShut). An inner
// door that was shut so stays shut until Reopen, or a window's end where reason says so.
func (d *Doors) Shut(ctx context.Context, names []string, actor, reason string) error {
	var shuttings []func() error
	for _, name := range names {
		for _, at := range d.named(name) {
			shuttings = append(shuttings, func() error { return at.controller.shut(ctx, at.side, actor, reason) })
		}
	}
	results := make(chan error, len(shuttings))
	for _, shut := range shuttings {
		go func() { results <- shut() }()
	}
	var errs []error
	for range shuttings {
		errs = append(errs, <-results)
	}
	return errors.Join(errs...)
}

// place is where a door is kept.
type place struct {
	controller *controller
	side       window.Side
	door       *door
}

// named are the doors of a name: one, or that of each vault that shares it.
func (d *Doors) named(name string) []place {
	var all []place
	for _, ctl := range d.controllers {
		for side, port := range ctl.doors {
			if port != nil && port.name == name {
				all = append(all, place{ctl, window.Side(side), port})
			}
		}
	}
	return all
}

// Settle returns once every door was read back and is where it belongs (S5); those of the
// vaults alone where some are named. ErrNotShut names the doors that cannot be proven shut.
func (d *Doors) Settle(ctx context.Context, vaults ...string) error {
	var errs []error
	for _, ctl := range d.controllers {
		if len(vaults) == 0 || slices.Contains(vaults, ctl.vault) {
			errs = append(errs, ctl.settle(ctx))
		}
	}
	return errors.Join(errs...)
}

// Lock shuts every door, ends every window, and refuses every opening until Release. It does
// not wait for that; Locked does.
func (d *Doors) Lock(at time.Time, actor, reason string) {
	for _, ctl := range d.controllers {
		ctl.post(lock{at, actor, reason})
	}
}

// KeepLocked is Lock for those doors that do not know of it.
func (d *Doors) KeepLocked(actor, reason string) {
	for _, ctl := range d.controllers {
		if !ctl.isLocked() {
			ctl.post(lock{time.Now(), actor, reason})
		}
	}
}

// Locked returns once every door is proven shut in a lockdown, or stuck (ErrNotShut).
func (d *Doors) Locked(ctx context.Context) error {
	var errs []error
	for _, ctl := range d.controllers {
		errs = append(errs, ctl.locked(ctx))
	}
	return errors.Join(errs...)
}

// Release ends what Lock began. The inner doors that it shut are opened again.
func (d *Doors) Release() {
	for _, ctl := range d.controllers {
		ctl.post(stepped{window.Release{At: time.Now()}})
	}
}

// Reopen opens an inner door that was shut, or found so. Each vault's door that it stands
// against is proven shut anew before (S6), and the intent is durable (S1). It returns once the
// door is read back as open; until that comes, or somebody shuts it, airlock goes on trying.
func (d *Doors) Reopen(ctx context.Context, inner, actor, reason string) error {
	if err := d.proveShut(ctx, inner); err != nil {
		return err
	}
	i := slices.IndexFunc(d.controllers, func(ctl *controller) bool {
		return ctl.doors[window.Inner] != nil && ctl.doors[window.Inner].name == inner
	})
	return d.controllers[i].reopen(ctx, actor, reason)
}

// Patrol looks at the doors that must be shut until ctx ends: regularly, and when Trap tells
// something.
func (d *Doors) Patrol(ctx context.Context) {
	var patrols sync.WaitGroup
	for _, ctl := range d.controllers {
		for side, port := range ctl.doors {
			if port != nil {
				patrols.Go(func() {
					d.config.Broke.Lasting(ctx, "patrol of "+port.name, func(ctx context.Context) { ctl.patrol(ctx, window.Side(side), d.config.Policy.Patrol) })
				})
			}
		}
	}
	patrols.Wait()
}

// Trap has the doors looked at that lie on a trap's switch, by whichever of its names.
func (d *Doors) Trap(t switchctl.Trap) {
	if t.Kind == switchctl.OtherTrap {
		return
	}
	for _, ctl := range d.controllers {
		for side, port := range ctl.doors {
			if port != nil && slices.ContainsFunc(port.ways, func(by way) bool { return d.config.Policy.SameHost(by.name, t.Switch) }) {
				ctl.post(trapped{window.Side(side), t})
			}
		}
	}
}

// End ends every window; no other is begun, and no door is opened any more but those that
// rest open. It does not wait; Settle does.
func (d *Doors) End(why string) {
	for _, ctl := range d.controllers {
		ctl.post(ending{why})
	}
}

// Close gives back what the doors held, once their life has ended and their goroutines have.
func (d *Doors) Close() error {
	d.hands.Wait()
	d.spare.give()
	var err error
	for _, w := range d.sessions {
		err = errors.Join(err, w.close())
	}
	return err
}

// KeepSpare takes descriptors for what shuts a door, where some of those are missing.
func (d *Doors) KeepSpare() { d.spare.keep() }

// Spend has f tried once more, with descriptors that were kept, if it failed for want of them
// (S2, S14).
func (d *Doors) Spend(f func() error) error { return d.spare.spend(f) }
