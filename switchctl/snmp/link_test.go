package snmp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gosnmp/gosnmp"

	"airlock/switchctl/snmp/wire"
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

// A message that anybody could have sent does not end a request whose true answer
// follows, however many there are; and where none follows, a report is the answer.
func TestLinkWaitsForTheTrueAnswer(t *testing.T) {
	ours := func(id uint32, flags gosnmp.SnmpV3MsgFlags, kind gosnmp.PDUType) []byte {
		p := &gosnmp.SnmpPacket{Version: gosnmp.Version3, MsgID: id, MsgFlags: flags, PDUType: kind,
			SecurityModel: gosnmp.UserSecurityModel, SecurityParameters: &gosnmp.UsmSecurityParameters{},
			Variables: []gosnmp.SnmpPDU{{Name: unknownEngineIDs, Type: gosnmp.Counter32, Value: uint(1)}}}
		if flags&gosnmp.AuthNoPriv != 0 {
			p.SecurityParameters = &gosnmp.UsmSecurityParameters{UserName: "u", AuthenticationProtocol: gosnmp.SHA, SecretKey: make([]byte, 20)}
		}
		return wire.Marshal(p)
	}
	const secured, plain = gosnmp.AuthNoPriv | gosnmp.Reportable, gosnmp.Reportable
	request, answer := ours(7, secured, gosnmp.GetRequest), ours(7, gosnmp.AuthNoPriv, gosnmp.GetResponse)
	discovery, report := ours(7, plain, gosnmp.GetRequest), ours(7, gosnmp.NoAuthNoPriv, gosnmp.Report)
	replay, foreign := ours(6, gosnmp.AuthNoPriv, gosnmp.GetResponse), ours(1, gosnmp.NoAuthNoPriv, gosnmp.Report)
	for name, test := range map[string]struct {
		asked []byte
		come  [][]byte
		want  []byte // nil: the try's timeout
	}{
		"an answer":                   {request, [][]byte{answer}, answer},
		"a report before it":          {request, [][]byte{report, answer}, answer},
		"replays before it":           {request, [][]byte{replay, replay, foreign, replay, answer}, answer},
		"garbage before it":           {request, [][]byte{{1, 2, 3}, {0x30, 0x84, 255, 255, 255, 255}, answer}, answer},
		"a report alone":              {request, [][]byte{replay, report}, report},
		"nothing":                     {request, nil, nil},
		"replays alone":               {request, [][]byte{replay, replay}, nil},
		"a discovery":                 {discovery, [][]byte{report}, report},
		"a report before a discovery": {discovery, [][]byte{foreign, report}, report},
		"a foreign report alone":      {discovery, [][]byte{foreign}, foreign},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				l := &link{Conn: near}
				l.begin()
				go func() {
					io.ReadFull(far, make([]byte, len(test.asked)))
					for _, m := range test.come {
						far.Write(m)
					}
				}()
				began := time.Now()
				if err := l.SetDeadline(began.Add(2 * time.Second)); err != nil {
					t.Fatal(err)
				}
				if _, err := l.Write(test.asked); err != nil {
					t.Fatal(err)
				}
				b := make([]byte, 65535)
				n, err := l.Read(b)
				if !bytes.Equal(b[:n], test.want) || errors.Is(err, os.ErrDeadlineExceeded) != (test.want == nil) {
					t.Errorf("read %x, %v; want %x", b[:n], err, test.want)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("took %v", took)
				}
				near.Close()
				far.Close()
			})
		})
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
