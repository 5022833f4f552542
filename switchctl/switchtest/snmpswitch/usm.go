package snmpswitch

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/gosnmp/gosnmp"

	"airlock/switchctl/snmp/wire"
)

// engine is the authoritative side of USM (RFC 3414) for one user at authPriv. gosnmp
// encodes, localises keys, encrypts and signs; the checks of section 3.2 are here.
type engine struct {
	boots   uint32
	started time.Time
	usm     *gosnmp.UsmSecurityParameters // the user's keys for this engine
	counts  map[string]uint               // of reports, by OID
}

// The counters of usmStats, section 5.
const (
	unsupportedSecLevels = ".1.3.6.1.6.3.15.1.1.1.0"
	notInTimeWindows     = ".1.3.6.1.6.3.15.1.1.2.0"
	unknownUserNames     = ".1.3.6.1.6.3.15.1.1.3.0"
	unknownEngineIDs     = ".1.3.6.1.6.3.15.1.1.4.0"
	wrongDigests         = ".1.3.6.1.6.3.15.1.1.5.0"
)

// window is how far the clocks may be apart, in seconds (section 2.2.3).
const window = 150

func (e *engine) start(c Config, id string) error {
	usm := &gosnmp.UsmSecurityParameters{
		AuthoritativeEngineID:    id,
		UserName:                 c.User,
		AuthenticationProtocol:   c.Auth,
		AuthenticationPassphrase: c.AuthPassword,
		PrivacyProtocol:          c.Privacy,
		PrivacyPassphrase:        c.PrivacyPassword,
	}
	if usm.AuthenticationProtocol == 0 {
		usm.AuthenticationProtocol = gosnmp.SHA256
	}
	if usm.PrivacyProtocol == 0 {
		usm.PrivacyProtocol = gosnmp.AES
	}
	if err := usm.InitSecurityKeys(); err != nil {
		return fmt.Errorf("snmpswitch: keys of user %q: %w", c.User, err)
	}
	*e = engine{boots: 1, started: time.Now(), usm: usm, counts: map[string]uint{}}
	return nil
}

func (e *engine) time() uint32 { return uint32(time.Since(e.started) / time.Second) }

// open checks a message in the order of section 3.2: engine, user, level, digest, time.
// It returns the request in it, or else the report to send, or neither.
func (e *engine) open(message []byte) (request *gosnmp.SnmpPacket, report []byte) {
	decoder := &gosnmp.GoSNMP{
		Version:            gosnmp.Version3,
		MsgFlags:           gosnmp.AuthPriv,
		SecurityModel:      gosnmp.UserSecurityModel,
		SecurityParameters: e.usm.Copy(),
	}
	// Decoding goes as far as it can; what the header says is there even where the rest
	// cannot be decrypted. gosnmp decodes in place.
	packet, err := decoder.SnmpDecodePacket(bytes.Clone(message))
	usm, ok := packet.SecurityParameters.(*gosnmp.UsmSecurityParameters)
	if !ok || packet.SecurityModel != gosnmp.UserSecurityModel {
		return nil, nil
	}
	apart := int64(usm.AuthoritativeEngineTime) - int64(e.time())
	switch {
	case usm.AuthoritativeEngineID != e.usm.AuthoritativeEngineID:
		return nil, e.report(packet, unknownEngineIDs, gosnmp.NoAuthNoPriv)
	case usm.UserName != e.usm.UserName:
		return nil, e.report(packet, unknownUserNames, gosnmp.NoAuthNoPriv)
	case packet.MsgFlags&gosnmp.AuthPriv != gosnmp.AuthPriv:
		return nil, e.report(packet, unsupportedSecLevels, gosnmp.NoAuthNoPriv)
	case !e.authentic(message, usm.AuthenticationParameters):
		return nil, e.report(packet, wrongDigests, gosnmp.NoAuthNoPriv)
	case usm.AuthoritativeEngineBoots != e.boots || apart > window || apart < -window:
		return nil, e.report(packet, notInTimeWindows, gosnmp.AuthNoPriv)
	case err != nil:
		return nil, nil // decrypted with another key: garbage, which agents drop
	}
	return packet, nil
}

// authentic computes the digest over the message with the digest's place blanked.
func (e *engine) authentic(message []byte, digest string) bool {
	// How much of the hash is sent: RFC 3414, section 6.3.1, and RFC 7860, section 4.1.
	sent := map[gosnmp.SnmpV3AuthProtocol]int{
		gosnmp.SHA: 12, gosnmp.SHA224: 16, gosnmp.SHA256: 24, gosnmp.SHA384: 32, gosnmp.SHA512: 48,
	}[e.usm.AuthenticationProtocol]
	place := bytes.Index(message, []byte(digest))
	if len(digest) != sent || sent == 0 || place < 0 {
		return false
	}
	blanked := bytes.Clone(message)
	clear(blanked[place : place+sent])
	mac := hmac.New(e.usm.AuthenticationProtocol.HashType().New, e.usm.SecretKey)
	mac.Write(blanked)
	return hmac.Equal(mac.Sum(nil)[:sent], []byte(digest))
}

// report counts a fault of a message and tells its sender, if it wants to be told.
func (e *engine) report(about *gosnmp.SnmpPacket, oid string, level gosnmp.SnmpV3MsgFlags) []byte {
	e.counts[oid]++
	if about.MsgFlags&gosnmp.Reportable == 0 {
		return nil
	}
	report := &gosnmp.SnmpPacket{
		PDUType:   gosnmp.Report,
		RequestID: about.RequestID,
		Variables: []gosnmp.SnmpPDU{{Name: oid, Type: gosnmp.Counter32, Value: e.counts[oid]}},
	}
	return e.wrap(about, report, level)
}

// seal signs and encrypts a response to a request.
func (e *engine) seal(request, response *gosnmp.SnmpPacket) []byte {
	return e.wrap(request, response, gosnmp.AuthPriv)
}

func (e *engine) wrap(request, response *gosnmp.SnmpPacket, level gosnmp.SnmpV3MsgFlags) []byte {
	asked, ok := request.SecurityParameters.(*gosnmp.UsmSecurityParameters)
	usm, also := e.usm.Copy().(*gosnmp.UsmSecurityParameters)
	if !ok || !also {
		return nil
	}
	usm.UserName = asked.UserName // none in a discovery, and net-snmp drops a report to another user
	usm.AuthoritativeEngineBoots, usm.AuthoritativeEngineTime = e.boots, e.time()
	usm.PrivacyParameters = []byte(rand.Text()[:8]) // the salt
	response.Version = gosnmp.Version3
	response.MsgID = request.MsgID
	response.MsgFlags = level
	response.SecurityModel = gosnmp.UserSecurityModel
	response.SecurityParameters = usm
	response.ContextEngineID = e.usm.AuthoritativeEngineID
	response.ContextName = request.ContextName
	return wire.Marshal(response)
}
