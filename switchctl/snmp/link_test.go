package snmp

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// A context that ends between two tries of gosnmp must not be undone by the deadline
// that gosnmp sets for the second.
func TestLinkStaysEnded(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	l := &link{Conn: near}
	defer l.Close()
	l.end(l.begin())
	if err := l.SetDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v, want %v", err, os.ErrDeadlineExceeded)
	}
}

// The end of a request's context, when it comes late, must not end the next request.
func TestLinkEndsOnlyItsRound(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	l := &link{Conn: near}
	defer l.Close()
	first := l.begin()
	l.begin()
	if err := l.SetDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	l.end(first)
	go far.Write([]byte{1})
	if n, err := l.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("read: %d, %v", n, err)
	}
}
