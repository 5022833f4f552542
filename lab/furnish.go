//go:build linux

package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"airlock/lab/departments"

	"golang.org/x/sys/unix"
)

// passphrase is the repository's.
const passphrase = "correct horse battery staple"

// folders makes the lab's folder, marked as such before anything else is in it, and
// its disks.
func (h *Hospital) folders(context.Context) error {
	if err := os.MkdirAll(h.Dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(h.path(marker), nil, 0o644); err != nil {
		return err
	}
	for _, dir := range []string{"log", "snmp", "ssh", "frr", "departments", "vault", "primary", "state", "secrets",
		"smb/private", "smb/lock", "smb/state", "smb/cache", "smb/pid", "smb/ncalrpc"} {
		if err := os.MkdirAll(h.path(dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(h.path("secrets"), 0o700); err != nil {
		return err
	}
	for _, d := range h.disks() {
		if d.size > 0 {
			if err := unix.Mount("lab", d.folder, "tmpfs", 0, fmt.Sprintf("size=%d", d.size)); err != nil {
				return fmt.Errorf("mount a disk of %d bytes at %s: %w", d.size, d.folder, err)
			}
		}
	}
	return nil
}

// furnish writes every file that the servers, airlock and the departments begin with.
func (h *Hospital) furnish(ctx context.Context) error {
	files, err := h.sshFiles()
	if err != nil {
		return err
	}
	if files["snmpd.conf"], err = h.snmpConfiguration(Obedient); err != nil {
		return err
	}
	files["snmp/ignoring"] = ignoringColumn
	files["frr/zebra.conf"] = "hostname lab-switch\n"
	files["frr/vtysh.conf"] = "hostname lab-switch\n"
	files["smb/smb.conf"] = h.smbConfiguration()
	files["smb/users"] = "root = " + smbUser + "\n"
	files["secrets/repository"] = passphrase
	files["secrets/snmp-auth"] = SNMPAuth
	files["secrets/snmp-privacy"] = SNMPPrivacy
	files["secrets/smb"] = smbPassword
	if files["airlock.yaml"], err = h.policy(); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(h.path(filepath.FromSlash(name)), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, d := range departments.All() {
		if err := d.FirstNight(h.SystemDir(d.Name)); err != nil {
			return err
		}
	}
	if h.CLI {
		if err := h.giveToFRR(); err != nil {
			return err
		}
	}
	return h.addSMBUser(ctx)
}
