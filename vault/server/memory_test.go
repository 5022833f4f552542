package server

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"

	"airlock/vault"
	"airlock/vault/vaulttest"

	"golang.org/x/sync/errgroup"
)

// peak is the most memory that a process of this machine had so far, in bytes.
func peak(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if err != nil || m == nil {
		t.Fatal(err, "no VmHWM")
	}
	kB, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kB << 10
}

// The host's memory is bounded while much arrives, and while clients with as many
// connections as they get ask for all they can and take no answers. 4 GiB arrive where
// everything is tried.
func TestMemory(t *testing.T) {
	size, files := 16<<20, 8
	if os.Getenv(everyVariable) != "" {
		files = 256
	}
	w := newWorld(t)
	w.windows(1)
	done := w.alone(false)
	store := w.store()
	data := vaulttest.Random(1, size)
	var sending errgroup.Group
	sending.SetLimit(8)
	for n := range files {
		sending.Go(func() error {
			return store.Put(t.Context(), vault.BlobPath(fmt.Sprintf("p%030d", 1000+n)), int64(size), bytes.NewReader(data))
		})
	}
	if err := sending.Wait(); err != nil {
		t.Fatal(err)
	}
	arriving := peak(t, w.pid)
	for range 10 {
		r, err := w.tryRaw()
		if err != nil {
			t.Fatal(err)
		}
		for range channels {
			if err := r.floods(w.conf.Folder + "/" + vault.BlobPath(fmt.Sprintf("p%030d", 1000))); err != nil {
				t.Fatal(err)
			}
			if r, err = rawOver(t, r.conn); err != nil {
				break // no more sessions
			}
		}
	}
	flooded := peak(t, w.pid)
	t.Logf("%d MB while %d MB arrived, %d MB under floods", arriving>>20, files*size>>20, flooded>>20)
	if !raced && flooded > 300<<20 {
		t.Errorf("%d MB", flooded>>20)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	if err := done(); err != nil {
		t.Error(err)
	}
}

// floods asks for a large file behind a request that is slow, the closing of a file, and
// takes no answer.
func (r *raw) floods(name string) error {
	h := r.open(name, fxfRead)
	for n := range 2000 {
		if _, err := r.in.Write(message(fxpRead, uint32(9), h, uint64(n%16)<<20, uint32(1<<20))); err != nil {
			return err
		}
	}
	return nil
}
