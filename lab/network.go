//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// The addresses are the same in every hospital: its namespaces are its own.
const (
	departmentsAddress = "10.77.0.11"
	nasAddress         = "10.77.0.12"
	vaultAddress       = "10.77.0.13"
	switchAddress      = "10.78.0.1"
	managerAddress     = "10.78.0.2"
)

// The switch's ports.
const (
	DepartmentsPort = "p1"
	NASPort         = "p2"
	VaultPort       = "p3"
)

// plug makes the hosts and the cables between them and the switch.
func (h *Hospital) plug(ctx context.Context) error {
	for _, host := range hosts {
		if err := h.each(ctx, "ip", "netns add "+h.Namespace(host), "-n "+h.Namespace(host)+" link set lo up"); err != nil {
			return err
		}
	}
	sw, nas := h.Namespace(Switch), h.Namespace(NAS)
	if err := h.each(ctx, "ip", "-n "+sw+" link add br0 type bridge", "-n "+sw+" link set br0 up"); err != nil {
		return err
	}
	for _, c := range []struct {
		port    string
		host    Host
		address string
	}{{DepartmentsPort, Departments, departmentsAddress}, {NASPort, NAS, nasAddress}, {VaultPort, Vault, vaultAddress}} {
		n := h.Namespace(c.host)
		err := h.each(ctx, "ip",
			"link add "+c.port+" netns "+sw+" type veth peer name eth0 netns "+n,
			"-n "+sw+" link set "+c.port+" master br0 up",
			"-n "+n+" addr add "+c.address+"/24 dev eth0",
			"-n "+n+" link set eth0 up")
		if err != nil {
			return err
		}
	}
	if err := h.each(ctx, "ip",
		"link add mgmt0 netns "+sw+" type veth peer name mgmt netns "+nas,
		"-n "+sw+" addr add "+switchAddress+"/24 dev mgmt0",
		"-n "+nas+" addr add "+managerAddress+"/24 dev mgmt",
		"-n "+sw+" link set mgmt0 up",
		"-n "+nas+" link set mgmt up",
		"-n "+sw+" link set "+VaultPort+" down"); err != nil {
		return err
	}
	// A gigabit each way: a qdisc shapes only what its own end sends.
	return h.each(ctx, "tc",
		"-n "+sw+" qdisc add dev "+VaultPort+" root tbf rate 1gbit burst 1m latency 50ms",
		"-n "+h.Namespace(Vault)+" qdisc add dev eth0 root tbf rate 1gbit burst 1m latency 50ms")
}

// each runs a program once for each line of arguments.
func (h *Hospital) each(ctx context.Context, program string, lines ...string) error {
	for _, line := range lines {
		if err := run(ctx, program, strings.Fields(line)...); err != nil {
			return err
		}
	}
	return nil
}

// SetPort takes a port of the switch up or down as another administrator would,
// without asking anybody.
func (h *Hospital) SetPort(ctx context.Context, port string, up bool) error {
	return h.setLink(ctx, Switch, port, up)
}

// portIndex is a port's ifIndex.
func (h *Hospital) portIndex(port string) (_ uint32, err error) {
	fd, err := socketIn(h.Namespace(Switch))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	request, err := unix.NewIfreq(port)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		return 0, fmt.Errorf("index of %s: %w", port, err)
	}
	return request.Uint32(), nil
}

// RenamePort gives a port another name, as a switch does that lost a stack member or
// was replaced. It keeps its index and whether it is up.
func (h *Hospital) RenamePort(ctx context.Context, port, name string) error {
	s, err := h.Sampler(port)
	if err != nil {
		return err
	}
	seen := s.Stop()
	if len(seen) == 0 {
		return fmt.Errorf("lab: rename %s: the switch has no such port", port)
	}
	sw := h.Namespace(Switch)
	lines := []string{"-n " + sw + " link set " + port + " down", "-n " + sw + " link set " + port + " name " + name}
	if seen[len(seen)-1].Up {
		lines = append(lines, "-n "+sw+" link set "+name+" up")
	}
	return h.each(ctx, "ip", lines...)
}

// SetCable pulls a host's cable, or plugs it in again. From then on nothing answers,
// and nothing says so. The switch's own cable is the one to the management network.
func (h *Hospital) SetCable(ctx context.Context, host Host, plugged bool) error {
	if host == Switch {
		return h.setLink(ctx, NAS, "mgmt", plugged)
	}
	return h.setLink(ctx, host, "eth0", plugged)
}

func (h *Hospital) setLink(ctx context.Context, host Host, link string, up bool) error {
	state := map[bool]string{true: "up", false: "down"}[up]
	return run(ctx, "ip", "-n", h.Namespace(host), "link", "set", link, state)
}
