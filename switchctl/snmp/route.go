package snmp

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"airlock/switchctl"

	"github.com/gosnmp/gosnmp"
)

// Where a switch hears a station: IP-MIB (RFC 4293, the older tables, which every agent
// has), BRIDGE-MIB (RFC 4188), Q-BRIDGE-MIB (RFC 4363).
const (
	ipAdEntIfIndex          = ".1.3.6.1.2.1.4.20.1.2"
	ipNetToMediaPhysAddress = ".1.3.6.1.2.1.4.22.1.2"
	dot1dBasePortIfIndex    = ".1.3.6.1.2.1.17.1.4.1.2"
	dot1dTpFdbPort          = ".1.3.6.1.2.1.17.4.3.1.2"
	dot1qFdbDynamicCount    = ".1.3.6.1.2.1.17.7.1.2.1.1.2"
	dot1qTpFdbPort          = ".1.3.6.1.2.1.17.7.1.2.2.1.2"
)

// Route follows the session's own packets: the interface that has the switch's address,
// and where that is a bridge or a VLAN, the port at which its forwarding table has the
// station that sent them.
func (a *agent) Route(ctx context.Context) (switchctl.Route, error) {
	ours, theirs, err := a.ends()
	if err != nil {
		return switchctl.Route{}, err
	}
	holder, err := a.one(ctx, ipAdEntIfIndex+"."+theirs.String())
	if err != nil || holder == 0 {
		return switchctl.Route{}, err
	}
	r := switchctl.Route{Address: holder}
	mac, err := a.station(ctx, holder, ours)
	if err != nil || mac == "" {
		return r, err
	}
	r.Port, err = a.learned(ctx, mac)
	return r, err
}

// ends are the addresses between which the session runs.
func (a *agent) ends() (ours, theirs net.IP, err error) {
	a.mu.Lock()
	conn := a.link.Conn
	a.mu.Unlock()
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	remote, too := conn.RemoteAddr().(*net.UDPAddr)
	if !ok || !too || remote.IP.To4() == nil {
		return nil, nil, fmt.Errorf("switch %s: only an IPv4 address is found in its tables", a.config.Address)
	}
	return local.IP.To4(), remote.IP.To4(), nil
}

// station is the hardware address of a neighbour, as the index of a forwarding table has
// it: six numbers; "" if the switch has none, because a router lies between.
func (a *agent) station(ctx context.Context, holder int, ip net.IP) (string, error) {
	oid := fmt.Sprintf("%s.%d.%s", ipNetToMediaPhysAddress, holder, ip)
	values, err := a.get(ctx, "read its neighbours", []string{oid})
	if err != nil {
		return "", err
	}
	mac, _ := values[oid].Value.([]byte)
	if len(mac) != 6 {
		return "", nil
	}
	var numbers []string
	for _, b := range mac {
		numbers = append(numbers, strconv.Itoa(int(b)))
	}
	return strings.Join(numbers, "."), nil
}

// learned is the ifIndex of the port at which a forwarding table has a station; 0 if none
// has it.
func (a *agent) learned(ctx context.Context, mac string) (int, error) {
	port, err := a.one(ctx, dot1dTpFdbPort+"."+mac)
	if err != nil {
		return 0, err
	}
	if port == 0 {
		vlans, err := a.column(ctx, dot1qFdbDynamicCount)
		if err != nil {
			return 0, err
		}
		for _, vlan := range slices.Sorted(maps.Keys(vlans)) {
			if port, err = a.one(ctx, fmt.Sprintf("%s.%d.%s", dot1qTpFdbPort, vlan, mac)); err != nil || port != 0 {
				break
			}
		}
		if err != nil {
			return 0, err
		}
	}
	if port == 0 {
		return 0, nil
	}
	return a.one(ctx, dot1dBasePortIfIndex+"."+strconv.Itoa(port))
}

// one is a single number, 0 where the agent has none.
func (a *agent) one(ctx context.Context, oid string) (int, error) {
	values, err := a.get(ctx, "read "+oid, []string{oid})
	if err != nil {
		return 0, err
	}
	if v := values[oid]; v.Type == gosnmp.NoSuchInstance || v.Type == gosnmp.NoSuchObject {
		return 0, nil
	}
	n, _ := number(values[oid])
	return int(n), nil
}
