package snmp

import (
	"crypto/rand"
	"crypto/sha256"
	"time"

	"github.com/gosnmp/gosnmp"

	"airlock/switchctl/snmp/wire"
)

// timeWindow is how far two engines' clocks may be apart, in seconds (RFC 3414, section
// 2.2.3); latched is the snmpEngineBoots of an engine that can start no more.
const (
	timeWindow = 150
	latched    = 1<<31 - 1
)

const notInTimeWindows = ".1.3.6.1.6.3.15.1.1.2.0"

// receiverEngine is the authoritative side of USM for the informs that come here.
type receiverEngine struct {
	id      string
	boots   uint32
	started time.Time
	reports map[string]uint32 // counted by OID
}

// newReceiverEngine makes an engine whose ID follows from a text: a switch that has to
// be told the ID is told once.
func newReceiverEngine(text string) receiverEngine {
	// RFC 3411, SnmpEngineID: net-snmp's enterprise number, as it has no one of our own,
	// and octets (5) that are ours to choose.
	sum := sha256.Sum256([]byte("airlock trap receiver " + text))
	now := time.Now()
	since2020 := now.Sub(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	return receiverEngine{
		id: "\x80\x00\x1f\x88\x05" + string(sum[:12]), started: now, reports: map[string]uint32{},
		boots: uint32(max(1, min(since2020/time.Second, latched-1))),
	}
}

func (e *receiverEngine) time() uint32 { return uint32(time.Since(e.started) / time.Second) }

// timely checks an inform by the engine's own clock (RFC 3414, section 3.2, 7a).
func (e *receiverEngine) timely(usm *gosnmp.UsmSecurityParameters) bool {
	apart := int64(usm.AuthoritativeEngineTime) - int64(e.time())
	return usm.AuthoritativeEngineBoots == e.boots && -timeWindow <= apart && apart <= timeWindow
}

// report tells a sender without any protection why its message was refused, if it wants
// to be told.
func (e *receiverEngine) report(about *gosnmp.SnmpPacket, asked *gosnmp.UsmSecurityParameters, oid string) []byte {
	if about.MsgFlags&gosnmp.Reportable == 0 {
		return nil
	}
	plain := &gosnmp.UsmSecurityParameters{UserName: asked.UserName}
	return e.seal(about, plain, e.counted(about, oid), gosnmp.NoAuthNoPriv)
}

// tellTime gives an authentic sender the engine's boots and time, signed.
func (e *receiverEngine) tellTime(about *gosnmp.SnmpPacket, usm *gosnmp.UsmSecurityParameters) []byte {
	return e.seal(about, usm, e.counted(about, notInTimeWindows), gosnmp.AuthNoPriv)
}

func (e *receiverEngine) counted(about *gosnmp.SnmpPacket, oid string) *gosnmp.SnmpPacket {
	e.reports[oid]++
	return &gosnmp.SnmpPacket{
		PDUType: gosnmp.Report, RequestID: about.RequestID,
		Variables: []gosnmp.SnmpPDU{{Name: oid, Type: gosnmp.Counter32, Value: uint(e.reports[oid])}},
	}
}

// seal makes a message of the answer to another, by keys that belong to this engine.
func (e *receiverEngine) seal(about *gosnmp.SnmpPacket, keys *gosnmp.UsmSecurityParameters, answer *gosnmp.SnmpPacket, level gosnmp.SnmpV3MsgFlags) []byte {
	usm, ok := keys.Copy().(*gosnmp.UsmSecurityParameters)
	if !ok {
		return nil
	}
	usm.AuthoritativeEngineID, usm.AuthoritativeEngineBoots, usm.AuthoritativeEngineTime = e.id, e.boots, e.time()
	usm.PrivacyParameters = []byte(rand.Text()[:8]) // the salt
	answer.Version, answer.MsgID, answer.MsgFlags = gosnmp.Version3, about.MsgID, level
	answer.SecurityModel, answer.SecurityParameters = gosnmp.UserSecurityModel, usm
	answer.ContextEngineID, answer.ContextName = about.ContextEngineID, about.ContextName
	if level != gosnmp.AuthPriv || answer.ContextEngineID == "" { // a report speaks of the listener's engine
		answer.ContextEngineID = e.id
	}
	return wire.Marshal(answer)
}
