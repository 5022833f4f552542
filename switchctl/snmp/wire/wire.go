// Package wire is what a sender and a receiver of SNMP messages, airlock's and the
// simulated switch, need beside gosnmp's own coding.
package wire

import "github.com/gosnmp/gosnmp"

// Marshal encodes a message; one that cannot be encoded is nil, and not sent.
func Marshal(packet *gosnmp.SnmpPacket) []byte {
	message, err := packet.MarshalMsg()
	if err != nil {
		return nil
	}
	return message
}

// Version reads the version from a message's first bytes: SEQUENCE, length, INTEGER of one
// byte.
func Version(message []byte) (gosnmp.SnmpVersion, bool) {
	if len(message) < 2 || message[0] != 0x30 {
		return 0, false
	}
	rest := message[2:]
	if message[1] > 0x80 { // the length takes more bytes
		rest = rest[min(int(message[1]&0x7f), len(rest)):]
	}
	if len(rest) < 3 || rest[0] != 2 || rest[1] != 1 {
		return 0, false
	}
	return gosnmp.SnmpVersion(rest[2]), true
}
