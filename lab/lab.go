//go:build linux

// Package lab is a hospital on one Linux machine, made of real parts in network
// namespaces: a switch whose ports open and shut by SNMP and by command line, the
// departments' servers, the NAS on which airlock runs, and a vault behind a port.
//
//	departments 10.77.0.11 ── p1 ┐
//	NAS         10.77.0.12 ── p2 ┤ switch (a bridge) 10.78.0.1
//	vault       10.77.0.13 ── p3 ┘   │
//	NAS         10.78.0.2  ── mgmt ──┘ out of band: SNMP, and ssh to the command line
//
// The switch is net-snmp (and FRR, if asked for) over a Linux bridge; the departments
// are Samba and OpenSSH, the vault is OpenSSH. Port p3 carries 1 Gbit/s. p1 is up and
// p3 down when Up returns.
//
// Everything stands in namespaces and folders of its own: several hospitals stand
// beside each other, and Down finds all of one again by its name and folder alone, so
// that a lab whose maker was killed is removed like any other.
//
// It wants root, and the Debian packages that an error names.
package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Options say which hospital is meant and what it shall have.
type Options struct {
	// Name keeps hospitals on one machine apart; it may be empty. Up to twenty
	// lower-case letters, digits and dashes.
	Name string
	// Dir is the folder that Up makes and Down removes. By default
	// /tmp/airlock-lab or /tmp/airlock-lab-NAME. With CLI it must lie where any user
	// can pass, because FRR runs as its own, and have a short name, for its sockets.
	Dir string
	// CLI gives the switch a command line: FRR's vtysh by ssh.
	CLI bool
	// Traps has the switch tell of links by SNMPv3 traps to the NAS. Its agent asks itself
	// once a second how its ports are, and knows it some seconds late (AgentMemory).
	Traps bool
	// VaultDisk, StateDisk and RepositoryDisk, if not 0, put the vault's files,
	// airlock's state and the repository on disks of so many bytes, which Fill fills.
	VaultDisk, StateDisk, RepositoryDisk int64
}

// Host is one of the hospital's machines.
type Host string

// The hosts. The switch is where its ports can be seen as they really are.
const (
	Switch      Host = "sw"
	Departments Host = "dept"
	NAS         Host = "nas"
	Vault       Host = "vault"
)

var hosts = []Host{Switch, Departments, NAS, Vault}

// Hospital is a lab that is up. Its methods may be called concurrently, but not
// beside Down.
type Hospital struct {
	Options // with Name and Dir as they are

	mu       sync.Mutex
	samplers []*Sampler
}

// marker is the file by which a folder is known to be a lab's, and may be removed.
const marker = "this-is-a-lab"

// patience bounds Up and Down whatever their context allows. Each takes about a second.
const patience = time.Minute

// settle fills in the defaults and refuses what could do harm.
func (o Options) settle() (Options, error) {
	if !regexp.MustCompile(`^[a-z0-9-]{0,20}$`).MatchString(o.Name) {
		return o, fmt.Errorf("lab: the name %q is not up to twenty lower-case letters, digits and dashes", o.Name)
	}
	if o.Dir == "" {
		o.Dir = strings.TrimSuffix("/tmp/airlock-lab-"+o.Name, "-")
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return o, fmt.Errorf("lab: %w", err)
	}
	if strings.HasPrefix(o.Dir, "/run/") {
		return o, fmt.Errorf("lab: %s is below /run, which every server of the lab has to itself; choose a folder elsewhere", o.Dir)
	}
	if strings.ContainsAny(o.Dir, " \t\n\"'$%") {
		return o, fmt.Errorf("lab: the folder %q has a character that some server's configuration cannot hold", o.Dir)
	}
	return o, nil
}

// Up brings a hospital up, after taking down what there is of an earlier one of the
// same name and folder. After an error nothing is left but log files in the folder,
// if it came so far.
func Up(ctx context.Context, o Options) (*Hospital, error) {
	o, err := o.settle()
	if err != nil {
		return nil, err
	}
	if err := Missing(o.CLI); err != nil {
		return nil, err
	}
	if err := Down(ctx, o); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	h := &Hospital{Options: o}
	for _, step := range []func(context.Context) error{h.folders, h.plug, h.furnish, h.startAll} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("lab: up: %w", err), h.demolish(context.WithoutCancel(ctx)))
		}
	}
	return h, nil
}

// Down takes the hospital down and leaves nothing of it. It may be called again.
func (h *Hospital) Down() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.samplers { // whose sockets would keep the namespace alive
		s.Stop()
	}
	return Down(context.Background(), h.Options)
}

// Down removes every process, namespace, mount and file of the hospital that o names,
// whoever made it and however far it came. Where there is none it does nothing.
func Down(ctx context.Context, o Options) error {
	o, err := o.settle()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("lab: down: only root can; use sudo")
	}
	if err := o.ours(); err != nil {
		return err
	}
	if err := (&Hospital{Options: o}).demolish(ctx); err != nil {
		return fmt.Errorf("lab: down: %w", err)
	}
	if err := os.RemoveAll(o.Dir); err != nil {
		return fmt.Errorf("lab: down: %w", err)
	}
	return nil
}

// ours refuses a folder that holds something else than a lab.
func (o Options) ours() error {
	if _, err := os.Stat(filepath.Join(o.Dir, marker)); err == nil {
		return nil
	}
	switch entries, err := os.ReadDir(o.Dir); {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(entries) == 0:
		return nil
	case err != nil:
		return fmt.Errorf("lab: %w", err)
	}
	return fmt.Errorf("lab: %s holds something else than a lab; choose another folder", o.Dir)
}

// demolish ends all that runs and unmounts all that is mounted. Files stay.
func (h *Hospital) demolish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var errs []error
	for _, host := range hosts {
		errs = append(errs, h.removeNamespace(ctx, host))
	}
	return errors.Join(append(errs, unmountBelow(h.Dir))...)
}

// PolicyFile is a policy file that is ready to use on the NAS.
func (h *Hospital) PolicyFile() string { return h.path("airlock.yaml") }

// SystemDir is where a department's system (of package departments) has its backups.
func (h *Hospital) SystemDir(system string) string { return h.path("departments", system) }

// VaultDir is the vault's folder; the first window makes it.
func (h *Hospital) VaultDir() string { return h.path("vault", "airlock") }

// StateDir is where airlock keeps its state.
func (h *Hospital) StateDir() string { return h.path("state") }

func (h *Hospital) path(elements ...string) string {
	return filepath.Join(append([]string{h.Dir}, elements...)...)
}

// Command is a program that runs on a host: with its network, and with this machine's
// files. It is killed when ctx ends.
func (h *Hospital) Command(ctx context.Context, host Host, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", h.Namespace(host), name}, args...)...)
}
