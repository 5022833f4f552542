package doors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"airlock/ledger"
	"airlock/notice"
	"airlock/orchestrator/doors/window"
	"airlock/pause"
)

// A probe is several connections, begun one after the other, so that one lost packet
// does not make a vault look silent; waiting for TCP to repeat it would take a second.
const (
	probes      = 3
	probeApart  = 150 * time.Millisecond
	probeWithin = 300 * time.Millisecond // for each; a vault is on the same premises
)

// What a probe says of a door that its switch reads as shut.
const (
	probeSilent  = "silent"
	probeAnswers = "answers"
	probePending = "pending" // not asked yet, or what was asked could not have been heard
)

// What is known of a probe from the times when its door stood open.
const (
	probeHeard = "the probe answered"
	probeMute  = "the probe did not answer"
)

// probe asks whether what stands behind a door still answers. Its silence proves something
// only where an answer would be heard (S3): over a link of this machine that is up, on
// which something else does answer, and from an address that did answer while the door
// stood open.
type probe struct {
	address  string   // host:port; "" for no probe
	controls []string // of the same segment, and reachable whatever becomes of the door
	route    func(ctx context.Context, host string) (hop, error)
	alive    func(ctx context.Context, gateway netip.Addr) bool
	learned  func(heard string) // told when what is known of it changes; must not wait
	rests    bool               // its door rests open

	mu    sync.Mutex
	heard string // "", probeHeard or probeMute: when the door stood open last
}

// hop is how this machine's packets to an address begin.
type hop struct {
	link    string     // the name of the interface
	up      bool       // it has a carrier
	gateway netip.Addr // through which they go, or which stands on the same link; the zero Addr for none
}

func newProbe(address string) *probe {
	return &probe{address: address, route: hopTo, alive: gatewayAnswers, learned: func(string) {}}
}

// ask asks what stands behind a door that is read as shut. Where it stays silent, doubt is
// why that proves nothing: then the silence counts for no proof (probePending), or, of a
// probe that was never heard at all, the proof rests on the switch alone.
func (p *probe) ask(ctx context.Context) (what, doubt string) {
	before := p.unheard(ctx)
	if answers(ctx, p.address) {
		return probeAnswers, ""
	}
	if p.known() == probeMute {
		return probeSilent, p.muteness()
	}
	if before == "" {
		before = p.uncontrolled(ctx)
	}
	if before == "" {
		before = p.unheard(ctx) // the link may have gone meanwhile
	}
	if before != "" {
		return probePending, before
	}
	return probeSilent, ""
}

// unheard says why no answer could arrive here; "" if one could.
func (p *probe) unheard(ctx context.Context) string {
	first, err := p.hop(ctx)
	switch {
	case err != nil:
		return "no way leads to " + p.address + ": " + err.Error()
	case !first.up:
		return "own link " + first.link + " is down"
	}
	return ""
}

func (p *probe) hop(ctx context.Context) (hop, error) {
	host, _, err := net.SplitHostPort(p.address)
	if err != nil {
		return hop{}, err
	}
	return p.route(ctx, host)
}

// uncontrolled says that nothing else answers either; "" if something does, or if there is
// nothing to ask.
func (p *probe) uncontrolled(ctx context.Context) string {
	for _, address := range p.controls {
		if answers(ctx, address) {
			return ""
		}
	}
	if len(p.controls) > 0 {
		return "control " + strings.Join(p.controls, ", ") + " silent"
	}
	if first, err := p.hop(ctx); err == nil && first.gateway.IsValid() && !p.alive(ctx, first.gateway) {
		return fmt.Sprintf("gateway %s silent", first.gateway)
	}
	return ""
}

// muteness says what is wrong with a probe that was not heard while its door stood open.
func (p *probe) muteness() string {
	if p.rests {
		return fmt.Sprintf("its probe %s did not answer while the door stood open, so its silence proves nothing; name a host there that always runs", p.address)
	}
	return fmt.Sprintf("its probe %s did not answer while the door stood open, so its silence proves nothing; put the vault's own address there", p.address)
}

func (p *probe) known() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard
}

// recall takes what an earlier run learned.
func (p *probe) recall(heard string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.heard == "" {
		p.heard = heard
	}
}

func (p *probe) learn(heard string) {
	p.mu.Lock()
	was := p.heard
	p.heard = heard
	p.mu.Unlock()
	if was != heard {
		p.learned(heard)
	}
}

