package snmp

import (
	"bytes"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gosnmp/gosnmp"
)

// link is the socket of a session with three things that gosnmp does not do. A request
// in flight is ended the moment its context is. The reports that gosnmp throws away are
// kept: RFC 3414 sends unknownEngineIDs, unknownUserNames and wrongDigests
// unauthenticated, which is why gosnmp says "not authentic" to all three; to a person
// they are three different things to mend. And what anybody could have sent does not end
// a request: gosnmp gives up at the first message that it cannot believe, although the
// true answer may follow. So a message that answers none of this request's is passed
// over, and an unauthenticated report is held back until the try is over; if nothing
// better came by then, it is the answer.
type link struct {
	net.Conn
	mu      sync.Mutex
	round   int // of requests begun
	ended   bool
	report  string  // OID in the last message given, where it was an unauthenticated report
	asked   []int64 // msgID of what was sent in this round, where that is SNMPv3
	secured bool    // the last of it was authenticated: a report without that may be anybody's
	waited  bool    // a report was held back in this round, and nothing better came
}

// SetDeadline is called by gosnmp before each try.
func (l *link) SetDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		t = time.Unix(1, 0)
	}
	return l.Conn.SetDeadline(t)
}

// begin starts a round, in which reads and writes work until it is ended.
func (l *link) begin() (round int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.round++
	l.ended, l.report, l.asked, l.secured, l.waited = false, "", nil, false, false
	return l.round
}

// end makes every read and write of a round fail. It may come late: a later round has
// nothing to do with it.
func (l *link) end(round int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if round == l.round {
		l.ended = true
		l.Conn.SetDeadline(time.Unix(1, 0)) // fails only on a closed socket, whose reads fail anyhow
	}
}

func (l *link) Write(b []byte) (int, error) {
	if id, flags, ok := header(b); ok {
		l.mu.Lock()
		l.asked = append(l.asked, id)
		l.secured = flags&gosnmp.AuthNoPriv != 0
		l.mu.Unlock()
	}
	return l.Conn.Write(b)
}

func (l *link) Read(b []byte) (int, error) {
	var held []byte
	for {
		n, err := l.Conn.Read(b)
		var timeout net.Error
		if held != nil && errors.As(err, &timeout) && timeout.Timeout() {
			return l.give(b, held)
		}
		if err != nil {
			return n, err
		}
		report := plainReport(b[:n])
		switch l.weigh(b[:n], report) {
		case passOver:
		case holdBack:
			held = bytes.Clone(b[:n])
		case giveNow:
			l.mu.Lock()
			defer l.mu.Unlock()
			l.report = report
			return n, nil
		}
	}
}

// give returns a report that was held back, unless the round was ended meanwhile.
func (l *link) give(b, held []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return 0, os.ErrDeadlineExceeded
	}
	l.waited, l.report = true, plainReport(held)
	return copy(b, held), nil
}

// What is done with a message that came.
type worth int

const (
	giveNow worth = iota
	holdBack
	passOver
)

func (l *link) weigh(message []byte, report string) worth {
	id, _, v3 := header(message)
	l.mu.Lock()
	defer l.mu.Unlock()
	ours := slices.Contains(l.asked, id)
	switch {
	case len(l.asked) == 0: // not SNMPv3, which alone can be told to be somebody's
		return giveNow
	case report != "" && !l.waited && (l.secured || !ours):
		return holdBack
	case report != "" || v3 && ours:
		return giveNow
	}
	return passOver
}

func (l *link) lastReport() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.report
}

// header reads msgID and msgFlags of an SNMPv3 message (RFC 3412, section 6), however
// its lengths are encoded.
func header(message []byte) (id int64, flags gosnmp.SnmpV3MsgFlags, ok bool) {
	const integer, octets, sequence = 0x02, 0x04, 0x30
	whole, _ := element(message, sequence)
	version, rest := element(whole, integer)
	global, _ := element(rest, sequence)
	msgID, rest := element(global, integer)
	_, rest = element(rest, integer) // msgMaxSize
	bits, _ := element(rest, octets)
	if len(version) != 1 || version[0] != 3 || len(msgID) == 0 || len(msgID) > 5 || len(bits) != 1 {
		return 0, 0, false
	}
	for _, b := range msgID {
		id = id<<8 | int64(b)
	}
	return id, gosnmp.SnmpV3MsgFlags(bits[0]), true
}

// element takes the first element of b apart if its tag is tag: what is in it, and what
// comes after it.
func element(b []byte, tag byte) (content, rest []byte) {
	if len(b) < 2 || b[0] != tag {
		return nil, nil
	}
	length, b := int(b[1]), b[2:]
	if octets := length &^ 0x80; length >= 0x80 {
		if octets > 4 || octets > len(b) {
			return nil, nil
		}
		length = 0
		for _, o := range b[:octets] {
			length = length<<8 | int(o)
		}
		b = b[octets:]
	}
	if length > len(b) {
		return nil, nil
	}
	return b[:length], b[length:]
}

// plainReport is the OID of an unauthenticated SNMPv3 report, or "".
func plainReport(message []byte) string {
	if len(message) == 0 {
		return ""
	}
	// Without an authentication protocol the decoder refuses every other message.
	decoder := &gosnmp.GoSNMP{
		Version:            gosnmp.Version3,
		SecurityModel:      gosnmp.UserSecurityModel,
		SecurityParameters: &gosnmp.UsmSecurityParameters{UserName: "any"},
	}
	packet, err := decoder.SnmpDecodePacket(bytes.Clone(message))
	if err != nil || packet.Version != gosnmp.Version3 || packet.PDUType != gosnmp.Report || len(packet.Variables) != 1 {
		return ""
	}
	return packet.Variables[0].Name
}
