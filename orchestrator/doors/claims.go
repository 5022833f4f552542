package doors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"airlock/lease"
	"airlock/notice"
	"airlock/switchctl"
)

// identifyWithin bounds how long a switch has to tell which one it is; what it does not
// tell in time, its address does.
const identifyWithin = 2 * time.Second

// surveyEvery is how often the further ways to a door are looked up while the first works.
const surveyEvery = time.Hour

// errBarred: whose port it is has to be cleared up first, by whichever way it is reached.
var errBarred = errors.New("nothing is sent to the port")

// claim is the port to which a door resolved, by one of its ways.
type claim struct {
	device switchctl.Identity // zero where an older entry of the ledger is all that is known
	row    switchctl.Row
	by     string // the switch's name in the policy file
}

// port is the claim as it is kept, and told.
func (c claim) port(door string) lease.Port {
	return lease.Port{
		Door: door, Switch: lease.Device(c.device), By: c.by, Index: c.row.Index, Name: c.row.Name, Description: c.row.Description, At: time.Now(),
	}
}

func claimOf(p lease.Port) claim {
	return claim{switchctl.Identity(p.Switch), switchctl.Row{Index: p.Index, Name: p.Name, Description: p.Description}, p.By}
}

func (c claim) String() string { return c.port("").String() }

// sameDevice reports whether both may lie on one switch.
func (c claim) sameDevice(o claim) bool {
	return c.device == (switchctl.Identity{}) || o.device == (switchctl.Identity{}) || c.device.Same(o.device)
}

// is reports whether c is the port o: by its name, and by what stands in for that where a
// switch gives none. An ifIndex may change when the switch restarts.
func (c claim) is(o claim) bool {
	a, b := c.row, o.row
	switch {
	case !c.sameDevice(o):
		return false
	case a.Name != "" && b.Name != "":
		return a.Name == b.Name
	case a.Description != "" && b.Description != "":
		return a.Description == b.Description
	}
	return a.Index == b.Index
}

// meets reports whether two doors' claims are one port as the switch stands now.
func (c claim) meets(o claim) bool {
	a, b := c.row, o.row
	switch {
	case !c.sameDevice(o):
		return false
	case a.Index != 0 && b.Index != 0:
		return a.Index == b.Index
	}
	return a.Name != "" && (a.Name == b.Name || a.Name == b.Description) || b.Name != "" && b.Name == a.Description
}

// claims are the ports of all doors of a site as they were resolved last (S6, S7): what
// two names in a policy file mean, only the switch tells.
type claims struct {
	rests map[string]bool // doors that rest open; it does not change once a door runs

	mu   sync.Mutex
	all  map[string]map[int]claim // by door and way
	kept map[string]bool          // doors whose first use was noted; several controllers may have one door
}

func newClaims() *claims {
	return &claims{rests: map[string]bool{}, all: map[string]map[int]claim{}, kept: map[string]bool{}}
}

func (cs *claims) set(door string, way int, c claim) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.all[door] == nil {
		cs.all[door] = map[int]claim{}
	}
	cs.all[door][way] = c
}

// first reports whether a door's first use has yet to be noted.
func (cs *claims) first(door string) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	kept := cs.kept[door]
	cs.kept[door] = true
	return !kept
}

