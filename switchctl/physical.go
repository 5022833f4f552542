package switchctl

import (
	"fmt"
	"strings"
	"unicode"
)

// notPhysical says why a row cannot be a door, or "" for a physical Ethernet port.
//
// ifType decides, by a list of what is allowed: a type that nobody thought of is
// refused. Some agents call everything ethernetCsmacd (6), VLANs and aggregates too,
// so the name has a veto as well. A shut aggregate leaves its members forwarding,
// which is why one must never be taken for a port.
func notPhysical(r Row) string {
	switch r.Type {
	case 6, 7, 26, 62, 69, 117: // ethernetCsmacd, iso88023Csmacd, ethernet3Mbit, fastEther, fastEtherFX, gigabitEthernet
	case 0:
		return "has no ifType, so nothing says that it is a port"
	default:
		return fmt.Sprintf("has ifType %d%s, not a physical Ethernet type", r.Type, typeName(r.Type))
	}
	// A user may put any text in ifDescr (on AlliedWare Plus it holds the port's
	// description), so it is asked only where the name says nothing.
	name := r.Name
	if strings.IndexFunc(name, unicode.IsLetter) < 0 {
		name = r.Description
	}
	if kind := kindByName(name); kind != "" {
		return fmt.Sprintf("claims to be Ethernet (ifType %d), but %q names %s", r.Type, name, kind)
	}
	return ""
}

// kindByName knows the names that makers give to what is not a door.
// The names were seen in recorded tables of switches.
func kindByName(name string) string {
	name = strings.ToLower(name)
	stem := name
	if digit := strings.IndexAny(name, "0123456789"); digit >= 0 {
		stem = name[:digit]
	}
	switch strings.TrimRight(stem, " -_.") {
	case "vlan", "vl", "vlanif", "vlan-if", "vlan-interface", "l3vlan", "ve", "irb", "bvi", "svi", "swif", "switch":
		return "a VLAN interface"
	case "port-channel", "portchannel", "po", "lag", "ae", "trk", "ch", "agg", "bond", "team", "eth-trunk",
		"bundle-ether", "bridge-aggregation", "route-aggregation", "link aggregate", "link aggregation":
		return "an aggregate"
	case "stack-port", "stackport", "stack", "stacksub-st", "stack aggregated link", "vfl", "irf-port":
		return "a stack port"
	case "lo", "loop", "loopback", "inloopback", "dummy", "null", "nu":
		return "a loopback or null interface"
	case "br", "br-lan", "bridge", "docker", "virbr":
		return "a bridge"
	case "tunnel", "tun", "tap", "gre", "gretap", "erspan", "vxlan", "ipip", "sit", "wg":
		return "a tunnel"
	case "wlan", "wlan-ess", "wlan-dbss", "wwan", "modem", "bluetooth", "vqos":
		return "no wired port"
	case "console", "cpu", "cpu interface:", "controlethernet", "appgigabitethernet", "npu":
		return "an inner interface of the switch"
	case "mgmt", "mgmteth", "mgt", "mg", "management", "managementethernet", "ethernetmanagement", "management port",
		"oob", "oobm", "meth", "m-gigabitethernet", "ma", "me", "fxp", "vme", "emp-cmma-chas", "mgmt_eth":
		return "the management port, by which the switch is reached"
	}
	switch slash := strings.LastIndexByte(name, '/'); {
	case strings.Contains(name, " vfl "):
		return "a stack port"
	case slash > 0 && strings.Contains(name[slash:], "."), strings.HasPrefix(name, "eth") && strings.Count(name, ".") == 1:
		return "a sub-interface"
	}
	return ""
}

// typeName is the name of an ifType in IANAifType-MIB, for those that switches have.
func typeName(t int) string {
	names := map[int]string{
		1: "other", 24: "softwareLoopback", 33: "rs232", 53: "propVirtual", 54: "propMultiplexor", 56: "fibreChannel",
		71: "ieee80211", 131: "tunnel", 135: "l2vlan", 136: "l3ipvlan", 142: "ipForward", 161: "ieee8023adLag", 209: "bridge",
	}
	if name, known := names[t]; known {
		return " (" + name + ")"
	}
	return ""
}
