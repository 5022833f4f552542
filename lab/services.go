//go:build linux

package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// Service is a server of the hospital that can be stopped and started by itself.
type Service string

// The services. PromptTraps tells the NAS of every port of the switch the moment it goes
// up or down; it has to be started. The last two are there with Options.CLI only.
const (
	SNMP           Service = "snmpd"
	DepartmentsSMB Service = "smbd"
	DepartmentsSSH Service = "sshd-departments"
	VaultSSH       Service = "sshd-vault"
	PromptTraps    Service = "snmptrap"
	Zebra          Service = "zebra"
	SwitchSSH      Service = "sshd-switch"
)

// service says how a service is run: in the foreground, so that its end is seen.
type service struct {
	name     Service
	host     Host
	programs []string // what its processes' programs begin with
	command  []string
	ready    func(pid int) (bool, error)
}

func (h *Hospital) services() []service {
	all := []service{
		{SNMP, Switch, []string{"snmpd"}, h.snmpCommand(), listens("udp", switchAddress+":161")},
		{DepartmentsSMB, Departments, []string{"smbd", "samba", "rpcd_"}, h.smbCommand(), listens("tcp", departmentsAddress+":445")},
		{DepartmentsSSH, Departments, []string{"sshd"}, h.sshCommand(DepartmentsSSH), listens("tcp", departmentsAddress+":22")},
		{VaultSSH, Vault, []string{"sshd"}, h.sshCommand(VaultSSH), listens("tcp", vaultAddress+":22")},
		{PromptTraps, Switch, []string{"dash", "bash", "ip", "snmptrap"}, h.promptTrapsCommand(), func(int) (bool, error) { return true, nil }},
	}
	if h.CLI {
		all = append(all,
			service{Zebra, Switch, []string{"zebra"}, h.zebraCommand(), h.zebraReady},
			service{SwitchSSH, Switch, []string{"sshd", "vtysh"}, h.sshCommand(SwitchSSH), listens("tcp", switchAddress+":22")})
	}
	return all
}

func (h *Hospital) startAll(ctx context.Context) error {
	for _, s := range h.services() {
		if s.name == PromptTraps {
			continue
		}
		if err := h.start(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// Start starts a service that was stopped and returns once it answers.
func (h *Hospital) Start(ctx context.Context, name Service) error {
	s, err := h.service(name)
	if err != nil {
		return err
	}
	return h.start(ctx, s)
}

// Stop kills a service, as a power cut would, with every connection it has, and
// returns when it is gone. Stopping what is stopped does nothing.
func (h *Hospital) Stop(ctx context.Context, name Service) error {
	s, err := h.service(name)
	if err != nil {
		return err
	}
	return kill(ctx, h.Namespace(s.host), func(p process) bool {
		return slices.ContainsFunc(s.programs, func(prefix string) bool { return strings.HasPrefix(p.exe, prefix) })
	})
}

// Restart is Stop and Start.
func (h *Hospital) Restart(ctx context.Context, name Service) error {
	if err := h.Stop(ctx, name); err != nil {
		return err
	}
	return h.Start(ctx, name)
}

func (h *Hospital) service(name Service) (service, error) {
	all := h.services()
	i := slices.IndexFunc(all, func(s service) bool { return s.name == name })
	if i < 0 {
		return service{}, fmt.Errorf("lab: this hospital has no service %s", name)
	}
	return all[i], nil
}

// ownRun gives a server a /run of its own, in a mount namespace that ip(8) makes for
// it, so that it neither finds nor leaves a socket or a lock of the machine's.
const ownRun = `mount -t tmpfs -o size=16m lab /run && mkdir /run/sshd && exec "$@"`

// start runs a service beyond the life of ctx and of this process.
func (h *Hospital) start(ctx context.Context, s service) (err error) {
	program, err := locate(s.command[0])
	if err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	log, err := os.OpenFile(h.log(s.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	args := []string{"netns", "exec", h.Namespace(s.host), "sh", "-c", ownRun, "lab", program}
	cmd := exec.Command("ip", append(args, s.command[1:]...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "MIBS=", "SNMP_PERSISTENT_DIR="+h.path("snmp"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a ^C at the terminal is not for it
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err = poll(ctx, string(s.name)+" to answer", func() (bool, error) {
		select {
		case err := <-ended:
			return false, fmt.Errorf("it ended at once (%v)", err)
		default:
			return s.ready(cmd.Process.Pid)
		}
	})
	if err != nil {
		return fmt.Errorf("start %s: %w\n%s", s.name, err, h.lastWords(s.name))
	}
	return nil
}

func (h *Hospital) log(name Service) string { return h.path("log", string(name)) }

// lastWords is the end of a service's log.
func (h *Hospital) lastWords(name Service) string {
	text, err := os.ReadFile(h.log(name))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// listens says whether a socket is bound to address, by the tables that the kernel
// shows in the namespace of a process. Nothing is sent, so no server's log or counter
// of failed logins takes notice.
func listens(network, address string) func(pid int) (bool, error) {
	const tcpListen, udpUnconnected = "0A", "07"
	state := map[string]string{"tcp": tcpListen, "udp": udpUnconnected}[network]
	at := netip.MustParseAddrPort(address)
	ip := at.Addr().As4()
	local := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), at.Port())
	return func(pid int) (bool, error) {
		table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, network))
		if err != nil {
			return false, nil // it is ending, which whoever waits for it sees
		}
		for line := range bytes.Lines(table) {
			if f := strings.Fields(string(line)); len(f) > 3 && f[1] == local && f[3] == state {
				return true, nil
			}
		}
		return false, nil
	}
}
