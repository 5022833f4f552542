package guard

import (
	"context"
	"encoding/json"
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

// admit refuses a port that is not the one which counts as the door's own (S7). It is asked
// of the first way; the others call a port by other names.
func (w *watch) admit(ctx context.Context) error {
	located, ok := w.port.(switchctl.Located)
	if !ok || w.ways[0].name != w.Policy.Doors[w.name].Switch {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ownWithin)
	defer cancel()
	row := located.Found()
	now := lease.Port{
		Door: w.name, Switch: lease.Device(switchctl.IdentityOf(ctx, w.sw, w.ways[0].conf.Address)), By: w.ways[0].name,
		Index: row.Index, Name: row.Name, Description: row.Description, At: time.Now(),
	}
	if w.own == nil && w.Own != nil {
		if p, known := w.Own(ctx, w.name); known {
			w.own = &p
		}
	}
	own := w.named
	if own == nil {
		own = w.own
	}
	if own == nil {
		own = &now
	}
	if w.own == nil || !samePort(*w.own, *own) {
		w.note(ledger.Entry{Kind: ledger.KindPort, Door: w.name, Vault: w.vault, To: ownPort, Reason: "the port that is guarded", Detail: detailOf(*own)})
		w.own = own
	}
	if !samePort(*own, now) {
		return fmt.Errorf("nothing is sent to port %s, for the door was %s; if that is right, say so at the executor: airlock accept --door %s --reason TEXT", now, own, w.name)
	}
	return nil
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
