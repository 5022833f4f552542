//go:build linux

package lab

import (
	"fmt"

	"airlock/lab/sshkeys"
)

// sshUser is whom the hosts' ssh servers let in, with the lab's key.
const sshUser = "root"

// sshConfiguration is sshd's; serves are the lines that say what a login gets.
func (h *Hospital) sshConfiguration(address, serves string) string {
	return fmt.Sprintf(`ListenAddress %[1]s
Port 22
HostKey %[2]s
AuthorizedKeysFile %[3]s
PidFile none
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
PrintMotd no
%[4]s
`, address, h.path("ssh", "host"), h.path("ssh", "authorized_keys"), serves)
}

func (h *Hospital) sshCommand(name Service) []string {
	return []string{"sshd", "-D", "-e", "-f", h.path("ssh", string(name)+".conf")}
}

// sshFiles are the hosts' one host key, airlock's key, and the servers' configurations.
func (h *Hospital) sshFiles() (map[string]string, error) {
	host, hostPrivate, err := sshkeys.New("lab")
	if err != nil {
		return nil, err
	}
	user, userPrivate, err := sshkeys.New("airlock")
	if err != nil {
		return nil, err
	}
	err = sshkeys.WriteKnownHosts(h.path("known_hosts"), host.PublicKey(), departmentsAddress+":22", vaultAddress+":22", switchAddress+":22")
	if err != nil {
		return nil, err
	}
	const sftp = "Subsystem sftp internal-sftp"
	return map[string]string{
		"ssh/host":            string(hostPrivate),
		"ssh/authorized_keys": sshkeys.Authorized(user.PublicKey()),
		"secrets/key":         string(userPrivate),
		"ssh/" + string(DepartmentsSSH) + ".conf": h.sshConfiguration(departmentsAddress, sftp),
		"ssh/" + string(VaultSSH) + ".conf":       h.sshConfiguration(vaultAddress, sftp),
		"ssh/" + string(SwitchSSH) + ".conf":      h.sshConfiguration(switchAddress, h.cliConfiguration()),
	}, nil
}
