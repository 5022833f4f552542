// Package guard is the dead man's switch of the vaults' doors (S4).
//
// It is a process beside the executor, with sessions with the switches and a ledger of
// its own, and it shares no code with what decides there when a door is shut. All that
// it knows of the executor are the leases. At every interval, and at the moment when a
// lease runs out, it reads each door that must not rest open. A door that is not read
// as down, and that no valid lease allows to stand open, is shut: told to, read back,
// and told again, for ever. That goes for a door that cannot be read as well (S3), and
// for every door when no lease can be read, and in a lockdown, in which no lease is
// valid. A person is called once for each time that
// a door is overdue, and once more if it cannot be shut.
//
// A port that is not the one which counts as the door's own (lease.Port) is not touched: the
// policy file may have been edited, and a person has not said yet that it is right. The
// executor tells which it is; where it cannot, the guard's own ledger does.
//
// A lease that is renewed for longer than the door's vault has max_open does not help
// either: the guard measures that by itself.
//
// A door with a second way (the policy's fallback) is read and shut by the one that
// worked last. When a call by it fails, or a command is not seen to be carried out
// within the guard's interval, the other is next; and so on in turn.
//
// On another machine than the executor's, the guard asks for the leases over HTTP, each
// time anew (lease.Statement); an executor that does not answer has given none.
//
// Where no guard runs, whoever opens a door has a Watcher watch over that one opening: a
// process of its own as well, which shuts the door when its executor is gone.
//
// Neither opens anything, ever.
package guard

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"airlock/lease"
	"airlock/ledger"
	"airlock/policies"
	"airlock/switchctl"

	"golang.org/x/mod/sumdb/note"
)

// Config is what a guard needs.
type Config struct {
	Policy policies.Policy
	// Switch makes a session with a switch; each door has its own.
	Switch func(context.Context, policies.Switch) (switchctl.Switch, error)
	// Journal is the guard's own ledger; with nil, only the log tells what happened.
	Journal Journal
	// Sign signs a head of that ledger, and gives its note; nil where nobody does. It ends
	// soon after its context does.
	Sign func(context.Context) (string, error)
	// Present says what became of that ledger's file, which anybody may have taken away; nil
	// where there is none, and while all is well. It may wait for a disk.
	Present func() error
	Key     note.Signer // of that ledger, by which an executor on another machine knows the guard; nil for none
	// Own is the port that the guard's own ledger has for a door, for as long as no executor
	// tells; nil without a ledger.
	Own     func(ctx context.Context, door string) (lease.Port, bool)
	Log     *slog.Logger
	Version string        // of airlock, for people
	Alarms  []lease.Alarm // of earlier runs, oldest first
	File    policies.File // the policy file, as it was read; zero where nobody said
}

// Journal takes entries without ever waiting (S2), as a ledger's Note does.
type Journal interface{ Note(ledger.Entry) }

// Run guards until ctx ends. A command to shut that is on its way is not called back.
// Its error says that there is nothing to guard.
func Run(ctx context.Context, c Config) error {
	g := newGuard(c)
	if l := c.Policy.Guard.Leases; l != nil {
		far, err := newRemote(*l, c.Version, c.Key)
		if err != nil {
			return err
		}
		defer far.client.CloseIdleConnections()
		g.read, g.port = far.read, far.port
		here := g.beat
		g.beat = func(sign lease.Guard) error {
			_, err := far.ask(rand.Text()) // it is the question that counts
			return errors.Join(err, here(sign))
		}
	}
	return g.run(ctx)
}

// guard is what the watches over the single doors share.
type guard struct {
	Config
	now   func() (lease.Instant, error)
	read  func(door string) (lease.Lease, error) // errLockdown: nobody has leave
	port  func(door string) (lease.Port, error)  // that counts as the door's own
	beat  func(lease.Guard) error                // says that the guard lives
	lines chan func()                            // to the log, which may be slower than a door has time (S2)

	mu    sync.Mutex
	looks map[string]lease.Look // the last at each door
	head  string                // the newest of the ledger
	gone  string                // what became of the ledger's file; "" while all is well
	calls []lease.Alarm         // the last alarms, of earlier runs too, oldest first
}

func newGuard(c Config) *guard {
	g := &guard{Config: c, now: lease.Now, read: folder{c.Policy.State}.read, port: folder{c.Policy.State}.port, lines: make(chan func(), 256), looks: map[string]lease.Look{}, calls: c.Alarms}
	g.beat = func(sign lease.Guard) error { return sign.Write(lease.GuardFile(c.Policy.Guard.Ledger)) }
	return g
}

func (g *guard) run(ctx context.Context) error {
	names := guarded(g.Policy)
	if len(names) == 0 {
		return errors.New("there is nothing to guard: the policy file has no door that must not rest open")
	}
	var writer, doors sync.WaitGroup
	writer.Go(g.write)
	g.note(ledger.Entry{Kind: ledger.KindStart, Reason: "airlock guard", Detail: g.started()})
	g.say(slog.LevelInfo, "guarding", "doors", names,
		"interval", time.Duration(g.Policy.Guard.Interval).String(), "lease_ttl", time.Duration(g.Policy.Guard.LeaseTTL).String())
	for _, name := range names {
		doors.Go(func() { g.watch(name).run(ctx) })
	}
	doors.Go(func() { g.live(ctx) })
	if g.Sign != nil {
		doors.Go(func() { g.signHeads(ctx) })
	}
	doors.Wait()
	g.note(ledger.Entry{Kind: ledger.KindStop, Reason: "airlock guard"})
	if g.Sign != nil {
		g.signHead(context.WithoutCancel(ctx))
	}
	close(g.lines)
	writer.Wait()
	return nil
}

