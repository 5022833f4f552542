package snmp

import (
	"bytes"
	"net"
	"sync"
	"time"

	"github.com/gosnmp/gosnmp"
)

// link is the socket of a session with two things that gosnmp does not do: a request
// in flight is ended the moment its context is, and the reports that gosnmp throws
// away are kept. RFC 3414 sends unknownEngineIDs, unknownUserNames and wrongDigests
// unauthenticated, which is why gosnmp says "not authentic" to all three; to a person
// they are three different things to mend.
type link struct {
	net.Conn
	mu     sync.Mutex
	round  int // of requests begun
	ended  bool
	report string // OID in the last message read, where it was an unauthenticated report
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
	l.ended, l.report = false, ""
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

func (l *link) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	report := plainReport(b[:n])
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report = report
	return n, err
}

func (l *link) lastReport() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.report
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
