package doors

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// forgetNeighbour has the kernel forget whose network card has an address, so that the
// next packet to it asks anew. Otherwise the kernel, whose question was lost while the
// port was down, repeats it once a second only; and the vault's kernel, which learns our
// address by that question, would hold its answers back for as long. What an
// administrator has written there stays. Without CAP_NET_ADMIN nothing is forgotten.
func forgetNeighbour(of netip.Addr) error {
	all, err := netlink.NeighList(0, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("read the table of neighbours: %w", err)
	}
	for _, n := range all {
		if a, ok := netip.AddrFromSlice(n.IP); !ok || a.Unmap() != of.Unmap() || n.State&(netlink.NUD_PERMANENT|netlink.NUD_NOARP) != 0 {
			continue
		}
		if err := netlink.NeighDel(&n); err != nil {
			return fmt.Errorf("forget neighbour %s: %w", of, err)
		}
	}
	return nil
}