// started is what stands beside the guard's start: by which policy it runs.
func (g *guard) started() json.RawMessage {
	data, err := json.Marshal(struct {
		Version string            `json:"version"`
		PID     int               `json:"pid"`
		Policy  policies.File     `json:"policy"`
		Record  map[string]string `json:"record"`
	}{g.Version, os.Getpid(), g.File, g.Policy.Record()})
	if err != nil { // no value of these types refuses
		return nil
	}
	return data
}

// write writes what there is to say, until nothing more comes.
func (g *guard) write() {
	for line := range g.lines {
		line()
	}
}

// live says at each interval that the guard lives, and what it saw. Nothing waits for
// it, and it is heard of no more when the guard's disk or the network is gone.
func (g *guard) live(ctx context.Context) {
	tick := time.NewTicker(time.Duration(g.Policy.Guard.Interval))
	defer tick.Stop()
	var failing bool
	for {
		g.lookAtLedger()
		err := g.sign()
		if err != nil && !failing {
			g.say(slog.LevelWarn, "nobody hears that the guard lives", "error", err)
		}
		failing = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// How often a head of the ledger is signed, and how long that may wait for entries that are
// not durable yet.
const (
	signEvery  = time.Minute
	signWithin = 2 * time.Second
)

// signHeads signs what the ledger holds until ctx ends. No door waits for it (S2).
func (g *guard) signHeads(ctx context.Context) {
	tick := time.NewTicker(signEvery)
	defer tick.Stop()
	for {
		g.signHead(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (g *guard) signHead(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, signWithin)
	defer cancel()
	head, err := g.Sign(ctx)
	if err != nil {
		g.say(slog.LevelWarn, "no head of the guard's ledger could be signed", "error", err)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.head = head
}

func (g *guard) sign() error {
	now, err := g.now()
	if err != nil {
		return err
	}
	g.mu.Lock()
	looks, head, gone, calls := maps.Clone(g.looks), g.head, g.gone, lastWeek(g.calls)
	g.mu.Unlock()
	sign := lease.Guard{PID: os.Getpid(), Version: g.Version, At: time.Now(), Clock: now, Doors: looks, Head: head, Ledger: gone, Alarms: calls}
	if f := g.File; f.Digest != "" {
		sign.Policy = &lease.PolicyFile{Digest: f.Digest, Of: f.Of}
	}
	return g.beat(sign)
}

// lookAtLedger tells once that the guard's ledger is not where it was: what the guard does is
// written where nobody will find it. No door waits for it (S2).
func (g *guard) lookAtLedger() {
	if g.Present == nil {
		return
	}
	why := ""
	if err := g.Present(); err != nil {
		why = err.Error()
	}
	g.mu.Lock()
	told := g.gone
	g.gone = why
	g.mu.Unlock()
	if why != "" && told == "" {
		g.say(slog.LevelError, "ALARM the guard's ledger is not what it was; put the very file back, or restart the guard", "why", why)
	}
}

// guarded are the doors that must not rest open: all but those that are only an inner
// door.
func guarded(p policies.Policy) []string {
	inner := map[string]bool{}
	for _, v := range p.Vaults {
		inner[v.InnerDoor] = true
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(p.Doors)), func(name string) bool { return inner[name] })
}

func (g *guard) watch(name string) *watch {
	door := g.Policy.Doors[name]
	w := &watch{
		guard: g, name: name, proveWithin: time.Duration(door.ProveWithin),
		ways: []way{{door.Switch, g.conf(door.Switch), switchctl.Lookup(door.Port)}},
	}
	if door.Fallback != "" {
		w.ways = append(w.ways, way{door.Fallback, g.conf(door.Fallback), switchctl.Lookup(door.FallbackPort)})
	}
	for vault, v := range g.Policy.Vaults {
		if v.Door == name {
			w.vault, w.maxOpen = vault, time.Duration(v.Window.MaxOpen)
		}
	}
	return w
}

// conf is how the guard reaches a switch: its own way, if the policy gives it one.
func (g *guard) conf(name string) policies.Switch {
	if own := g.Policy.Guard.Switches[name]; own != nil {
		return *own
	}
	return *g.Policy.Switches[name]
}

// note writes an entry, where there is a ledger.
func (g *guard) note(e ledger.Entry) {
	e.Time, e.Actor = time.Now(), "guard"
	if g.Journal != nil {
		g.Journal.Note(e)
	}
}

// say writes a line to the log; one that the log cannot take in time is lost there, but
// not in the ledger.
func (g *guard) say(level slog.Level, text string, args ...any) {
	select {
	case g.lines <- func() { g.Log.Log(context.Background(), level, text, args...) }:
	default:
	}
}

// evidence is what stands beside an entry.
type evidence struct {
	Code  string `json:"code,omitempty"`  // of an alarm
	Lease string `json:"lease,omitempty"` // why none is valid
	Error string `json:"error,omitempty"` // why the door could not be read
	Way   string `json:"way,omitempty"`   // the policy's name for how it was read
	Admin int    `json:"admin,omitempty"` // ifAdminStatus
	Oper  int    `json:"oper,omitempty"`  // ifOperStatus
	In    uint64 `json:"in_octets,omitempty"`
	Out   uint64 `json:"out_octets,omitempty"`
	// ShutSeen is when the door was last read as shut; zero if it never was.
	ShutSeen time.Time `json:"shut_seen,omitzero"`

	Index int          `json:"index,omitempty"`
	Name  string       `json:"name,omitempty"`
	Tries int          `json:"tries,omitempty"` // commands to shut so far
	Last  *lease.Lease `json:"last_lease,omitempty"`
}

func (e evidence) json() json.RawMessage {
	data, err := json.Marshal(e)
	if err != nil { // no value of these types refuses
		return nil
	}
	return data
}