// listen asks the probe while its door stands open, for as long as ctx lives, until it
// answers. The function that it returns ends that without waiting, and keeps what came of
// it; reached says that what the door was opened for could be reached, so that the probe
// should have answered too.
func (p *probe) listen(ctx context.Context) (end func(reached bool)) {
	if p.address == "" {
		return func(bool) {}
	}
	ctx, cancel := context.WithCancel(ctx)
	heard := make(chan struct{})
	go func() {
		for ctx.Err() == nil {
			if answersOnce(ctx, p.address) {
				close(heard)
				return
			}
			pause.For(ctx, 20*time.Millisecond)
		}
	}()
	return func(reached bool) {
		defer cancel()
		select {
		case <-heard:
			p.learn(probeHeard)
		default:
			if reached {
				p.learn(probeMute)
			}
		}
	}
}

// listenNow asks once, of a door that rests open.
func (p *probe) listenNow(ctx context.Context) {
	if p.address == "" {
		return
	}
	heard := answers(ctx, p.address)
	switch {
	case heard:
		p.learn(probeHeard)
	case ctx.Err() == nil:
		p.learn(probeMute)
	}
}

// answers reports whether anything at address answers.
func answers(ctx context.Context, address string) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	heard := make(chan bool, probes)
	for i := range probes {
		go func() {
			pause.For(ctx, time.Duration(i)*probeApart)
			heard <- answersOnce(ctx, address)
		}()
	}
	for range probes {
		if <-heard {
			return true
		}
	}
	return false
}

// answersOnce tries one connection. A refusal is an answer too, for it came through
// the door; only on loopback it is this machine's own.
func answersOnce(ctx context.Context, address string) bool {
	d := net.Dialer{Timeout: probeWithin}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err == nil {
		conn.Close()
		return true
	}
	var at *net.OpError
	if !errors.As(err, &at) {
		return false
	}
	to, ok := at.Addr.(*net.TCPAddr)
	return errors.Is(err, syscall.ECONNREFUSED) && !(ok && to.IP.IsLoopback()) || errors.Is(err, syscall.ECONNRESET)
}

// resolve is the first address of a host, within the time of one connection.
func resolve(ctx context.Context, host string) (netip.Addr, error) {
	if at, err := netip.ParseAddr(host); err == nil {
		return at, nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	return all[0].Unmap(), nil
}

// undecided reports that a door reads as shut, and that its probe could not be heard.
func (s sighting) undecided() bool {
	return s.err == nil && s.sight.Read && !s.sight.Up && !s.sight.Link && s.probe == probePending && s.doubt != ""
}

// listens has what is learned of a door's probe noted, and a person called where that is
// nothing.
func (ctl *controller) listens(side window.Side, d *door) {
	d.probe.rests = side == window.Inner
	d.probe.learned = func(heard string) {
		e := ledger.Entry{
			Time: time.Now(), Kind: ledger.KindPatrol, Actor: patrolActor, Reason: "what its silence proves from now on",
			Door: d.name, Vault: ctl.vault, To: heard, Detail: ledger.Detail(probeDetail{d.probe.address}),
		}
		ctl.queue.Enqueue(func() {
			ctl.journal.Note(e)
			if heard == probeMute {
				ctl.alarm(Alarm{At: e.Time, Door: d.name, Notice: notice.ProvenBySwitchAlone.Of(), Why: d.probe.muteness()})
			}
		})
	}
}

type probeDetail struct {
	Probe string `json:"probe"` // its address
}

// recallProbe reads in the ledger what was learned of a door's probe.
func recallProbe(ctx context.Context, past Past, d *door) {
	var newest ledger.Entry
	for _, heard := range []string{probeHeard, probeMute} {
		e, ok := past.Last(ctx, ledger.Filter{Kind: ledger.KindPatrol, Door: d.name, To: heard})
		var of probeDetail
		if ok && e.Seq > newest.Seq && json.Unmarshal(e.Detail, &of) == nil && of.Probe == d.probe.address {
			newest = e
		}
	}
	d.probe.recall(newest.To)
}

// undecidable says why a window must not begin: whether a door is shut could not be proven
// before it, nor after.
func (s sighting) undecidable() error {
	if !s.undecided() {
		return nil
	}
	return fmt.Errorf("its probe can prove nothing now: %s", s.doubt)
}

// doubting is why the silence of a door's probe proves nothing, "" while it does.
func (s sighting) doubting(p *probe) string {
	if p.known() == probeMute {
		return p.muteness()
	}
	if s.undecided() {
		return "its probe can prove nothing now: " + s.doubt
	}
	return ""
}
