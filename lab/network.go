//go:build linux

package lab

import (
	"context"
	"fmt"
	"strings"
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
	return h.SetVaultRate(ctx, 1000)
}

// SetVaultRate has the vault's port carry so many Mbit/s each way.
func (h *Hospital) SetVaultRate(ctx context.Context, mbits int) error {
	shape := fmt.Sprintf("root tbf rate %dmbit burst 1m latency 50ms", mbits)
	return h.each(ctx, "tc", // a qdisc shapes only what its own end sends
		"-n "+h.Namespace(Switch)+" qdisc replace dev "+VaultPort+" "+shape,
		"-n "+h.Namespace(Vault)+" qdisc replace dev eth0 "+shape)
}

// SlowManagement makes of the management network a line of so many kbit/s each way,
// which loses what waits for longer than two seconds; 0 makes it fast again.
func (h *Hospital) SlowManagement(ctx context.Context, kbits int) error {
	for _, end := range []string{h.Namespace(Switch) + " qdisc %s dev mgmt0 root", h.Namespace(NAS) + " qdisc %s dev mgmt root"} {
		line := "-n " + fmt.Sprintf(end, "replace") + fmt.Sprintf(" tbf rate %dkbit burst 2k latency 2s", kbits)
		if kbits == 0 {
			line = "-n " + fmt.Sprintf(end, "del")
		}
		if err := h.each(ctx, "tc", line); err != nil {
			return err
		}
	}
	return nil
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
