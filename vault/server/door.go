package server

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// gate bounds the attempts to log in from one address, or from one IPv6 network of 64
// bits, all of which one machine may have.
type gate struct {
	perMinute int
	mu        sync.Mutex
	from      map[netip.Prefix]*rate.Limiter
}

// maxGate bounds the addresses that are remembered.
const maxGate = 4096

func (g *gate) admits(from net.Addr, now time.Time) bool {
	network := networkOf(from)
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.from) >= maxGate { // those that asked nothing for a minute are as new ones
		maps.DeleteFunc(g.from, func(_ netip.Prefix, l *rate.Limiter) bool { return l.TokensAt(now) >= float64(g.perMinute) })
	}
	if g.from == nil || len(g.from) >= maxGate {
		g.from = map[netip.Prefix]*rate.Limiter{}
	}
	l := g.from[network]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(float64(g.perMinute)/60), g.perMinute)
		g.from[network] = l
	}
	return l.AllowN(now, 1)
}

// networkOf is an address, or what of it tells one machine from another. What is none
// is the zero Prefix.
func networkOf(from net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(from.String())
	if err != nil {
		return netip.Prefix{}
	}
	address := at.Addr().Unmap()
	bits := 32
	if address.Is6() {
		bits = 64
	}
	network, _ := address.WithZone("").Prefix(bits) // of so many bits there always is one
	return network
}

// waitingRoom is where connections are until somebody has logged in by them. When it is
// full, the one that has been there longest goes: an honest client needs a moment only,
// and strangers that say nothing cannot keep it out.
type waitingRoom struct {
	mu    sync.Mutex
	conns []net.Conn // the longest there first
}

// handshakes is how many are in course at once.
const handshakes = 32

func (w *waitingRoom) enter(conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.conns) >= handshakes {
		_ = w.conns[0].Close() // whoever serves it learns why
		w.conns = slices.Delete(w.conns, 0, 1)
	}
	w.conns = append(w.conns, conn)
}

func (w *waitingRoom) leave(conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at := slices.Index(w.conns, conn); at >= 0 {
		w.conns = slices.Delete(w.conns, at, at+1)
	}
}

// places are those of logged-in clients. However many connections one client has, there
// is one left for each of the others that has none.
type places struct {
	clients int // that there are

	mu   sync.Mutex
	free int
	by   map[string]int // connections, of those clients that have any
}

func (p *places) take(client string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = map[string]int{}
	}
	left := 0
	if p.by[client] > 0 {
		left = p.clients - len(p.by) // for those that have none
	}
	if p.free <= left {
		return false
	}
	p.free--
	p.by[client]++
	return true
}

func (p *places) give(client string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	if p.by[client]--; p.by[client] == 0 {
		delete(p.by, client)
	}
}

// login is a connection by which a client has logged in.
type login struct {
	conn   net.Conn
	client string
	line   *line
	left   chan struct{} // closed once its place is free again
}

func (s *serving) enter(l *login) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins = append(s.logins, l)
}

func (s *serving) leave(l *login) {
	s.mu.Lock()
	s.logins = slices.DeleteFunc(s.logins, func(other *login) bool { return other == l })
	s.mu.Unlock()
	s.logged.give(l.client)
	close(l.left)
}

// placeWithin is how long a newcomer waits for the place of one that is cut for it.
const placeWithin = 2 * time.Second

// makePlace cuts the connection of a client that has been there longest and on which no
// window was announced, so that whoever holds all places cannot keep a window out.
func (s *serving) makePlace(client string) bool {
	s.mu.Lock()
	at := slices.IndexFunc(s.logins, func(l *login) bool { return l.client == client && !l.line.announced.Load() })
	if at < 0 {
		s.mu.Unlock()
		return false
	}
	oldest := s.logins[at]
	s.mu.Unlock()
	s.conf.Log.Warn("too many connections; the oldest that announces no window was cut", "client", client, "from", oldest.conn.RemoteAddr())
	_ = oldest.conn.Close()
	select {
	case <-oldest.left:
		return true
	case <-time.After(placeWithin):
		return false
	}
}
