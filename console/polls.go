package console

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// What those who poll may take, whoever they are and however many: an executor whose
// descriptors, memory or processors a stranger can use up is one that a stranger can
// stop. A connection more is closed at once; a request more waits, and is then told to
// come again.
const (
	mostConnections = 64
	mostFromOne     = 16 // of one address
	descriptorsKept = 64 // of the process, that no connection takes: for doors, the ledger, a window
	descriptorShare = 4  // no more than every so manieth of the others

	headerWithin = 5 * time.Second  // until the headers are there
	readWithin   = 8 * time.Second  // until the whole request is
	writeWithin  = 20 * time.Second // until the answer is taken
	idleWithin   = 30 * time.Second // between two requests
	headerLimit  = 16 << 10         // bytes

	refusalGap = time.Millisecond      // after a connection too many, so that who comes again at once takes no processor
	atWork     = 4                     // requests that are answered at once
	statusGap  = 20 * time.Millisecond // between two of them
	leasesGap  = 2 * time.Millisecond  // between two answers to guards
	waitWithin = 2 * time.Second       // for one's turn; then 503
	retryAfter = "1"                   // in seconds
)

// ServePolls answers whoever reaches l, within limits, until ctx ends.
func ServePolls(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerWithin, ReadTimeout: readWithin, WriteTimeout: writeWithin, IdleTimeout: idleWithin,
		MaxHeaderBytes: headerLimit,
	}
	return serve(ctx, newBounded(l, connectionsFor(descriptors())), server)
}

// descriptors is how many descriptors this process may have; 0 if that is not known.
func descriptors() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return limit.Cur
}

func connectionsFor(descriptors uint64) int {
	if descriptors == 0 {
		return mostConnections
	}
	return int(max(1, min(mostConnections, (descriptors-min(descriptors, descriptorsKept))/descriptorShare)))
}

// bounded is a listener with no more connections at a time than it may have.
type bounded struct {
	net.Listener
	most int

	mu   sync.Mutex
	all  int
	from map[string]int // by address
}

func newBounded(l net.Listener, most int) *bounded {
	return &bounded{Listener: l, most: most, from: map[string]int{}}
}

// Accept gives the next connection for which there is room.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
		if err == nil && b.take(host) {
			return &counted{Conn: conn, over: sync.OnceFunc(func() { b.give(host) })}, nil
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			tcp.SetLinger(0) // nothing of it is to be kept, in the kernel neither
		}
		conn.Close() // who is sent away is told no more
		time.Sleep(refusalGap)
	}
}

func (b *bounded) take(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= b.most || b.from[host] >= min(mostFromOne, b.most) {
		return false
	}
	b.all++
	b.from[host]++
	return true
}

func (b *bounded) give(host string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all--
	if b.from[host]--; b.from[host] == 0 {
		delete(b.from, host)
	}
}

// counted is a connection that is counted until it is closed.
type counted struct {
	net.Conn
	over func()
}

// Close closes the connection, and makes room for another.
func (c *counted) Close() error {
	defer c.over()
	return c.Conn.Close()
}

// PollHandler is Handler for whoever reaches the status address. Hosts are the names by
// which it may be asked, besides those of this machine and every literal address: a page
// in somebody's browser that has its own name lead here learns nothing.
func PollHandler(source Source, hosts []string) http.Handler {
	known := append([]string{"localhost"}, hosts...)
	if name, err := os.Hostname(); err == nil {
		short, _, _ := strings.Cut(name, ".")
		known = append(known, name, short)
	}
	return asked(known, paced(Handler(source)))
}

// asked lets requests pass that are for this site and that bring nothing.
func asked(hosts []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !names(hosts, r.Host):
			w.Header().Set("Connection", "close")
			http.Error(w, "this name is none of this site's: ask by its address, or add the name to status.hosts in the policy file", http.StatusMisdirectedRequest)
		case r.ContentLength != 0:
			w.Header().Set("Connection", "close")
			_ = http.NewResponseController(w).SetReadDeadline(time.Now()) // what it brings is not awaited, but for readWithin
			http.Error(w, "a question has no body", http.StatusRequestEntityTooLarge)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// names reports whether host, with or without a port, is one of hosts, this machine's
// hostname with a domain behind it, or an address.
func names(hosts []string, host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return slices.ContainsFunc(hosts, func(name string) bool { return strings.EqualFold(name, host) })
}

// turns lets few at a time through, and none sooner after another than gap.
type turns struct {
	slots chan struct{}
	gap   time.Duration

	mu   sync.Mutex
	next time.Time // when another may begin
}

func newTurns(slots int, gap time.Duration) *turns {
	return &turns{slots: make(chan struct{}, slots), gap: gap}
}

var errBusy = errors.New("too many ask at once")

// take waits for one's turn, and no longer than waitWithin.
func (t *turns) take(ctx context.Context) (give func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, waitWithin, errBusy)
	defer cancel()
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	t.mu.Lock()
	wait := time.Until(t.next)
	t.next = time.Now().Add(max(wait, 0) + t.gap)
	t.mu.Unlock()
	due := time.NewTimer(wait)
	defer due.Stop()
	select {
	case <-due.C:
		return func() { <-t.slots }, nil
	case <-ctx.Done():
		<-t.slots
		return nil, context.Cause(ctx)
	}
}

// paced has requests wait for each other: guards for guards, all others for all others, so
// that nobody who polls keeps a guard from its leases.
func paced(next http.Handler) http.Handler {
	looks, leases := newTurns(atWork, statusGap), newTurns(1, leasesGap)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := looks
		if r.URL.Path == leasesPath {
			t = leases
		}
		give, err := t.take(r.Context())
		if err != nil {
			w.Header().Set("Connection", "close")
			w.Header().Set("Retry-After", retryAfter)
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		defer give()
		next.ServeHTTP(w, r)
	})
}
