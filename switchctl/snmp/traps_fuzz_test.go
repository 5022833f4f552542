package snmp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"

	"airlock/switchctl/snmp/wire"
)

// Whatever comes, nothing is taken that was not made with a sender's credentials, and
// the listener lives on.
func FuzzTraps(f *testing.F) {
	user := Config{User: "airlock", Auth: "SHA-256", AuthPassword: "authpass123", Privacy: "AES", PrivacyPassword: "privpass123"}
	sender := func(c Config) Sender { return Sender{Switch: "core", From: "192.0.2.1", Config: c} }
	l, err := ListenTraps(f.Context(), TrapConfig{Listen: "127.0.0.1:0", Engine: "test", Senders: []Sender{
		sender(user), sender(Config{Version: "2c", Community: "s3cret-community"}),
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := l.conn.Close(); err != nil {
			f.Error(err)
		}
	})
	f.Add([]byte{0x30, 0x82})
	for _, seed := range strangers(f, user) {
		f.Add(seed)
	}
	from := netip.MustParseAddr("192.0.2.1")
	f.Fuzz(func(t *testing.T, message []byte) {
		if h := l.open(message, l.senders[from], time.Now()); h.packet != nil {
			t.Errorf("taken was %+v", h.packet)
		}
	})
}

// strangers are messages that are whole but for the sender's credentials.
func strangers(f *testing.F, user Config) [][]byte {
	variables := []gosnmp.SnmpPDU{{Name: snmpTrapOID, Type: gosnmp.ObjectIdentifier, Value: ".1.3.6.1.6.3.1.1.5.4"}}
	user.AuthPassword = "not-the-password"
	usm, err := user.usm()
	if err != nil {
		f.Fatal(err)
	}
	usm.AuthoritativeEngineID, usm.PrivacyParameters = "\x80\x00\x1f\x88\x04sender", []byte("saltsalt")
	if err := usm.InitSecurityKeys(); err != nil {
		f.Fatal(err)
	}
	var messages [][]byte
	for _, p := range []*gosnmp.SnmpPacket{
		{Version: gosnmp.Version2c, Community: "public", PDUType: gosnmp.SNMPv2Trap, Variables: variables},
		{Version: gosnmp.Version3, MsgFlags: gosnmp.AuthPriv, SecurityModel: gosnmp.UserSecurityModel, SecurityParameters: usm, PDUType: gosnmp.SNMPv2Trap, Variables: variables},
		{Version: gosnmp.Version3, MsgFlags: gosnmp.Reportable, SecurityModel: gosnmp.UserSecurityModel, SecurityParameters: &gosnmp.UsmSecurityParameters{}, PDUType: gosnmp.GetRequest},
	} {
		message := wire.Marshal(p)
		if message == nil {
			f.Fatal("a seed cannot be encoded")
		}
		messages = append(messages, message)
	}
	return messages
}
