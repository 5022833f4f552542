//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// What the switch's SNMP agent wants to hear. It can be reached from the lab's own
// namespaces only.
const (
	SNMPUser    = "airlock"
	SNMPAuth    = "authpass123" // SHA-256
	SNMPPrivacy = "privpass123" // AES
)

// AgentMemory is for how long the agent tells how a port was, after somebody changed it
// otherwise than by SNMP.
const AgentMemory = 3 * time.Second

// Agent is what the switch's SNMP agent does with a command.
type Agent string

// The agents. All of them answer questions.
const (
	Obedient  Agent = "obedient"  // does what it is told
	ReadOnly  Agent = "read-only" // refuses
	Ignoring  Agent = "ignoring"  // says yes, does nothing, and tells how the port is
	Deceitful Agent = "deceitful" // says yes, does nothing, and tells of the vault's port what it was told
)

// SetAgent gives the switch another agent, as a change of its firmware does: the old
// one is killed, and the new one answers when SetAgent returns.
func (h *Hospital) SetAgent(ctx context.Context, a Agent) error {
	text, err := h.snmpConfiguration(a)
	if err != nil {
		return fmt.Errorf("lab: agent: %w", err)
	}
	if err := os.WriteFile(h.path("snmpd.conf"), []byte(text), 0o600); err != nil {
		return fmt.Errorf("lab: agent: %w", err)
	}
	return h.Restart(ctx, SNMP)
}

// ifAdminStatus is a column of IF-MIB.
const ifAdminStatus = ".1.3.6.1.2.1.2.2.1.7"

// ignoringColumn answers for ifAdminStatus by the protocol of net-snmp's pass: -g and
// -n give a row and the row after, and -s sets it, or says so.
const ignoringColumn = `#!/bin/sh
[ "$1" = -s ] && exit 0
column=` + ifAdminStatus + `
asked=${2#$column}
asked=${asked#.}
for port in $(cat /sys/class/net/*/ifindex | sort -n); do
	[ "$1" = -g ] && [ "$port" != "$asked" ] && continue
	[ "$1" = -n ] && [ "$port" -le "${asked:-0}" ] && continue
	for dir in /sys/class/net/*; do
		[ "$(cat "$dir/ifindex")" = "$port" ] || continue
		echo "$column.$port"
		echo integer
		echo $((2 - ($(cat "$dir/flags") & 1)))
	done
	exit 0
done
`

// linkTraps has net-snmp send linkUp and linkDown as an SNMPv3 user, for which it asks
// itself as another one.
const linkTraps = `createUser internal SHA-256 %[2]q
iquerySecName internal
rouser internal auth
trapsess -v 3 -u %[1]s -l authPriv -a SHA-256 -A %[2]s -x AES -X %[3]s %[4]s:162
notificationEvent linkUp .1.3.6.1.6.3.1.1.5.4 .1.3.6.1.2.1.2.2.1.1 .1.3.6.1.2.1.2.2.1.7 .1.3.6.1.2.1.2.2.1.8
notificationEvent linkDown .1.3.6.1.6.3.1.1.5.3 .1.3.6.1.2.1.2.2.1.1 .1.3.6.1.2.1.2.2.1.7 .1.3.6.1.2.1.2.2.1.8
monitor -S -r 1 -e linkUp "linkUp" .1.3.6.1.2.1.2.2.1.8 != 2
monitor -S -r 1 -e linkDown "linkDown" .1.3.6.1.2.1.2.2.1.8 == 2
`

