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
// them. A veth calls itself 10 Gbit/s; the vault's port is shaped, so that the agent is
// made to say what it really carries.
func (h *Hospital) snmpConfiguration() (string, error) {
	index, err := h.portIndex(VaultPort)
	return fmt.Sprintf(`agentAddress udp:%s:161
createUser %[2]s SHA-256 %[3]q AES %[4]q
rwuser %[2]s authPriv
sysName lab-switch
override .1.3.6.1.2.1.2.2.1.5.%[5]d uinteger 1000000000
override .1.3.6.1.2.1.31.1.1.1.15.%[5]d uinteger 1000
`, switchAddress, SNMPUser, SNMPAuth, SNMPPrivacy, index), err
}

func (h *Hospital) snmpCommand() []string {
	return []string{"snmpd", "-f", "-Lo", "-C", "-c", h.path("snmpd.conf"), "-p", h.path("snmp", "pid"), "-I", "-smux"}
}
