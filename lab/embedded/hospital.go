// Package embedded is a hospital in one process: departments whose backups are read
// over SFTP, a switch that answers SNMPv3, and a vault behind one of its ports. It
// needs no privileges and nothing installed, and stands on loopback alone.
//
// The protocols are the real ones and the ports really open and shut: what a port of
// the switch is told over SNMP, its Gate does to the TCP connections of the servers
// behind it. What the package cannot show is what needs a real network: silent loss,
// line rates, other vendors' oddities. For those there is package lab.
package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"airlock/lab/departments"
	"airlock/lab/sshkeys"

	"golang.org/x/crypto/ssh"
)

// The names by which the policy file calls things.
const (
	VaultName       = "secondary"
	VaultDoor       = "vault-door"
	DepartmentsDoor = "departments-door"
	VaultPort       = "p3"
	DepartmentsPort = "p1"
)

// Hospital is a running hospital. Its fields are not to be changed.
type Hospital struct {
	PolicyFile string   // ready to use, in the form that hospital IT writes
	Systems    []System // in the order of the policy file
	VaultDir   string   // the vault's folder, as its own host sees it

	inner, outer Gate // before the departments, before the vault
	servers      []*sshServer
	network      *network
}

// System is a departmental system that is backed up.
type System struct {
	departments.Department
	Dir string // its backups, as its own host sees them
}

// backups is where every department's server has what is to be read.
const backups = "backups"

// Start makes a hospital in the folder dir, which must be empty or not exist, and
// runs it until Close. The departments' port is up and the vault's down. After an
// error nothing runs; files made so far stay for a look.
func Start(dir string) (_ *Hospital, err error) {
	if dir, err = emptyFolder(dir); err != nil {
		return nil, fmt.Errorf("start the hospital: %w", err)
	}
	h := &Hospital{VaultDir: filepath.Join(dir, "vault", "airlock")}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start the hospital: %w", err), h.Close())
		}
	}()
	p := policy{Dir: dir}
	host, _, err := sshkeys.New("host")
	if err != nil {
		return nil, err
	}
	user, private, err := sshkeys.New("airlock")
	if err != nil {
		return nil, err
	}
	if err := h.startDepartments(&p, host, user.PublicKey()); err != nil {
		return nil, err
	}
	if err := h.startVault(&p, host, user.PublicKey()); err != nil {
		return nil, err
	}
	if h.network, err = startNetwork(&h.inner, &h.outer); err != nil {
		return nil, err
	}
	p.Switch = h.network.Addr()
	if h.PolicyFile, err = p.write(host.PublicKey(), private); err != nil {
		return nil, err
	}
	return h, nil
}

func emptyFolder(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty; name a folder that does not exist yet", dir)
	}
	return dir, err
}

func (h *Hospital) startDepartments(p *policy, host ssh.Signer, user ssh.PublicKey) error {
	for _, d := range departments.All() {
		root := filepath.Join(p.Dir, "departments", d.Name)
		s := System{d, filepath.Join(root, backups)}
		if err := s.FirstNight(s.Dir); err != nil {
			return err
		}
		address, err := h.serveBehind(&h.inner, root, false, host, user)
		if err != nil {
			return err
		}
		h.Systems = append(h.Systems, s)
		p.Systems = append(p.Systems, policySystem{d.Name, d.Title, address})
	}
	return nil
}

func (h *Hospital) startVault(p *policy, host ssh.Signer, user ssh.PublicKey) (err error) {
	root := filepath.Dir(h.VaultDir)
	if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}
	p.Vault, err = h.serveBehind(&h.outer, root, true, host, user)
	return err
}

// serveBehind starts an SFTP server and gives the address at which it can be reached
// while g is up.
func (h *Hospital) serveBehind(g *Gate, root string, writable bool, host ssh.Signer, user ssh.PublicKey) (string, error) {
	s, err := serve(root, writable, host, user)
	if err != nil {
		return "", err
	}
	h.servers = append(h.servers, s)
	return g.Forward(s.address())
}

// PutBehindVaultPort leads through the vault's port to another server (host:port) as
// well, such as a vault's host of one's own, and gives the address at which it can be
// reached while that port is up.
func (h *Hospital) PutBehindVaultPort(server string) (address string, err error) {
	return h.outer.Forward(server)
}

// SecondNight changes the departments' data as a day's work does: files grow, come
// and go.
func (h *Hospital) SecondNight() error {
	for _, s := range h.Systems {
		if err := s.SecondNight(s.Dir); err != nil {
			return err
		}
	}
	return nil
}

// Ports lists what the switch's ports really did, oldest first, whatever anybody
// says that they did.
func (h *Hospital) Ports() []Transition {
	var all []Transition
	for _, p := range []struct {
		name string
		gate *Gate
	}{{DepartmentsPort, &h.inner}, {VaultPort, &h.outer}} {
		for _, t := range p.gate.Transitions() {
			t.Port = p.name
			all = append(all, t)
		}
	}
	slices.SortStableFunc(all, func(a, b Transition) int { return a.At.Compare(b.At) })
	return all
}

// Close ends every server and connection. The files stay.
func (h *Hospital) Close() error {
	var errs []error
	if h.network != nil {
		errs = append(errs, h.network.Close())
	}
	errs = append(errs, h.outer.Close(), h.inner.Close())
	for _, s := range h.servers {
		errs = append(errs, s.Close())
	}
	h.servers, h.network = nil, nil
	return errors.Join(errs...)
}
