package repository

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The stock kopia program opens what this package writes, lists the systems by name
// and restores them.
func TestStockProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the stock program")
	}
	base := t.TempDir()
	program := filepath.Join(base, "kopia")
	build := exec.Command("go", "build", "-C", "../tools", "-o", program, "github.com/kopia/kopia")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build kopia: %v\n%s", err, out)
	}
	r, c := fresh(t)
	src := hospital(t)
	id := snap(t, r, "imaging", disk(src)).ID

	kopia := func(args ...string) []byte {
		cmd := exec.Command(program, append([]string{"--config-file=" + base + "/config", "--log-dir=" + base + "/log"}, args...)...)
		cmd.Env = append(os.Environ(), "KOPIA_PASSWORD="+passphrase, "KOPIA_CHECK_FOR_UPDATES=false", "HOME="+base)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("kopia %s: %v\n%s", args, err, stderr.String())
		}
		return out
	}
	kopia("repository", "connect", "filesystem", "--readonly", "--path="+c.Place.Path, "--cache-directory="+base+"/cache")
	var list []struct {
		ID     string          `json:"id"`
		Source json.RawMessage `json:"source"`
	}
	must(t, json.Unmarshal(kopia("snapshot", "list", "--all", "--json"), &list))
	if len(list) != 1 || list[0].ID != id || !strings.Contains(string(list[0].Source), "imaging") {
		t.Fatalf("it lists %+v", list)
	}
	kopia("snapshot", "restore", id, base+"/out")
	sameTrees(t, src, base+"/out", "sjis-") // these have their stored names there
	kopia("snapshot", "verify", "--verify-files-percent=100")
}

// A storage that is full is a clear error; earlier snapshots are whole, and the next
// run carries on.
func TestStorageFull(t *testing.T) {
	small := t.TempDir()
	mount := func(flags uintptr, options string) error { return unix.Mount("tmpfs", small, "tmpfs", flags, options) }
	need(t, os.Getuid() == 0 && mount(0, "size=40m") == nil, "root, who may mount a tmpfs")
	t.Cleanup(func() { must(t, unix.Unmount(small, 0)) })
	c := configFor(t, Place{Path: small + "/nas"})
	must(t, Create(t.Context(), c))
	r := reopen(t, c)
	src := hospital(t)
	good := snap(t, r, "imaging", disk(src))

	big := t.TempDir()
	plant(t, big, map[string][]byte{"a": noise(1, 4<<20), "b": noise(2, 60<<20), "c": noise(3, 1<<20)})
	res, err := r.Snapshot(t.Context(), Job{System: "accounting", Source: disk(big), Parallel: 1})
	if err == nil || !strings.Contains(err.Error(), "is full; free space") || res.ID != "" {
		t.Fatalf("%+v, %v", res, err)
	}
	list, err := r.Snapshots(t.Context(), "")
	must(t, err)
	if len(list) != 1 || list[0].ID != good.ID {
		t.Errorf("snapshots: %+v", list)
	}
	sameTrees(t, src, restored(t, &r.View, good.ID))

	must(t, mount(unix.MS_REMOUNT, "size=200m"))
	again := snap(t, r, "accounting", disk(big))
	sameTrees(t, big, restored(t, &r.View, again.ID))
	check, err := r.Verify(t.Context(), VerifyOptions{})
	if err != nil || len(check.Damaged) != 0 {
		t.Errorf("verify: %+v, %v", check, err)
	}
	if inv, err := r.Blobs(t.Context()); err != nil || len(inv.Faults) != 0 {
		t.Errorf("amiss: %v, %v", inv.Faults, err)
	}
}
