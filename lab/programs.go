//go:build linux

package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// programs are what the lab starts, and the Debian package of each.
var programs = []struct {
	name, pkg string
	cli       bool // wanted for the switch's command line only
}{
	{"ip", "iproute2", false},
	{"tc", "iproute2", false},
	{"snmpd", "snmpd", false},
	{"smbd", "samba", false},
	{"smbpasswd", "samba", false},
	{"sshd", "openssh-server", false},
	{"zebra", "frr", true},
	{"vtysh", "frr", true},
}

// Missing says what a lab would need that is not there: root, or programs, with the
// packages that bring them. nil means that Up can be tried.
func Missing(cli bool) error {
	if os.Geteuid() != 0 {
		return errors.New("lab: network namespaces want root; use sudo")
	}
	var names, packages []string
	for _, p := range programs {
		if _, err := locate(p.name); err != nil && (cli || !p.cli) {
			names = append(names, p.name)
			packages = append(packages, p.pkg)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(packages)
	return fmt.Errorf("lab: not installed: %s; on Debian: apt-get install %s, or lab/install.sh",
		strings.Join(names, ", "), strings.Join(slices.Compact(packages), " "))
}

// locate finds a program by its absolute path, by which sshd insists on being called.
// Some of them lie where only root, or nobody's PATH, looks.
func locate(name string) (string, error) {
	found, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin/", "/sbin/", "/usr/lib/frr/"} {
		if err == nil {
			break
		}
		found, err = exec.LookPath(dir + name)
	}
	return found, err
}
