package orchestrator

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"airlock/mount"
)

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
	disk, point, file := filepath.Join(dir, "disk"), filepath.Join(dir, "point"), filepath.Join(dir, "state", "place.json")
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
	look := func(path string) folder {
		m, err := mount.Of(path)
		if err != nil {
			t.Fatal(err)
		}
		return folder{Path: path, Mount: m, file: file}
	}
	was := look(path)
	if was.Mount.Point != point {
		t.Fatalf("%+v", was)
	}
	if err := was.remember(); err != nil {
		t.Fatal(err)
	}
	if err := look(path).moved(); err != nil {
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
	if err := look(path).moved(); err == nil || !strings.Contains(err.Error(), "mounted at "+point) {
		t.Errorf("unmounted: %v", err)
	}
	if err := look(disk).moved(); err != nil { // the policy file names another place now
		t.Errorf("another place: %v", err)
	}
}