// rival is another door that claims a port of this one; "" if none does.
func (cs *claims) rival(door string) (name string, at claim) {
	if cs == nil {
		return "", claim{}
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, other := range slices.Sorted(maps.Keys(cs.all)) {
		if other == door {
			continue
		}
		for _, mine := range cs.all[door] {
			for _, theirs := range cs.all[other] {
				if mine.meets(theirs) {
					return other, mine
				}
			}
		}
	}
	return "", claim{}
}

// contested says that two doors are one port.
func (cs *claims) contested(door string) error {
	other, at := cs.rival(door)
	if other == "" {
		return nil
	}
	return fmt.Errorf("%w: doors %s and %s are one port, %s; give each door a port of its own in the policy file, and see airlock check --connect", errBarred, door, other, at)
}

// untouchable is contested where one of the two rests open: whether the port should stand
// open or shut, nobody can tell. Two doors that rest shut may both be shut.
func (cs *claims) untouchable(door string) error {
	other, _ := cs.rival(door)
	if other == "" || !cs.rests[door] && !cs.rests[other] {
		return nil
	}
	return cs.contested(door)
}

// admit decides whether a port that was found is the door's: the one that counts as its own
// (S7), no other door's (S6), and by each way the same. Of a port that this run has told to
// open it is not asked until it is seen shut: what was opened is shut.
func (d *door) admit(ctx context.Context, sw switchctl.Switch, port switchctl.Port, way int) error {
	located, ok := port.(switchctl.Located)
	if d.claims == nil || !ok || d.raised {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, identifyWithin)
	defer cancel()
	c := claim{switchctl.IdentityOf(ctx, sw, d.ways[way].address), located.Found(), d.ways[way].name}
	own := d.ownPort()
	if way > 0 && own != nil && !own.row.Alike(c.row) {
		return d.object(astray, fmt.Errorf("by switch %s it is %s, and by the first way %s; put fallback_port right", c.by, c, own))
	}
	if way > 0 {
		d.object(astray, nil)
	}
	if way == 0 && own != nil && !c.is(*own) {
		return d.foreign(ctx, sw, *own, c)
	}
	d.claims.set(d.name, way, c)
	d.object(rival, d.claims.contested(d.name))
	if err := d.claims.untouchable(d.name); err != nil {
		return err
	}
	if way == 0 && (own == nil || own.device == (switchctl.Identity{})) {
		if d.own(c); d.claims.first(d.name) {
			d.adopted(c)
		}
	}
	if way == 0 {
		d.object(another, nil)
	}
	return nil
}

// foreign answers a port that is not the one which counts as the door's own. A person has
// to say that it is; until then they are told how the old one stands.
func (d *door) foreign(ctx context.Context, sw switchctl.Switch, own, now claim) error {
	d.mu.Lock()
	d.waiting = &now
	d.mu.Unlock()
	return d.object(another, fmt.Errorf("%w: door %s was port %s, and the policy now names %s; if that is right: airlock accept --door %s --reason TEXT; %s",
		errBarred, d.name, own, now, d.name, howStands(ctx, sw, own, now)))
}

// objection is what speaks against a door's port.
type objection int

const (
	another objection = iota // it is not the one that it was
	rival                    // another door has it too
	astray                   // a further way leads to another one
	objections
)

func (o objection) notice() notice.Notice {
	return [...]*notice.Kind{notice.NotItsPort, notice.NoPortOfItsOwn, notice.OtherPortBySecondWay}[o].Of()
}

// object keeps what speaks against the door's port, or that nothing does any more, and
// tells a person what is new. It returns err.
func (d *door) object(o objection, err error) error {
	why := ""
	if err != nil {
		why = err.Error()
	}
	d.mu.Lock()
	was := d.objects[o]
	d.objects[o] = why
	d.mu.Unlock()
	if why != was && why != "" {
		d.objected(o, why)
	}
	return err
}

// objection is why no window opens the door; "" for no reason.
func (d *door) objection() string {
	if err := d.claims.contested(d.name); err != nil {
		return err.Error()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for o, why := range d.objects {
		if why != "" && objection(o) != rival { // which was asked above
			return why
		}
	}
	return ""
}

// isBarred reports whether nothing is sent to the door's port.
func (d *door) isBarred() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.objects[another] != "" || d.claims.untouchable(d.name) != nil
}

// howStands says how a door's old port stands now.
func howStands(ctx context.Context, sw switchctl.Switch, own, now claim) string {
	unknown := "how the old port stands cannot be read from here: look at its switch"
	if !own.sameDevice(now) {
		return unknown
	}
	l := switchctl.Lookup{Name: own.row.Name}
	switch {
	case l.Name == "" && own.row.Description != "":
		l.Description = own.row.Description
	case l.Name == "":
		l.Index = own.row.Index
	}
	port, err := sw.Find(ctx, l)
	if err != nil {
		return unknown
	}
	r, err := port.Read(ctx)
	if err = errors.Join(err, port.Close()); err != nil {
		return unknown
	}
	if r.Row.Admin == switchctl.AdminDown && down(r.Row.Oper) {
		return "the old port is shut"
	}
	return "THE OLD PORT STANDS OPEN: shut it at the switch"
}

func (d *door) ownPort() *claim {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.owned
}

// own makes c the port that counts as the door's own.
func (d *door) own(c claim) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.owned, d.waiting = &c, nil
}

// survey looks the door up by its further ways, so that a slip in fallback_port shows before
// that way is needed. One that does not answer now tells nothing.
func (d *door) survey(ctx context.Context) {
	if d.claims == nil || len(d.ways) == 1 || !d.surveyed.IsZero() && time.Since(d.surveyed) < surveyEvery {
		return
	}
	d.surveyed = time.Now()
	ctx, done := d.interruptible(ctx, false)
	defer done()
	ctx, cancel := context.WithTimeout(ctx, nextWayAfter)
	defer cancel()
	for way := 1; way < len(d.ways); way++ {
		sw, err := d.ways[way].session.open(ctx)
		if err != nil {
			continue
		}
		port, err := sw.Find(ctx, d.ways[way].lookup)
		if err != nil {
			continue
		}
		_ = d.admit(ctx, sw, port, way) // it has told whom it concerns
		_ = port.Close()
	}
}
