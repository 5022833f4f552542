package mount

import (
	"strings"
	"testing"
)

const table = `22 27 0:20 / /proc rw - proc proc rw
27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 27 8:17 / /srv/backup rw,relatime shared:2 master:1 - ext4 /dev/sdb1 rw
41 27 0:44 / /mnt/with\040blank rw shared:3 - nfs4 nas:/export/ct rw
42 27 0:45 / /srv/backup/ct rw shared:4 - cifs //server/ct rw
43 27 8:1 /real /bind rw shared:5 - ext4 /dev/sda1 rw
44 42 8:33 /vault /srv/vault rw,relatime - ext4 /dev/sdc1 rw
45 44 8:49 / /srv/vault rw,relatime - btrfs /dev/sdd1 rw
garbage
46 27 8:1 / /srv2`

func TestCovering(t *testing.T) {
	uuid := func(device string) string { return "uuid of " + device }
	for path, want := range map[string]Mount{
		"/home/x":           {Point: "/"},
		"/srv2":             {Point: "/"},
		"/srv/backup2":      {Point: "/"},
		"/srv/backup":       {Point: "/srv/backup", Type: "ext4", Root: "/", Device: "uuid of /dev/sdb1"},
		"/srv/backup/a/b":   {Point: "/srv/backup", Type: "ext4", Root: "/", Device: "uuid of /dev/sdb1"},
		"/srv/backup/ct/x":  {Point: "/srv/backup/ct", Type: "cifs", Root: "/", Device: "//server/ct"},
		"/mnt/with blank/x": {Point: "/mnt/with blank", Type: "nfs4", Root: "/", Device: "nas:/export/ct"},
		"/bind/x":           {Point: "/bind", Type: "ext4", Root: "/real", Device: "uuid of /dev/sda1"},
		"/srv/vault/v":      {Point: "/srv/vault", Type: "btrfs", Root: "/", Device: "uuid of /dev/sdd1"}, // the second covers the first
	} {
		if got := covering(table, path, uuid); got != want {
			t.Errorf("%s lies on %+v; want %+v", path, got, want)
		}
	}
	if !covering(table, "/srv/backup/ct", uuid).Remote() || covering(table, "/srv/backup", uuid).Remote() || !(Mount{Type: "fuse.sshfs"}).Remote() {
		t.Error("what may be behind a door is not told from a disk")
	}
}

// S16: another place is told, and a disk that has another name after a start is none.
func TestSame(t *testing.T) {
	disk := Mount{Point: "/srv", Type: "ext4", Root: "/", Device: "one"}
	for _, c := range []struct {
		now  Mount
		want string
	}{
		{disk, ""},
		{Mount{}, ""},
		{Mount{Point: "/srv", Type: "ext4", Root: "/"}, ""}, // its UUID is not told today
		{Mount{Point: "/"}, "is it mounted?"},
		{Mount{Point: "/srv/x", Type: "ext4", Root: "/"}, "mounted at /srv/x now"},
		{Mount{Point: "/srv", Type: "ext4", Root: "/", Device: "other"}, "another disk"},
		{Mount{Point: "/srv", Type: "vfat", Root: "/"}, "another disk"},
	} {
		err := c.now.Same(disk)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.now, err, c.want)
		}
	}
}
