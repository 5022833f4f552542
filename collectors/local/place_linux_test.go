package local

import (
	"strings"
	"testing"

	"airlock/collectors"
)

const table = `22 27 0:20 / /proc rw - proc proc rw
27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 27 8:17 / /srv/backup rw,relatime shared:2 - ext4 /dev/sdb1 rw
41 27 0:44 / /mnt/with\040blank rw shared:3 - nfs4 nas:/export/ct rw
42 27 0:45 / /srv/backup/ct rw shared:4 - cifs //server/ct rw
43 27 8:1 /real /bind rw shared:5 - ext4 /dev/sda1 rw
`

func TestPlaceOf(t *testing.T) {
	uuid := func(device string) string { return "uuid of " + device }
	for folder, want := range map[string]collectors.Place{
		"/home/x":           {Mount: "/"},
		"/srv/backup2":      {Mount: "/"},
		"/srv/backup":       {Mount: "/srv/backup", Type: "ext4", Root: "/", Device: "uuid of /dev/sdb1"},
		"/srv/backup/a/b":   {Mount: "/srv/backup", Type: "ext4", Root: "/", Device: "uuid of /dev/sdb1"},
		"/srv/backup/ct/x":  {Mount: "/srv/backup/ct", Type: "cifs", Root: "/", Device: "//server/ct"},
		"/mnt/with blank/x": {Mount: "/mnt/with blank", Type: "nfs4", Root: "/", Device: "nas:/export/ct"},
		"/bind/x":           {Mount: "/bind", Type: "ext4", Root: "/real", Device: "uuid of /dev/sda1"},
	} {
		if got, err := placeOf(folder, strings.NewReader(table), uuid); err != nil || got != want {
			t.Errorf("%s lies on %+v, %v; want %+v", folder, got, err, want)
		}
	}
}

// S16: another place is told, and a disk that has another name after a start is none.
func TestPlaceSame(t *testing.T) {
	disk := collectors.Place{Mount: "/srv", Type: "ext4", Root: "/", Device: "one"}
	for _, c := range []struct {
		now  collectors.Place
		want string
	}{
		{disk, ""},
		{collectors.Place{}, ""},
		{collectors.Place{Mount: "/srv", Type: "ext4", Root: "/"}, ""}, // its UUID is not told today
		{collectors.Place{Mount: "/"}, "is it mounted?"},
		{collectors.Place{Mount: "/srv/x", Type: "ext4", Root: "/"}, "mounted at /srv/x now"},
		{collectors.Place{Mount: "/srv", Type: "ext4", Root: "/", Device: "other"}, "another disk"},
		{collectors.Place{Mount: "/srv", Type: "vfat", Root: "/"}, "another disk"},
	} {
		err := c.now.Same(disk)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.now, err, c.want)
		}
	}
}
