package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// polled serves a handler within limits, and says where.
func polled(t *testing.T, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- ServePolls(ctx, l, h) }()
	t.Cleanup(func() {
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// dial connects from one of this machine's many addresses; nil if it is sent away at once.
func dial(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	conn, err := d.Dial("tcp", to)
	if errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ask gets the status by a connection; "" if it was closed.
func ask(conn net.Conn) string {
	if conn == nil {
		return ""
	}
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
		return ""
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return ""
	}
	io.Copy(io.Discard, r.Body) // a short one
	return r.Status
}

// S14, S15: whoever holds connections has no more than their part of them, and others are
// answered all the same.
func TestConnectionsAreBounded(t *testing.T) {
	address := polled(t, PollHandler(&told{status: night()}, nil))
	var open []net.Conn
	answered := 0
	for range 3 * mostFromOne {
		conn := dial(t, "127.0.0.2", address)
		if open = append(open, conn); ask(conn) != "" {
			answered++
		}
	}
	if answered != mostFromOne {
		t.Errorf("one address has %d connections, want %d", answered, mostFromOne)
	}
	if got := ask(dial(t, "127.0.0.3", address)); got != "200 OK" {
		t.Errorf("another is answered %q", got)
	}
	for _, conn := range open {
		if conn != nil {
			conn.Close()
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if ask(dial(t, "127.0.0.2", address)) == "200 OK" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("connections that are closed still count")
		}
	}
}

func TestConnectionsFollowTheDescriptors(t *testing.T) {
	for descriptors, want := range map[uint64]int{0: mostConnections, 3: 1, 100: 9, 192: 32, 1024: mostConnections, 1 << 63: mostConnections} {
		if got := connectionsFor(descriptors); got != want {
			t.Errorf("of %d descriptors, %d connections, want %d", descriptors, got, want)
		}
	}
	b := newBounded(nil, 3)
	for i, want := range []bool{true, true, true, false} {
		if got := b.take(fmt.Sprint(i)); got != want {
			t.Errorf("connection %d has room: %t", i, got)
		}
	}
}

// A body that comes a byte at a time is not awaited, of whatever length it is said to be.
func TestSlowBodies(t *testing.T) {
	address := polled(t, PollHandler(&told{status: night()}, nil))
	for _, length := range []string{"Content-Length: 1000", "Transfer-Encoding: chunked"} {
		conn := dial(t, "127.0.0.2", address)
		began := time.Now()
		if _, err := fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n\r\n1", length); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn) // until it is closed
		if took := time.Since(began); !strings.HasPrefix(string(answer), "HTTP/1.1 413 ") || took > readWithin/2 {
			t.Errorf("%s: after %s %q, %v", length, took, answer, err)
		}
	}
}

// A page that has its own name lead to this machine reads nothing.
func TestHosts(t *testing.T) {
	h := PollHandler(&told{status: night()}, []string{"Airlock.example.org"})
	for host, want := range map[string]int{
		"127.0.0.1:9470": 200, "10.78.0.10": 200, "[::1]:9470": 200, "::1": 200, "[fe80::1%eth0]:9470": 200,
		"localhost:9470": 200, "LOCALHOST": 200, "airlock.example.org:9470": 200, "airlock.example.org.": 200,
		"evil.example": 421, "evil.example:9470": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "": 421, "x": 421,
	} {
		r := httptest.NewRequest("GET", "/healthz", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("host %q is answered %d, want %d", host, w.Code, want)
		}
	}
}

// Requests wait for each other, and who waits for too long is told to come again; a guard
// waits for guards alone.
func TestRequestsWaitForEachOther(t *testing.T) {
	inside, let := make(chan struct{}, 100), make(chan struct{})
	h := paced(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != leasesPath {
			inside <- struct{}{}
			<-let
		}
	}))
	get := func(path string) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
			t.Error("it is not told when to come again")
		}
		return w.Code
	}
	codes := make(chan int, atWork+1)
	for range atWork {
		go func() { codes <- get("/v1/status") }()
	}
	for range atWork {
		<-inside
	}
	if got := get("/v1/status"); got != http.StatusServiceUnavailable {
		t.Errorf("one more is answered %d", got)
	}
	if got := get(leasesPath); got != http.StatusOK {
		t.Errorf("a guard is answered %d", got)
	}
	close(let)
	for range atWork {
		if got := <-codes; got != http.StatusOK {
			t.Errorf("who had their turn is answered %d", got)
		}
	}
	began := time.Now()
	for range 20 {
		get("/v1/status")
	}
	if took := time.Since(began); took < 19*statusGap {
		t.Errorf("20 requests took %s", took)
	}
}
