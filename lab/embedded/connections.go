package embedded

import (
	"net"
	"sync"
)

// connections is a set of connections that is cut off as a whole. Once cut it takes
// no more, so that a connection accepted at the very moment of the cut cannot
// survive it. The zero value is ready.
type connections struct {
	mu   sync.Mutex
	cut  bool
	held map[net.Conn]struct{}
}

// add says whether c may live; if not, the set was cut and c is closed.
func (s *connections) add(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		reset(c)
		return false
	}
	if s.held == nil {
		s.held = make(map[net.Conn]struct{})
	}
	s.held[c] = struct{}{}
	return true
}

// end closes c and forgets it.
func (s *connections) end(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.held[c]; ok {
		delete(s.held, c)
		reset(c)
	}
}

// cutAll resets every connection; none passes a byte once it has returned.
func (s *connections) cutAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = true
	for c := range s.held {
		reset(c)
	}
	s.held = nil
}

// reset closes c at once. What a peer has not read yet is thrown away and the peer
// sees a reset, which is as near as loopback comes to a cable that was pulled. A
// failure to close would say only that the connection is gone already.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}