// snmpConfiguration makes net-snmp serve the ports by IF-MIB and let the user set
// them, or seem to. A veth calls itself 10 Gbit/s; the vault's port is shaped, so that
// the agent is made to say what it really carries.
func (h *Hospital) snmpConfiguration(a Agent) (string, error) {
	port, err := h.look(VaultPort)
	if err != nil {
		return "", err
	}
	may, more := "rwuser", ""
	switch a {
	case ReadOnly:
		may = "rouser"
	case Ignoring:
		more = fmt.Sprintf("pass -p 10 %s /bin/sh %s\n", ifAdminStatus, h.path("snmp", "ignoring"))
	case Deceitful:
		admin := 2
		if port.up {
			admin = 1
		}
		more = fmt.Sprintf("override -rw %s.%d integer %d\n", ifAdminStatus, port.index, admin)
	}
	if h.Traps {
		more += fmt.Sprintf(linkTraps, SNMPUser, SNMPAuth, SNMPPrivacy, managerAddress)
	}
	return fmt.Sprintf(`agentAddress udp:%s:161
createUser %[2]s SHA-256 %[3]q AES %[4]q
%[6]s %[2]s authPriv
sysName lab-switch
override .1.3.6.1.2.1.2.2.1.5.%[5]d uinteger 1000000000
override .1.3.6.1.2.1.31.1.1.1.15.%[5]d uinteger 1000
%[7]s`, switchAddress, SNMPUser, SNMPAuth, SNMPPrivacy, port.index, may, more), nil
}

// look looks at a port of the switch once.
func (h *Hospital) look(name string) (_ sighting, err error) {
	fd, err := socketIn(h.Namespace(Switch))
	if err != nil {
		return sighting{}, err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	port := sighting{port: name}
	port.up, err = adminUp(fd, &port)
	return port, err
}

func (h *Hospital) snmpCommand() []string {
	return []string{"snmpd", "-f", "-Lo", "-C", "-c", h.path("snmpd.conf"), "-p", h.path("snmp", "pid"), "-I", "-smux"}
}

// promptTraps tells of each change of a link by a trap in SNMPv3, as switches do and
// net-snmp's agent does not: it would ask itself once a second at the most.
const promptTraps = `
ip -o monitor link | while read -r index rest; do
	case $index in *[!0-9:]*|"") continue ;; esac
	index=${index%:}
	case $rest in *[\<,]UP[,\>]*) trap=4 status=1 ;; *) trap=3 status=2 ;; esac
	snmptrap -v3 -e "$1" -l authPriv -u "$2" -a SHA-256 -A "$3" -x AES -X "$4" "$5" "" .1.3.6.1.6.3.1.1.5.$trap \
		.1.3.6.1.2.1.2.2.1.1.$index i $index .1.3.6.1.2.1.2.2.1.7.$index i $status .1.3.6.1.2.1.2.2.1.8.$index i $status
done`

// TrapsTo is where PromptTraps sends its traps, in SNMPv3 as SNMPUser.
const TrapsTo = managerAddress + ":162"

func (h *Hospital) promptTrapsCommand() []string {
	return []string{"sh", "-c", promptTraps, "traps", "0x80001f8803000a4e0001", SNMPUser, SNMPAuth, SNMPPrivacy, TrapsTo}
}

// TrapCommunity is what ForgeTrap calls itself by, in SNMPv2c.
const TrapCommunity = "everybody-on-the-line-knows"

// ForgeTrap tells a manager, from the switch's own address and in SNMPv2c, that a port came
// up, as anybody can who knows the community.
func (h *Hospital) ForgeTrap(ctx context.Context, port string) error {
	link, err := h.look(port)
	if err != nil {
		return err
	}
	index := strconv.FormatUint(uint64(link.index), 10)
	args := []string{"-v2c", "-c", TrapCommunity, TrapsTo, "", ".1.3.6.1.6.3.1.1.5.4"}
	for _, column := range []string{".1.3.6.1.2.1.2.2.1.1.", ".1.3.6.1.2.1.2.2.1.7.", ".1.3.6.1.2.1.2.2.1.8."} {
		value := "1"
		if column == ".1.3.6.1.2.1.2.2.1.1." {
			value = index
		}
		args = append(args, column+index, "i", value)
	}
	if out, err := h.Command(ctx, Switch, "snmptrap", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("lab: forge a trap: %w: %s", err, out)
	}
	return nil
}
