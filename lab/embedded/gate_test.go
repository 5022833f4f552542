package embedded

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echo answers what it is sent, on loopback.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	return ln.Addr().String()
}

func newGate(t *testing.T) (*Gate, string) {
	t.Helper()
	g := new(Gate)
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	address, err := g.Forward(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	return g, address
}

func set(t *testing.T, g *Gate, up bool) {
	t.Helper()
	if err := g.Set(up); err != nil {
		t.Fatal(err)
	}
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

func exchange(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("echo of %q: %q, %v", text, got, err)
	}
}

func TestGateDownDoesNotAnswer(t *testing.T) {
	_, address := newGate(t)
	if c, err := net.Dial("tcp4", address); err == nil {
		c.Close()
		t.Fatal("a gate that is down took a connection")
	}
}

func TestGateKeepsItsAddress(t *testing.T) {
	g, address := newGate(t)
	for range 20 {
		set(t, g, true)
		exchange(t, dial(t, address), "こんにちは")
		set(t, g, false)
		if c, err := net.Dial("tcp4", address); err == nil {
			c.Close()
			t.Fatal("a gate that went down took a connection")
		}
	}
}

func TestGateCutsWhatIsOpen(t *testing.T) {
	g, address := newGate(t)
	set(t, g, true)
	c := dial(t, address)
	exchange(t, c, "before")
	set(t, g, false)
	if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read after the cut: %d bytes, %v; want the connection cut", n, err)
	}
	in, out := g.Octets()
	io.WriteString(c, "after")
	set(t, g, true)
	if in2, out2 := g.Octets(); in2 != in || out2 != out {
		t.Fatalf("octets moved from %d, %d to %d, %d through a gate that was down", in, out, in2, out2)
	}
}

func TestGatePassesTheOrderlyEnd(t *testing.T) {
	g, address := newGate(t)
	set(t, g, true)
	c := dial(t, address)
	io.WriteString(c, "last words")
	c.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(c); err != nil || string(got) != "last words" {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestGateCountsOctets(t *testing.T) {
	g, address := newGate(t)
	set(t, g, true)
	c := dial(t, address)
	exchange(t, c, "0123456789")
	set(t, g, false)
	if in, out := g.Octets(); in != 10 || out != 10 {
		t.Fatalf("in %d, out %d; want 10 each", in, out)
	}
}

func TestGateTransitions(t *testing.T) {
	g, _ := newGate(t)
	for _, up := range []bool{false, true, true, false, false, true} {
		set(t, g, up)
	}
	got := g.Transitions()
	if len(got) != 3 {
		t.Fatalf("transitions: %v; want up, down, up", got)
	}
	for i, x := range got {
		if x.Up != (i%2 == 0) || i > 0 && x.At.Before(got[i-1].At) {
			t.Fatalf("transitions: %v; want up, down, up in the order of time", got)
		}
	}
}

func TestGateUpWithItsAddressTaken(t *testing.T) {
	g, address := newGate(t)
	thief, err := net.Listen("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	other, err := g.Forward(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	if g.Set(true) == nil {
		t.Fatal("the gate came up although its address was taken")
	}
	if c, err := net.Dial("tcp4", other); err == nil {
		c.Close()
		t.Fatal("a gate that failed to come up listens at its other address")
	}
	if err := thief.Close(); err != nil {
		t.Fatal(err)
	}
	set(t, g, true)
	exchange(t, dial(t, address), "x")
}

func TestGateForwardWhileUp(t *testing.T) {
	g, _ := newGate(t)
	set(t, g, true)
	second, err := g.Forward(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, dial(t, second), "x")
}

func TestGateServerGone(t *testing.T) {
	g := new(Gate)
	defer g.Close()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address, err := g.Forward(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	set(t, g, true)
	c, err := net.Dial("tcp4", address)
	if err != nil {
		return // reset before the dial had returned
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read from behind the gate: %v; want the connection reset", err)
	}
}
