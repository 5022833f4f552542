//go:build linux

package lab

import (
	"context"
	"fmt"
	"strings"
)

// Whom the departments' SMB server lets in. The account is root's under another name,
// so that the machine needs none for the lab.
const (
	smbUser     = "svc-backup"
	smbPassword = "svc-backup's word"
	smbShare    = "backup$"
)

// smbConfiguration serves the departments' folders as one hidden share, with signing
// required, as current Windows servers do, and with every file of Samba's own in the
// lab's folder.
func (h *Hospital) smbConfiguration() string {
	own := h.path("smb")
	return fmt.Sprintf(`[global]
server role = standalone server
interfaces = %[2]s/24 lo
bind interfaces only = yes
smb ports = 445
disable netbios = yes
server min protocol = SMB3
server signing = mandatory
map to guest = never
username map = %[1]s/users
passdb backend = tdbsam:%[1]s/private/passdb.tdb
private dir = %[1]s/private
lock directory = %[1]s/lock
state directory = %[1]s/state
cache directory = %[1]s/cache
pid directory = %[1]s/pid
ncalrpc dir = %[1]s/ncalrpc
log file = %[1]s/log.%%m
load printers = no
printing = bsd
printcap name = /dev/null
disable spoolss = yes
[%[4]s]
path = %[3]s
browseable = no
read only = yes
valid users = root
`, own, departmentsAddress, h.path("departments"), smbShare)
}

func (h *Hospital) smbCommand() []string {
	return []string{"smbd", "--foreground", "--no-process-group", "--configfile=" + h.path("smb", "smb.conf")}
}

// addSMBUser puts the user into Samba's own list.
func (h *Hospital) addSMBUser(ctx context.Context) error {
	program, err := locate("smbpasswd")
	if err != nil {
		return err
	}
	c := h.Command(ctx, Departments, "sh", "-c", ownRun, "lab", program, "-c", h.path("smb", "smb.conf"), "-s", "-a", "root")
	c.Stdin = strings.NewReader(smbPassword + "\n" + smbPassword + "\n")
	return carryOut(c)
}
