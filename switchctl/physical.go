package switchctl

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Physical reports whether the row, judged by itself, is a physical Ethernet port.
func (r Row) Physical() bool { return notPhysical(r, nil) == "" }

// notPhysical says why a row of a table cannot be a door, or "" for a physical Ethernet
// port.
//
// ifType decides, by a list of what is allowed: a type that nobody thought of is
// refused. Some agents call everything ethernetCsmacd (6), VLANs and aggregates too,
// so the name has a veto as well. A shut aggregate leaves its members forwarding,
// which is why one must never be taken for a port.
func notPhysical(r Row, table []Row) string {
	switch r.Type {
	case 6, 7, 26, 62, 69, 117: // ethernetCsmacd, iso88023Csmacd, ethernet3Mbit, fastEther, fastEtherFX, gigabitEthernet
	case 0:
		return "has no ifType, so nothing says that it is a port"
	default:
		return fmt.Sprintf("has ifType %d%s, not a physical Ethernet type", r.Type, typeName(r.Type))
	}
	for _, name := range r.names() {
		if kind := kindByName(name); kind != "" {
			return fmt.Sprintf("claims to be Ethernet (ifType %d), but %q names %s", r.Type, name, kind)
		}
	}
	if parent, ok := r.partOf(table); ok {
		return fmt.Sprintf("claims to be Ethernet (ifType %d), but is a sub-interface of %s", r.Type, parent.brief())
	}
	return ""
}

// names are those texts of r that name it, and so may have a veto.
//
// ifName is one. ifDescr is free text (RFC 2863: the maker, the product, the version;
// on AlliedWare Plus what the user typed), in which slashes, dots and the word VLAN say
// nothing. It is a name where it is the long form of ifName, and where ifName is of
// figures alone and ifDescr is one word, or is the title that makers give to what is no
// port. Without ifName it is all that there is. ifAlias is the user's, and never asked.
func (r Row) names() []string {
	lettered := strings.IndexFunc(r.Name, unicode.IsLetter) >= 0
	switch text := r.Description; {
	case r.Name == "":
		return []string{text, afterComma(text)}
	case lettered && longForm(r.Name, text), !lettered && (oneWord(text) || title.MatchString(strings.ToLower(text))):
		return []string{r.Name, text}
	case !lettered:
		return []string{r.Name, afterComma(text)}
	}
	return []string{r.Name}
}

// afterComma is the name at the end of a text such as "Maker, Series, Vlanif10", or "".
func afterComma(text string) string {
	if comma := strings.LastIndexByte(text, ','); comma >= 0 {
		return strings.TrimSpace(text[comma+1:])
	}
	return ""
}

func oneWord(text string) bool { return len(strings.Fields(text)) == 1 }

// longForm tells whether long is name with its letters written out: Gi1/0/1 is
// GigabitEthernet1/0/1. A word that the user put there is not.
func longForm(name, long string) bool {
	short, number := cutNumber(strings.ToLower(name))
	letters, same := cutNumber(strings.ToLower(long))
	return oneWord(long) && number != "" && number == same && strings.HasPrefix(letters, short)
}

func cutNumber(name string) (stem, number string) {
	if digit := strings.IndexAny(name, "0123456789"); digit >= 0 {
		return name[:digit], name[digit:]
	}
	return name, ""
}

// partOf finds the row whose name, a dot and a number are r's: eth1 of eth1.100. The
// port1.0.1 of a stack and the ge.1.1 of a chassis have none.
func (r Row) partOf(table []Row) (Row, bool) {
	name := r.name()
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || strings.Trim(name[dot+1:], "0123456789") != "" || strings.IndexFunc(name, unicode.IsLetter) < 0 {
		return Row{}, false
	}
	i := slices.IndexFunc(table, func(other Row) bool { return other.name() == name[:dot] })
	if i < 0 {
		return Row{}, false
	}
	return table[i], true
}

func (r Row) name() string {
	if r.Name == "" {
		return r.Description
	}
	return r.Name
}

var (
	// title is an ifDescr that is only the name of a kind and where it is: "Link
	// Aggregate 3", "CPU Interface for Unit: 1 Slot: 0 Port: 1", "OS6900 VFL 0/1/2".
	title = regexp.MustCompile(`^(l[23] ?)?[a-z][a-z -]*[:.]?( (for|on|of|unit|slot|port|number|ref|size|id|interface)\b:?| ?[0-9][0-9/:.,-]*)*$` +
		`|^802\.1q encapsulation tag [0-9]+$| vfl [0-9]+(/[0-9]+)*$`)

	// part is a name with a number after a dot that counts units of one port. Only what
	// looks like a name is asked: letters, perhaps a space, and a number.
	part = regexp.MustCompile(`^([a-z][a-z-]* )?[^ ]*/[0-9][^ /]*\.[^ /]+$` + // ge-0/0/1.0
		`|^(eth[a-z]*|swp|en[opsx][a-z0-9]*) ?[0-9]+\.[0-9]+$` + // eth1.100; Siemens' P1.1 is a port
		`|--(un)?controlled$|-mpls( layer)?$`)

	// unit is a text that counts the units of a stack, each with its ports.
	unit = regexp.MustCompile(`^(switch|stack|bridge) ?[0-9]+\W.*[a-z]`)
)

