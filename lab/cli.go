//go:build linux

package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
)

// cliConfiguration makes FRR's vtysh the whole of a login to the switch. sshd starts it by
// the user's shell, and bash under sshd would read .bashrc first, unless it is told that
// it is not the outermost one.
func (h *Hospital) cliConfiguration() string {
	return "ForceCommand /usr/bin/vtysh --vty_socket " + h.path("frr") + " --config_dir " + h.path("frr") +
		"\nSetEnv VTYSH_HISTFILE=/dev/null SHLVL=1\n"
}

// zebraCommand runs the daemon behind vtysh, which sets the same ports as SNMP does.
func (h *Hospital) zebraCommand() []string {
	return []string{"zebra", "-f", h.path("frr", "zebra.conf"), "-i", h.path("frr", "zebra.pid"),
		"--vty_socket", h.path("frr"), "-z", h.path("frr", "zserv.api"), "-P", "0"}
}

// giveToFRR hands zebra its folder; it insists on running as the user that its package
// made.
func (h *Hospital) giveToFRR() error {
	u, err := user.Lookup("frr")
	if err != nil {
		return fmt.Errorf("the package frr makes the user frr, which is gone: %w", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	return errors.Join(os.Chown(h.path("frr"), uid, gid), os.Chown(h.path("frr", "zebra.conf"), uid, gid))
}

// zebraReady: vtysh finds the daemon by this socket.
func (h *Hospital) zebraReady(int) (bool, error) {
	_, err := os.Stat(h.path("frr", "zebra.vty"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
