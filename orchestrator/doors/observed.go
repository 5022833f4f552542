package doors

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"airlock/lease"
	"airlock/state"
	"airlock/switchctl"
)

// resolved is the port to which a door that was looked at has come by its first way; false
// where it has not.
func (d *door) resolved(ctx context.Context) (claim, bool) {
	located, ok := d.port.(switchctl.Located)
	if !ok || d.inUse != 0 {
		return claim{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, identifyWithin)
	defer cancel()
	by := d.ways[0]
	return claim{switchctl.IdentityOf(ctx, d.from, by.address), located.Found(), by.name}, true
}

// bar says of doors that were looked at without an executor why no window would open them:
// one port is two doors' (S6), or another than the door's own (S7).
func bar(state state.Folder, found map[string]claim, doors map[string]Status) {
	cs := newClaims()
	for name, c := range found {
		cs.set(name, 0, c)
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		one := doors[name]
		if err := cs.contested(name); err != nil {
			one.Barred = err.Error()
		} else if p, err := lease.ReadPort(state, name); err == nil && !found[name].is(claimOf(p)) {
			one.Barred = fmt.Sprintf("%s: door %s was port %s, and the policy now names %s; if that is right: airlock accept --door %s --reason TEXT", errBarred, name, p, found[name], name)
		}
		doors[name] = one
	}
}
