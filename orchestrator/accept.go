package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"airlock/lease"
	"airlock/ledger"
	"airlock/orchestrator/doors/window"
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
func (k *keeper) claims(d *door) {
	d.objected = func(what objection, why string) {
		k.call(Alarm{At: time.Now(), Door: d.name, What: what.String(), Why: why})
	}
	d.adopted = func(c claim) {
		p := c.port(d.name)
		e := ledger.Entry{
			Time: p.At, Kind: ledger.KindPort, Actor: "airlock", Reason: "the first use of the door makes it the door's own",
			Door: d.name, Vault: k.vault, To: portAccepted, Detail: detail(acceptedDetail{Port: p}),
		}
		k.clerk.hand(func() {
			k.journal.Note(e)
			k.keepPort(p)
		})
	}
}

// keepPort leaves a door's port where a start finds it without the ledger.
func (k *keeper) keepPort(p lease.Port) {
	if k.folder == "" {
		return
	}
	if err := p.Write(k.folder); err != nil {
		k.alarm(Alarm{At: time.Now(), Door: p.Door, What: "its port is kept in the ledger alone", Why: err.Error()})
	}
}

// recallPort takes from the state folder which port is a door's own; before anything is
// sent, and so without waiting for long.
func (s *Site) recallPort(d *door) {
	p, err := lease.ReadPort(s.policy.State, d.name)
	if errors.Is(err, fs.ErrNotExist) {
		p, err = s.portBefore(d.name)
	}
	switch {
	case err == nil:
		d.own(claimOf(p))
	case !errors.Is(err, fs.ErrNotExist):
		s.clerk.hand(func() {
			s.alarm(Alarm{At: time.Now(), Door: d.name, What: "it is not known which port it was", Why: err.Error()})
		})
	}
}

// portBefore asks the ledger of an earlier run; fs.ErrNotExist where it knows of none.
func (s *Site) portBefore(door string) (lease.Port, error) {
	ctx, cancel := context.WithTimeout(s.life, recallWithin)
	defer cancel()
	r, err := ledger.OpenReader(ctx, filepath.Join(s.policy.State, ledgerFile))
	if err != nil {
		return lease.Port{}, fs.ErrNotExist // nothing can be opened by such a ledger, and doors are shut all the same
	}
	p, ok := portIn(ctx, r, door)
	if err := r.Close(); err != nil || !ok {
		return lease.Port{}, fs.ErrNotExist
	}
	return p, nil
}

// portIn is a door's own port by the ledger: as it was accepted, or, of an older version's
// ledger, as it was read last.
func portIn(ctx context.Context, r *ledger.Reader, door string) (lease.Port, bool) {
	if e, ok, err := r.Last(ctx, ledger.Filter{Kind: ledger.KindPort, Door: door, To: portAccepted}); err == nil && ok {
		var d acceptedDetail
		if json.Unmarshal(e.Detail, &d) == nil {
			return d.Port, true
		}
	}
	e, ok, err := r.Last(ctx, ledger.Filter{Kind: ledger.KindDoor, Door: door})
	var d doorDetail
	if err != nil || !ok || json.Unmarshal(e.Detail, &d) != nil || d.Reading == nil {
		return lease.Port{}, false
	}
	return lease.Port{Door: door, Index: d.Reading.Index, Name: d.Reading.Name, At: e.Time}, true
}

// comparePort holds what the state folder said of a door's port to the ledger, which nobody
// can change unseen.
func (s *Site) comparePort(ctx context.Context, d *door) {
	if s.journal.openErr != nil {
		return
	}
	p, known := portIn(ctx, &s.journal.Ledger.Reader, d.name)
	own := d.ownPort()
	if !known || p.Switch == (lease.Device{}) || own != nil && own.is(claimOf(p)) {
		return
	}
	d.own(claimOf(p))
	if own != nil {
		s.alarm(Alarm{At: time.Now(), Door: d.name, What: "its port is not the one that the state folder says", Why: fmt.Sprintf("the ledger has %s, and the file had %s", p, own)})
	}
	if err := p.Write(s.policy.State); err != nil {
		s.alarm(Alarm{At: time.Now(), Door: d.name, What: "its port is kept in the ledger alone", Why: err.Error()})
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
	var now *claim
	var was claim
	for d := range s.doorsNamed(name) {
		if _, err := d.examine(ctx); err != nil && !errors.Is(err, errBarred) {
			return nil, err
		}
		if own, next := d.pending(); next != nil {
			was, now = own, next
		}
	}
	if now == nil {
		return nil, fmt.Errorf("there is nothing to accept: door %s is the port that it was", name)
	}
	p, before := now.port(name), was.port(name)
	e := ledger.Entry{
		Time: p.At, Kind: ledger.KindPort, Actor: by.Actor, Reason: by.Reason, Door: name,
		From: was.String(), To: portAccepted, Detail: detail(acceptedDetail{Port: p, Was: &before}),
	}
	logging, cancel := context.WithTimeout(ctx, intentWithin)
	defer cancel()
	if _, err := s.journal.Append(logging, e); err != nil {
		return nil, fmt.Errorf("the ledger does not take it, so nothing is accepted: %w", err)
	}
	if err := p.Write(s.policy.State); err != nil {
		return nil, err
	}
	for d, k := range s.doorsNamed(name) {
		d.own(*now)
		if seen, err := d.examine(ctx); err == nil {
			k.keeper.post(sighted{k.side, seen})
		}
	}
	return &p, nil
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

// place is where a door is kept.
type place struct {
	keeper *keeper
	side   window.Side
}

// doorsNamed are the doors of a name: one, or that of each vault that shares it.
func (s *Site) doorsNamed(name string) map[*door]place {
	all := map[*door]place{}
	for _, k := range s.keepers {
		for side, d := range k.doors {
			if d != nil && d.name == name {
				all[d] = place{k, window.Side(side)}
			}
		}
	}
	return all
}
