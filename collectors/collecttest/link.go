package collecttest

import (
	"net"
	"sync"
	"testing"
)

// Link is a network cable in front of a server: TCP that can be frozen, as when a
// switch port goes down, and cut.
type Link struct {
	Address  string // where clients connect
	server   string
	listener net.Listener

	mu     sync.Mutex
	frozen chan struct{} // closed by Thaw; nil while data flows
	spoil  func([]byte)
	conns  map[net.Conn]struct{}
	done   bool
}

// NewLink lays a cable to the server's address. It goes with the test.
func NewLink(t testing.TB, server string) *Link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Link{Address: listener.Addr().String(), server: server, listener: listener, conns: map[net.Conn]struct{}{}}
	var running sync.WaitGroup
	running.Go(func() { l.serve(&running) })
	t.Cleanup(func() {
		listener.Close()
		l.mu.Lock()
		l.done = true
		l.mu.Unlock()
		l.Thaw()
		l.Cut()
		running.Wait()
	})
	return l
}

// Freeze stops the data: nothing arrives, and nobody is told.
func (l *Link) Freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frozen == nil {
		l.frozen = make(chan struct{})
	}
}

// Thaw lets the data flow on.
func (l *Link) Thaw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frozen != nil {
		close(l.frozen)
		l.frozen = nil
	}
}

// Cut ends every connection. New ones can be made.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.Close()
	}
	clear(l.conns)
}

// Spoil has f change what the server sends from now on, piece by piece as it comes. nil
// leaves it as it is.
func (l *Link) Spoil(f func([]byte)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spoil = f
}

func (l *Link) serve(running *sync.WaitGroup) {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		server, err := net.Dial("tcp", l.server)
		if err != nil || !l.keep(client, server) {
			client.Close()
			continue
		}
		running.Go(func() { l.carry(client, server, true) })
		running.Go(func() { l.carry(server, client, false) })
	}
}

func (l *Link) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		if l.done {
			c.Close()
		}
		l.conns[c] = struct{}{}
	}
	return !l.done
}

func (l *Link) carry(to, from net.Conn, ofServer bool) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		l.mu.Lock()
		frozen := l.frozen
		if l.spoil != nil && ofServer && n > 0 {
			l.spoil(b[:n])
		}
		l.mu.Unlock()
		if frozen != nil {
			<-frozen
		}
		if _, werr := to.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}
