package doors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airlock/notice"
	"airlock/orchestrator/doors/patrol"
	"airlock/orchestrator/doors/window"
	"airlock/switchctl"
)

// Before a vault's door is opened and after it is proven shut, the other ports of its switch
// are read: a command that opened another one as well shows there. Both readings are taken
// with the door shut, by a session of their own, so that nothing waits for them (S2).
const (
	aroundWithin = 5 * time.Second
	// A port that gets its link so soon after the command is told of. Ports of a living
	// hospital come up at any time; one that does later is somebody's computer.
	cameUpWithin = 5 * time.Second
)

// Around reads the other ports of the switch of a vault's door before that is opened. That it
// cannot is no reason to refuse a window. compare reads them again after the window, and calls
// a person where another port came up; nobody waits for that.
func (d *Doors) Around(ctx context.Context, vault string) (compare func(window string, p Times)) {
	port := d.of(vault).doors[window.Vault]
	before, err := d.portsOf(ctx, port)
	if err != nil {
		d.config.Log.Warn("the other ports of the switch are not compared", "door", port.name, "error", err)
	}
	return func(id string, p Times) {
		if len(before) > 0 && !p.OpenedAt.IsZero() && !p.ProvenAt.IsZero() {
			d.hands.Go(func() { d.compareAround(port, before, id, p) })
		}
	}
}

func (d *Doors) portsOf(ctx context.Context, port *door) (rows []switchctl.Row, err error) {
	ctx, cancel := context.WithTimeout(ctx, aroundWithin)
	defer cancel()
	sw, err := d.config.DialToRead(ctx, port.ways[0].name)
	if err != nil {
		return nil, err
	}
	rows, err = sw.Rows(ctx)
	return rows, errors.Join(err, sw.Close())
}

func (d *Doors) compareAround(port *door, before []switchctl.Row, id string, p Times) {
	after, err := d.portsOf(context.WithoutCancel(d.life), port)
	if err != nil {
		d.config.Log.Warn("the other ports of the switch are not compared", "door", port.name, "error", err)
		return
	}
	device := switchctl.Identity{}
	if own := port.ownPort(); own != nil {
		device = own.device
	}
	for _, r := range cameUp(before, after, p) {
		if at := (claim{device, r, port.ways[0].name}); !d.claims.has(at) {
			d.config.Alarm(Alarm{At: time.Now(), Door: port.name, Notice: notice.OtherPortToo.Of(),
				Why: fmt.Sprintf("port %s came up while it was being opened (window %s); no window of airlock opened that port", at, id)})
		}
	}
}

// has reports whether a port is that of any door, which has its own controller.
func (cs *claims) has(at claim) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, ways := range cs.all {
		for _, c := range ways {
			if c.meets(at) {
				return true
			}
		}
	}
	return false
}

// cameUp are the physical ports that were told to be up since before, and those that were
// not up and whose link came within a short time after the command to open the door.
func cameUp(before, after []switchctl.Row, p Times) []switchctl.Row {
	type key struct {
		index int
		name  string
	}
	was := map[key]switchctl.Row{}
	for _, r := range before {
		was[key{r.Index, r.Name}] = r
	}
	var up []switchctl.Row
	for _, now := range after {
		then, known := was[key{now.Index, now.Name}]
		if !known || !now.Physical() || now.Index == p.before.Row.Index && now.Name == p.before.Row.Name {
			continue
		}
		told := then.Admin == switchctl.AdminDown && now.Admin == switchctl.AdminUp
		if told || then.Oper != switchctl.OperUp && now.Oper == switchctl.OperUp && soonAfter(now, p) {
			up = append(up, now)
		}
	}
	return up
}

// soonAfter reports whether a port's state changed last just after the command to open the
// door was sent, by the switch's own clock. One that tells no clock tells nothing of that.
func soonAfter(r switchctl.Row, p Times) bool {
	if p.before.Uptime == 0 || r.LastChange == 0 {
		return false
	}
	at := p.before.At.Add(r.LastChange - p.before.Uptime)
	return !at.Before(p.OpenedAt.Add(-patrol.ChangeJitter)) && at.Before(p.OpenedAt.Add(cameUpWithin))
}
