package orchestrator

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMountOfLines(t *testing.T) {
	const list = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 8:17 / /srv rw,relatime shared:2 master:1 - xfs /dev/sdb1 rw
31 30 8:33 /vault /srv/the\040vault rw,relatime - ext4 /dev/sdc1 rw
32 22 0:45 / /mnt/nas rw,relatime - nfs4 10.77.0.14:/nas rw
33 31 8:49 / /srv/the\040vault rw,relatime - btrfs /dev/sdd1 rw
garbage
34 22 8:1 / /srv2`
	for path, want := range map[string]mount{
		"/srv/the vault/v": {"/srv/the vault", "btrfs", "/dev/sdd1"},
		"/srv/the vault":   {"/srv/the vault", "btrfs", "/dev/sdd1"},
		"/srv/the":         {"/srv", "xfs", "/dev/sdb1"},
		"/srv2":            {"/", "ext4", "/dev/sda1"},
		"/mnt/nas/airlock": {"/mnt/nas", "nfs4", "10.77.0.14:/nas"},
	} {
		if got := covering(list, path); got != want {
			t.Errorf("%s lies on %+v, not %+v", path, got, want)
		}
	}
	if !covering(list, "/mnt/nas/x").remote() || covering(list, "/srv/x").remote() || !(mount{Type: "fuse.sshfs"}).remote() {
		t.Error("what may be behind a door is not told from a disk")
	}
}

// S16: a folder that lay on a mount of its own is refused once that is not mounted. A mount
// of the same disk somewhere else is one as well.
func TestMountMissing(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("not root, who may mount")
		}
		t.Skip("not root, who may mount")
	}
	dir := t.TempDir()
	disk, point, file := filepath.Join(dir, "disk"), filepath.Join(dir, "point"), filepath.Join(dir, "state", placeFile)
	for _, name := range []string{disk, point} {
		if err := os.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount(disk, point, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	mounted := true
	t.Cleanup(func() {
		if mounted {
			if err := unix.Unmount(point, 0); err != nil {
				t.Error(err)
			}
		}
	})
	path := filepath.Join(point, "vault")
	s, err := lookAt(path, file)
	if err != nil || s.Mount.Point != point {
		t.Fatalf("%+v, %v", s, err)
	}
	if err := s.remember(); err != nil {
		t.Fatal(err)
	}
	if _, err := lookAt(path, file); err != nil {
		t.Errorf("as it was: %v", err)
	}
	// A second mount does not hide that two places are one.
	if how, err := overlapHere(path, disk); err != nil || how != in {
		t.Errorf("%s lies to %s as %d, %v", path, disk, how, err)
	}
	if how, err := overlapHere(disk, point); err != nil || how != same {
		t.Errorf("%s lies to %s as %d, %v", disk, point, how, err)
	}
	if err := unix.Unmount(point, 0); err != nil {
		t.Fatal(err)
	}
	mounted = false
	if _, err := lookAt(path, file); err == nil || !strings.Contains(err.Error(), "lay on the mount "+point) {
		t.Errorf("unmounted: %v", err)
	}
	if _, err := lookAt(disk, file); err != nil { // the policy file names another place now
		t.Errorf("another place: %v", err)
	}
}
