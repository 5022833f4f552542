package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"airlock/lease"
	"airlock/ledger"
	"airlock/switchctl"
)

// ownPort is what an entry of kind port is about that says which port is a door's own.
const ownPort = "accepted"

// ownWithin bounds how long the switch has to tell which it is, and the guard's ledger which
// port it knows.
const ownWithin = time.Second

type ownDetail struct {
	Port lease.Port `json:"port"`
}

// OwnPort is the port that the guard's own ledger has for a door.
func OwnPort(ctx context.Context, r *ledger.Reader, door string) (lease.Port, bool) {
	e, ok, err := r.Last(ctx, ledger.Filter{Kind: ledger.KindPort, Door: door, To: ownPort})
	var d ownDetail
	known := err == nil && ok && json.Unmarshal(e.Detail, &d) == nil
	return d.Port, known
}

// errNotOwn: the port is not the door's own. No other way may get round that (S7).
var errNotOwn = errors.New("it is another port")

// admit refuses a port that is not the one which counts as the door's own (S7). A further
// way may spell the port's name in another manner.
func (w *watch) admit(ctx context.Context) error {
	located, ok := w.port.(switchctl.Located)
	if !ok {
		return nil
	}
	if w.ways[0].name != w.Policy.Doors[w.name].Switch {
		own := w.ownPort(ctx)
		if row := located.Found(); own != nil && !row.Alike(switchctl.Row{Index: own.Index, Name: own.Name, Description: own.Description}) {
			return w.foreign(*own, fmt.Sprintf("%s (index %d) by %s", row.Name, row.Index, w.ways[0].name))
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ownWithin)
	defer cancel()
	row := located.Found()
	now := lease.Port{
		Door: w.name, Switch: lease.Device(switchctl.IdentityOf(ctx, w.sw, w.ways[0].conf.Address)), By: w.ways[0].name,
		Index: row.Index, Name: row.Name, Description: row.Description, At: time.Now(),
	}
	own := w.ownPort(ctx)
	if own == nil {
		own = &now
	}
	if w.own == nil || !samePort(*w.own, *own) {
		w.note(ledger.Entry{Kind: ledger.KindPort, Door: w.name, Vault: w.vault, To: ownPort, Reason: "the port that is guarded", Detail: detailOf(*own)})
		w.own = own
	}
	if !samePort(*own, now) {
		return w.foreign(*own, now.String())
	}
	return nil
}

// ownPort is the port that counts as the door's own: the one that the executor accepted, or
// else the one that the guard's own ledger has. nil is none yet.
func (w *watch) ownPort(ctx context.Context) *lease.Port {
	if w.own == nil && w.Own != nil {
		if p, known := w.Own(ctx, w.name); known {
			w.own = &p
		}
	}
	if w.named != nil {
		return w.named
	}
	return w.own
}

func (w *watch) foreign(own lease.Port, now string) error {
	return fmt.Errorf("%w: nothing is sent to port %s, for the door was %s; if that is right, say so at the executor: airlock accept --door %s --reason TEXT", errNotOwn, now, own, w.name)
}

func detailOf(p lease.Port) json.RawMessage {
	data, err := json.Marshal(ownDetail{p})
	if err != nil { // no value of these types refuses
		return nil
	}
	return data
}

// samePort compares ports by the name, or by what stands in for it, and their switches by
// what they tell; a switch of which nothing is known may be any. The guard may have another
// way to the switch than the executor.
func samePort(a, b lease.Port) bool {
	none := lease.Device{}
	if a.Switch != none && b.Switch != none && !switchctl.Identity(a.Switch).Same(switchctl.Identity(b.Switch)) {
		return false
	}
	switch {
	case a.Name != "" && b.Name != "":
		return a.Name == b.Name
	case a.Description != "" && b.Description != "":
		return a.Description == b.Description
	}
	return a.Index == b.Index
}
