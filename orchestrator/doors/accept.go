package doors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"airlock/lease"
	"airlock/ledger"
	"airlock/notice"
)

// portAccepted is what an entry of kind port is about that makes a port its door's own, by
// the door's first use or by a person's word.
const portAccepted = "accepted"

// recallWithin bounds how long a start waits for the ledger to tell a door's port, where no
// file of the state folder does (S2).
const recallWithin = 2 * time.Second

type acceptedDetail struct {
	Port lease.Port  `json:"port"`
	Was  *lease.Port `json:"was,omitempty"`
}

// claims has what becomes of a door's port noted, and a person called.
func (ctl *controller) claims(d *door) {
	d.objected = func(what objection, why string) {
		ctl.call(Alarm{At: time.Now(), Door: d.name, Notice: what.notice(), Why: why})
	}
	d.adopted = func(c claim) {
		p := c.port(d.name)
		e := ledger.Entry{
			Time: p.At, Kind: ledger.KindPort, Actor: "airlock", Reason: "the first use of the door makes it the door's own",
			Door: d.name, Vault: ctl.vault, To: portAccepted, Detail: ledger.Detail(acceptedDetail{Port: p}),
		}
		ctl.queue.Enqueue(func() {
			ctl.journal.Note(e)
			ctl.keepPort(p)
		})
	}
}

// keepPort leaves a door's port where a start finds it without the ledger.
func (ctl *controller) keepPort(p lease.Port) {
	if ctl.folder == "" {
		return
	}
	if err := p.Write(ctl.folder); err != nil {
		ctl.alarm(Alarm{At: time.Now(), Door: p.Door, Notice: notice.PortInLedgerAlone.Of(), Why: err.Error()})
	}
}

// recallPort takes from the state folder which port is a door's own; before anything is
// sent, and so without waiting for long.
func (d *Doors) recallPort(ctl *controller, of *door) {
	p, err := lease.ReadPort(d.config.Policy.State, of.name)
	if errors.Is(err, fs.ErrNotExist) {
		p, err = d.portBefore(of.name)
	}
	switch {
	case err == nil:
		of.own(claimOf(p))
	case !errors.Is(err, fs.ErrNotExist):
		ctl.call(Alarm{At: time.Now(), Door: of.name, Notice: notice.PortNotKnown.Of(), Why: err.Error()})
	}
}

// portBefore asks the ledger of an earlier run; fs.ErrNotExist where it knows of none.
func (d *Doors) portBefore(door string) (lease.Port, error) {
	ctx, cancel := context.WithTimeout(d.life, recallWithin)
	defer cancel()
	r, err := ledger.OpenReader(ctx, d.config.Ledger)
	if err != nil {
		return lease.Port{}, fs.ErrNotExist // nothing can be opened by such a ledger, and doors are shut all the same
	}
	p, ok := portIn(func(f ledger.Filter) (ledger.Entry, bool) {
		e, ok, err := r.Last(ctx, f)
		return e, ok && err == nil
	}, door)
	if err := r.Close(); err != nil || !ok {
		return lease.Port{}, fs.ErrNotExist
	}
	return p, nil
}

// portIn is a door's own port by the ledger: as it was accepted, or, of an older version's
// ledger, as it was read last.
func portIn(last func(ledger.Filter) (ledger.Entry, bool), door string) (lease.Port, bool) {
	if e, ok := last(ledger.Filter{Kind: ledger.KindPort, Door: door, To: portAccepted}); ok {
		var d acceptedDetail
		if json.Unmarshal(e.Detail, &d) == nil {
			return d.Port, true
		}
	}
	e, ok := last(ledger.Filter{Kind: ledger.KindDoor, Door: door})
	var d doorDetail
	if !ok || json.Unmarshal(e.Detail, &d) != nil || d.Reading == nil {
		return lease.Port{}, false
	}
	return lease.Port{Door: door, Index: d.Reading.Index, Name: d.Reading.Name, At: e.Time}, true
}

// comparePort holds what the state folder said of a door's port to the ledger, which nobody
// can change unseen.
func (d *Doors) comparePort(ctx context.Context, past Past, of *door) {
	p, known := portIn(func(f ledger.Filter) (ledger.Entry, bool) { return past.Last(ctx, f) }, of.name)
	own := of.ownPort()
	if !known || p.Switch == (lease.Device{}) || own != nil && own.is(claimOf(p)) {
		return
	}
	of.own(claimOf(p))
	if own != nil {
		d.config.Alarm(Alarm{At: time.Now(), Door: of.name, Notice: notice.PortDiffers.Of(), Why: fmt.Sprintf("the ledger has %s, and the file had %s", p, own)})
	}
	if err := p.Write(d.config.Policy.State); err != nil {
		d.config.Alarm(Alarm{At: time.Now(), Door: of.name, Notice: notice.PortInLedgerAlone.Of(), Why: err.Error()})
	}
}

// pending is the port that a door was, and what the policy names instead; nil for nothing.
func (d *door) pending() (own claim, now *claim) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == nil || d.owned == nil {
		return claim{}, nil
	}
	return *d.owned, d.waiting
}

// Accept makes the port that the policy names now a door's own, by a person's word. Nothing
// is sent to it before the ledger has that (S1).
func (d *Doors) Accept(ctx context.Context, name, actor, reason string) (*lease.Port, error) {
	var now *claim
	var was claim
	for _, at := range d.named(name) {
		if _, err := at.door.examine(ctx); err != nil && !errors.Is(err, errBarred) {
			return nil, err
		}
		if own, next := at.door.pending(); next != nil {
			was, now = own, next
		}
	}
	if now == nil {
		return nil, fmt.Errorf("there is nothing to accept: door %s is the port that it was", name)
	}
	p, before := now.port(name), was.port(name)
	e := ledger.Entry{
		Time: p.At, Kind: ledger.KindPort, Actor: actor, Reason: reason, Door: name,
		From: was.String(), To: portAccepted, Detail: ledger.Detail(acceptedDetail{Port: p, Was: &before}),
	}
	logging, cancel := context.WithTimeout(ctx, intentWithin)
	defer cancel()
	if _, err := d.journal.Append(logging, e); err != nil {
		return nil, fmt.Errorf("the ledger does not take it, so nothing is accepted: %w", err)
	}
	if err := p.Write(d.config.Policy.State); err != nil {
		return nil, err
	}
	for _, at := range d.named(name) {
		at.door.own(*now)
		if seen, err := at.door.examine(ctx); err == nil {
			at.controller.post(sighted{at.side, seen})
		}
	}
	return &p, nil
}
