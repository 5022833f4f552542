package snmp

import (
	"bytes"
	"context"
	"encoding/hex"
	"net"

	"airlock/switchctl"

	"github.com/gosnmp/gosnmp"
)

// What tells one device from another: SNMPv2-MIB, BRIDGE-MIB (RFC 4188), SNMP-FRAMEWORK-MIB
// (RFC 3411).
const (
	sysName                = ".1.3.6.1.2.1.1.5.0"
	dot1dBaseBridgeAddress = ".1.3.6.1.2.1.17.1.1.0"
	snmpEngineID           = ".1.3.6.1.6.3.10.2.1.1.0"
)

// Identity takes one round trip. The engine ID of a v3 session is the one that it
// discovered, and with which it authenticates.
func (a *agent) Identity(ctx context.Context) (switchctl.Identity, error) {
	var discovered string
	oids := []string{sysName, dot1dBaseBridgeAddress, snmpEngineID}
	answer, err := a.exchange(ctx, func(g *gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error) {
		packet, err := g.Get(oids)
		if usm, ok := g.SecurityParameters.(*gosnmp.UsmSecurityParameters); ok {
			discovered = usm.AuthoritativeEngineID
		}
		return packet, err
	})
	if err != nil {
		return switchctl.Identity{}, err
	}
	i := switchctl.Identity{Address: a.config.Address, Engine: hex.EncodeToString([]byte(discovered))}
	for _, v := range answer.Variables { // none of them, where the account may not see one
		raw, _ := v.Value.([]byte)
		switch {
		case v.Name == sysName:
			i.Name = text(v)
		case v.Name == dot1dBaseBridgeAddress && len(raw) == 6 && !bytes.Equal(raw, make([]byte, 6)):
			i.MAC = net.HardwareAddr(raw).String()
		case v.Name == snmpEngineID && i.Engine == "":
			i.Engine = hex.EncodeToString(raw)
		}
	}
	return i, nil
}
