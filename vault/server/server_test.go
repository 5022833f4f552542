package server

import (
	"bytes"
	"errors"
	"os"
	"syscall"
	"testing"

	"airlock/sshconn"
	"airlock/vault"
	"airlock/vault/vaulttest"
)

func TestConformance(t *testing.T) {
	vaulttest.Conformance(t, func(t *testing.T) vault.Store {
		w := newWorld(t)
		w.serve(usual())
		return w.store()
	})
}

func TestDiskFull(t *testing.T) {
	w := newWorld(t)
	w.conf.Folder = vaulttest.TinyDisk(t)
	w.serve(usual())
	vaulttest.DiskFull(t, w.store())
}

func TestQuotaFull(t *testing.T) {
	w := newWorld(t)
	w.conf.Quota = 1 << 20
	w.serve(usual())
	vaulttest.DiskFull(t, w.store())
}

func TestFloorHolds(t *testing.T) {
	w := newWorld(t)
	w.conf.Folder = vaulttest.TinyDisk(t)
	w.conf.Floor = 700_000
	w.serve(usual())
	s := w.store()
	vaulttest.Put(t, s, "p/small", vaulttest.Random(1, 100_000))
	err := s.Put(t.Context(), "p/big", 300_000, bytes.NewReader(vaulttest.Random(2, 300_000)))
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("putting below the floor: %v", err)
	}
	vaulttest.Absent(t, s, "p/big")
}

// Whoever has another key, or the right one under another name, is not let in.
func TestStrangers(t *testing.T) {
	w := newWorld(t)
	w.serve(usual())
	other := w.conn
	other.Key = newKey(t).private
	renamed := w.conn
	renamed.User = "root"
	for _, c := range []sshconn.Config{other, renamed} {
		if _, err := sshconn.Dial(t.Context(), c); !errors.Is(err, sshconn.ErrAuth) {
			t.Errorf("%s was let in: %v", c.User, err)
		}
	}
}

// Windows follow one another, and each has its receipt.
func TestWindows(t *testing.T) {
	w := newWorld(t)
	h := w.serve(usual())
	for n := int64(1); n <= 3; n++ {
		w.night()
		report := w.window()
		if r := report.Receipt; r.Generation != n || r.Hash != report.Hash || r.Blobs != len(w.blobs) || r.Vault != "lab-vault" || len(r.Alarms) > 0 {
			t.Errorf("receipt %+v", r)
		}
	}
	w.sound(1, 2, 3)
	all, err := h.Generations(t.Context())
	if err != nil || len(all) != 3 || all[2].Amiss != "" || all[2].Blobs != len(w.blobs) {
		t.Errorf("%+v, %v", all, err)
	}
	info, err := os.Stat(w.file(vault.BlobPath("kopia.repository")))
	if err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("a finished file can be written to: %v, %v", info, err)
	}
}
