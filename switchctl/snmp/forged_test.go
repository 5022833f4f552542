package snmp_test

import (
	"bytes"
	"net"
	"testing"

	"airlock/switchctl"
	"airlock/switchctl/switchtest/snmpswitch"

	"github.com/gosnmp/gosnmp"
)

// forger stands before an agent. Ahead of each answer it sends reports that nobody
// authenticated and answers to earlier requests, and each answer it sends many times.
func forger(t *testing.T, agent string) (address string) {
	t.Helper()
	here, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close() })
	there, err := net.Dial("udp", agent)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { there.Close() })
	var forged [][]byte
	for _, oid := range []string{".1.3.6.1.6.3.15.1.1.1.0", ".1.3.6.1.6.3.15.1.1.3.0", ".1.3.6.1.6.3.15.1.1.5.0"} {
		report, err := (&gosnmp.SnmpPacket{Version: gosnmp.Version3, MsgID: 1, PDUType: gosnmp.Report,
			SecurityModel: gosnmp.UserSecurityModel, SecurityParameters: &gosnmp.UsmSecurityParameters{AuthoritativeEngineID: "another one"},
			Variables: []gosnmp.SnmpPDU{{Name: oid, Type: gosnmp.Counter32, Value: uint(5)}}}).MarshalMsg()
		if err != nil {
			t.Fatal(err)
		}
		forged = append(forged, report)
	}
	go func() {
		question, answer := make([]byte, 65535), make([]byte, 65535)
		var earlier [][]byte
		for {
			n, client, err := here.ReadFrom(question)
			if err != nil {
				return
			}
			there.Write(question[:n])
			if n, err = there.Read(answer); err != nil {
				return
			}
			for _, m := range append(forged, earlier...) {
				here.WriteTo(m, client)
			}
			for range 20 {
				here.WriteTo(answer[:n], client)
			}
			earlier = append(earlier, bytes.Clone(answer[:n]))
			earlier = earlier[max(0, len(earlier)-10):]
		}
	}()
	return here.LocalAddr().String()
}

// What somebody else sends does not keep a door from being shut.
func TestForgedAnswers(t *testing.T) {
	s := start(t, snmpswitch.Config{})
	p := find(t, dial(t, v3(forger(t, s.Addr()))), switchctl.Lookup{Name: "p3"})
	for _, admin := range []switchctl.Admin{switchctl.AdminDown, switchctl.AdminUp, switchctl.AdminDown} {
		if err := p.Set(t.Context(), admin); err != nil {
			t.Fatal(err)
		}
		if r, err := p.Read(t.Context()); err != nil || r.Row.Admin != admin || s.Up(3) != (admin == switchctl.AdminUp) {
			t.Errorf("read %+v, %v; want %v", r, err, admin)
		}
	}
}
