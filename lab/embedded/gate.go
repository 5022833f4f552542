package embedded

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Gate does to TCP on loopback what a switch port does to a cable. While it is up,
// each of its addresses forwards to a server. Taking it down cuts every connection
// and stops listening: a new one is refused, so that a probe of the address gets no
// answer. It is safe for concurrent use.
type Gate struct {
	in, out atomic.Uint64

	mu          sync.Mutex
	up, closed  bool
	routes      []*route
	live        *connections // of the present opening
	transitions []Transition
	running     sync.WaitGroup
}

// Transition is one real change of a gate. Going up, At is just before the first
// address listens; going down, just after the last connection was cut: between a
// down and the next up nothing passed.
type Transition struct {
	Port string // the switch port that the gate stands for
	Up   bool
	At   time.Time
}

type route struct {
	address, target string
	listener        net.Listener // nil while the gate is down
}

// Forward adds an address, which the gate keeps through all its ups and downs, that
// leads to target (host:port).
func (g *Gate) Forward(target string) (address string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return "", fmt.Errorf("forward to %s: the gate is closed", target)
	}
	ln, err := listenAside()
	if err != nil {
		return "", fmt.Errorf("forward to %s: %w", target, err)
	}
	r := &route{address: ln.Addr().String(), target: target}
	if g.up {
		g.accept(r, ln)
	} else if err := ln.Close(); err != nil {
		return "", fmt.Errorf("forward to %s: %w", target, err)
	}
	g.routes = append(g.routes, r)
	return r.address, nil
}

// listenAside listens on a port below those that Linux, macOS and Windows give to
// outgoing connections. The address must come back each time the gate goes up, and
// from that range nobody else is handed it meanwhile.
func listenAside() (net.Listener, error) {
	const low, high, tries = 20000, 32000, 100
	var errs error
	for range tries {
		ln, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(low+rand.IntN(high-low))))
		if err == nil {
			return ln, nil
		}
		errs = err
	}
	return nil, fmt.Errorf("no free port between %d and %d on loopback: %w", low, high, errs)
}

// Set takes the gate up or down; what it is already, it stays. After an error on
// the way up the gate is down.
func (g *Gate) Set(up bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return errors.New("the gate is closed")
	case up == g.up:
		return nil
	case !up:
		return g.takeDown()
	}
	at := time.Now()
	g.live = &connections{}
	for _, r := range g.routes {
		ln, err := net.Listen("tcp4", r.address)
		if err != nil {
			return errors.Join(fmt.Errorf("take the gate up: %w", err), g.stopListening())
		}
		g.accept(r, ln)
	}
	g.up = true
	g.transitions = append(g.transitions, Transition{Up: true, At: at})
	return nil
}

func (g *Gate) takeDown() error {
	err := g.stopListening()
	g.up = false
	g.transitions = append(g.transitions, Transition{At: time.Now()})
	return err
}

// stopListening leaves no listener and no connection, whatever fails.
func (g *Gate) stopListening() error {
	var errs []error
	for _, r := range g.routes {
		if r.listener != nil {
			errs = append(errs, r.listener.Close())
			r.listener = nil
		}
	}
	if g.live != nil {
		g.live.cutAll()
	}
	return errors.Join(errs...)
}

// Up says whether the gate is up.
func (g *Gate) Up() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.up
}

// Octets says how many bytes came in from the servers behind the gate and how many
// went out to them, since the gate was made.
func (g *Gate) Octets() (in, out uint64) { return g.in.Load(), g.out.Load() }

// Transitions lists the changes so far, oldest first.
func (g *Gate) Transitions() []Transition {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]Transition(nil), g.transitions...)
}

// Close takes the gate down for good and waits until nothing of it runs.
func (g *Gate) Close() error {
	g.mu.Lock()
	var err error
	if g.up {
		err = g.takeDown()
	}
	g.closed = true
	g.mu.Unlock()
	g.running.Wait()
	return err
}

// accept forwards what arrives at ln until the gate goes down; g.mu is held.
func (g *Gate) accept(r *route, ln net.Listener) {
	r.listener = ln
	live := g.live
	g.running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return // closed by stopListening
			}
			if live.add(c) {
				g.running.Go(func() { g.forward(live, c, r.target) })
			}
		}
	})
}

// forward joins a connection that was accepted with a new one to target, until both
// directions have ended or the gate cuts them.
func (g *Gate) forward(live *connections, outside net.Conn, target string) {
	defer live.end(outside)
	inside, err := net.Dial("tcp4", target)
	if err != nil || !live.add(inside) {
		return // the far end sees its connection reset, as it would from the server
	}
	defer live.end(inside)
	var both sync.WaitGroup
	both.Go(func() { pump(live, inside, outside, &g.out) })
	both.Go(func() { pump(live, outside, inside, &g.in) })
	both.Wait()
}

// pump copies one direction. Its orderly end is passed on; its failure ends the
// other direction too, which would otherwise wait for ever.
func pump(live *connections, to, from net.Conn, octets *atomic.Uint64) {
	_, err := io.Copy(counter{to, octets}, from)
	if err == nil {
		err = to.(*net.TCPConn).CloseWrite()
	}
	if err != nil {
		live.end(to)
		live.end(from)
	}
}

// counter counts what was really written. It hides the connection's ReadFrom, which
// would splice past the count.
type counter struct {
	w      io.Writer
	octets *atomic.Uint64
}

func (c counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.octets.Add(uint64(n))
	return n, err
}
