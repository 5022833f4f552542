package doors

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// hopTo asks the kernel how it would send to a host. A link that knows no neighbours has
// no gateway that could be asked.
func hopTo(ctx context.Context, host string) (hop, error) {
	to, err := resolve(ctx, host)
	if err != nil {
		return hop{}, err
	}
	routes, err := netlink.RouteGet(to.AsSlice())
	if err != nil || len(routes) == 0 {
		return hop{}, fmt.Errorf("route to %s: %w", to, err)
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return hop{}, fmt.Errorf("route to %s: %w", to, err)
	}
	first := hop{link: link.Attrs().Name, up: link.Attrs().RawFlags&unix.IFF_LOWER_UP != 0}
	if link.Attrs().RawFlags&(unix.IFF_NOARP|unix.IFF_LOOPBACK) != 0 {
		return first, nil
	}
	if gateway, ok := netip.AddrFromSlice(routes[0].Gw); ok {
		first.gateway = gateway.Unmap()
		return first, nil
	}
	first.gateway = gatewayOn(link)
	return first, nil
}

// gatewayOn is the default gateway that stands on a link; the zero Addr if none does.
func gatewayOn(link netlink.Link) netip.Addr {
	all, err := netlink.RouteList(link, netlink.FAMILY_ALL)
	if err != nil {
		return netip.Addr{}
	}
	for _, r := range all {
		if r.Dst != nil {
			if ones, _ := r.Dst.Mask.Size(); ones > 0 {
				continue
			}
		}
		if gateway, ok := netip.AddrFromSlice(r.Gw); ok {
			return gateway.Unmap()
		}
	}
	return netip.Addr{}
}

// gatewayAnswers reports whether a neighbour is there: it takes or refuses a connection, or
// tells its network card's address. Without the right to forget what the kernel knows of
// it, one that the kernel has not yet found gone counts as there.
func gatewayAnswers(ctx context.Context, gateway netip.Addr) bool {
	for range probes {
		_ = forgetNeighbour(gateway)
		if answersOnce(ctx, netip.AddrPortFrom(gateway, discardPort).String()) || isNeighbour(gateway) {
			return true
		}
	}
	return false
}

// discardPort is one at which hardly anything listens: what counts is the refusal.
const discardPort = 9

func isNeighbour(a netip.Addr) bool {
	all, err := netlink.NeighList(0, netlink.FAMILY_ALL)
	if err != nil {
		return false
	}
	for _, n := range all {
		if at, ok := netip.AddrFromSlice(n.IP); ok && at.Unmap() == a && n.State&(netlink.NUD_FAILED|netlink.NUD_INCOMPLETE|netlink.NUD_NONE) == 0 {
			return true
		}
	}
	return false
}