// kindByName knows the names that makers give to what is not a door.
// The names were seen in recorded tables of switches and in makers' manuals.
func kindByName(name string) string {
	name = strings.ToLower(strings.Join(strings.Fields(name), " "))
	switch {
	case unit.MatchString(name):
		return ""
	case part.MatchString(name):
		return "a sub-interface"
	case strings.HasPrefix(name, "802.1q "):
		return "a VLAN interface"
	case strings.Contains(name, " vfl ") && title.MatchString(name):
		return "a stack port"
	case strings.Contains(name, ":mgmt-"):
		return "the management port, by which the switch is reached"
	}
	if layer, rest, ok := strings.Cut(name, "vlan"); ok && (layer == "l2" || layer == "l3" || layer == "l3 ") {
		name = "vlan" + rest
	}
	stem, number := cutNumber(name)
	if stem == "trunk" && number == "" { // the word is also said of a port that carries several VLANs
		return ""
	}
	return kindByStem(strings.TrimRight(stem, " -_.:#("))
}

// kindByStem knows a kind by what stands before the first digit, in lower case.
func kindByStem(stem string) string {
	switch stem {
	case "vlan", "vl", "vlanif", "vlan-if", "vlan-interface", "vlan-int", "vlan id", "vlan interface", "unrouted vlan",
		"interface vlan", "default_vlan", "ve", "irb", "bvi", "bdi", "svi", "swif", "switch", "rif", "vsi-interface", "ip interface":
		return "a VLAN interface"
	case "port-channel", "portchannel", "port channel", "po", "lag", "lagg", "ae", "trk", "trunk", "ch", "agg", "bond", "team",
		"eth-trunk", "bundle-ether", "bridge-aggregation", "route-aggregation", "bagg", "ragg", "link aggregate",
		"link aggregation", "link-aggregation", "linkagg", "aggregate", "aggregateport", "ag", "smartgroup", "sa", "mlt",
		"dynamic aggregate number", "static aggregate number", "omnichannel aggregate number", "bonding", "lacp", "mlag":
		return "an aggregate"
	case "stack-port", "stackport", "stack port", "stack", "stacksub-st", "stack aggregated link", "stacking port", "stk",
		"vfl", "vsl", "irf-port", "irf":
		return "a stack port"
	case "lo", "loop", "loopback", "inloopback", "loopback interface", "lpbk", "dummy", "null", "nu":
		return "a loopback or null interface"
	case "br", "br-lan", "bridge", "docker", "virbr", "vmbr", "internal bridge", "ovs-system":
		return "a bridge"
	case "tunnel", "tun", "tu", "tap", "gre", "gretap", "erspan", "vxlan", "nve", "vtep", "vti", "ipip", "sit", "wg",
		"tunnel interface", "virtual-tunnel", "ovpn":
		return "a tunnel"
	case "veth", "vethernet", "virtual-ethernet", "virtualportgroup", "virtual-template", "virtual-access", "macvlan", "ifb":
		return "a virtual interface"
	case "wlan", "wlan-ess", "wlan-dbss", "wwan", "modem", "bluetooth", "vqos", "dot11radio", "radio", "cellular":
		return "no wired port"
	case "console", "cpu", "cpu interface", "cpu interface for unit", "cpu interface for slot", "cpu port", "controlethernet",
		"appgigabitethernet", "apptengigabitethernet", "npu", "npi", "cmif", "enif", "host", "eobc", "backplane",
		"internal interface", "internal-data", "internal-control", "embedded-service-engine":
		return "an inner interface of the switch"
	case "mgmt", "mgmteth", "mgt", "mg", "management", "managementethernet", "ethernetmanagement", "management port",
		"mgmt port", "management interface", "out of band management port", "out-of-band", "oob", "oobm", "meth",
		"m-gigabitethernet", "m-ethernet", "ma", "me", "fxp", "vme", "emp", "emp-cmma-chas", "mgmt_eth", "serviceport",
		"service port", "outband", "inband", "inbandethernet":
		return "the management port, by which the switch is reached"
	}
	return ""
}

// TypeName is the name of an ifType in IANAifType-MIB, "" for one that switches do not have.
func TypeName(t int) string {
	names := map[int]string{
		1: "other", 6: "ethernetCsmacd", 24: "softwareLoopback", 33: "rs232", 53: "propVirtual", 54: "propMultiplexor", 56: "fibreChannel",
		71: "ieee80211", 131: "tunnel", 135: "l2vlan", 136: "l3ipvlan", 142: "ipForward", 161: "ieee8023adLag", 209: "bridge",
	}
	return names[t]
}

func typeName(t int) string {
	if name := TypeName(t); name != "" {
		return " (" + name + ")"
	}
	return ""
}
