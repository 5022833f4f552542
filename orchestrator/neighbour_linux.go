package orchestrator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// forgetNeighbour has the kernel forget whose network card has an address, so that the
// next packet to it asks anew. Otherwise the kernel, whose question was lost while the
// port was down, repeats it once a second only; and the vault's kernel, which learns our
// address by that question, would hold its answers back for as long. What an
// administrator has written there stays. Without CAP_NET_ADMIN nothing is forgotten.
func forgetNeighbour(of netip.Addr) error {
	table, err := syscall.NetlinkRIB(unix.RTM_GETNEIGH, unix.AF_UNSPEC)
	if err != nil {
		return fmt.Errorf("read the table of neighbours: %w", err)
	}
	messages, err := syscall.ParseNetlinkMessage(table)
	if err != nil {
		return fmt.Errorf("read the table of neighbours: %w", err)
	}
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWNEIGH || len(m.Data) < unix.SizeofNdMsg {
			continue
		}
		state := binary.NativeEndian.Uint16(m.Data[8:])
		if neighbourAddress(m.Data[unix.SizeofNdMsg:]) == of && state&(unix.NUD_PERMANENT|unix.NUD_NOARP) == 0 {
			return deleteNeighbour(m.Data[:unix.SizeofNdMsg], of)
		}
	}
	return nil
}

// neighbourAddress finds the attribute NDA_DST (rtnetlink(7)).
func neighbourAddress(attributes []byte) netip.Addr {
	for len(attributes) >= unix.SizeofRtAttr {
		length := int(binary.NativeEndian.Uint16(attributes))
		if length < unix.SizeofRtAttr || length > len(attributes) {
			break
		}
		if binary.NativeEndian.Uint16(attributes[2:]) == unix.NDA_DST {
			a, _ := netip.AddrFromSlice(attributes[unix.SizeofRtAttr:length])
			return a
		}
		attributes = attributes[min(len(attributes), (length+3)&^3):]
	}
	return netip.Addr{}
}

// deleteNeighbour deletes the entry that an ndmsg is of, and does not wait for an answer.
func deleteNeighbour(ndmsg []byte, of netip.Addr) (err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("forget neighbour %s: %w", of, err)
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	address := of.AsSlice()
	length := unix.SizeofNlMsghdr + unix.SizeofNdMsg + unix.SizeofRtAttr + len(address)
	m := binary.NativeEndian.AppendUint32(nil, uint32(length))
	m = binary.NativeEndian.AppendUint16(m, unix.RTM_DELNEIGH)
	m = binary.NativeEndian.AppendUint16(m, unix.NLM_F_REQUEST)
	m = append(m, make([]byte, 8)...) // sequence and sender, which nobody asks for
	m = append(m, ndmsg...)
	m = binary.NativeEndian.AppendUint16(m, uint16(unix.SizeofRtAttr+len(address)))
	m = binary.NativeEndian.AppendUint16(m, unix.NDA_DST)
	m = append(m, address...)
	if err := unix.Sendto(fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("forget neighbour %s: %w", of, err)
	}
	return nil
}
