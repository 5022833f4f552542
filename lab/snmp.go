//go:build linux

package lab

import "fmt"

// What the switch's SNMP agent wants to hear. It can be reached from the lab's own
// namespaces only.
const (
	SNMPUser    = "airlock"
	SNMPAuth    = "authpass123" // SHA-256
	SNMPPrivacy = "privpass123" // AES
)

// snmpConfiguration makes net-snmp serve the ports by IF-MIB and let the user set
// them.
func (h *Hospital) snmpConfiguration() string {
	return fmt.Sprintf(`agentAddress udp:%s:161
createUser %s SHA-256 %q AES %q
rwuser %s authPriv
sysName lab-switch
`, switchAddress, SNMPUser, SNMPAuth, SNMPPrivacy, SNMPUser)
}

func (h *Hospital) snmpCommand() []string {
	return []string{"snmpd", "-f", "-Lo", "-C", "-c", h.path("snmpd.conf"), "-p", h.path("snmp", "pid"), "-I", "-smux"}
}
