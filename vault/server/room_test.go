package server

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"airlock/vault"
	"airlock/vault/vaulttest"

	"golang.org/x/crypto/ssh"
)

// What prune, another process, has removed is room again.
func TestPrunedIsRoom(t *testing.T) {
	w := newWorld(t)
	w.conf.Quota = 1 << 20
	w.serve(usual())
	r := w.raw()
	unlisted := vaulttest.Random(1, 600<<10)
	for _, dir := range []string{"p", "p/000"} {
		r.ask(fxpMkdir, w.conf.Folder+"/"+dir, uint32(0))
	}
	if code, text := r.put(w.conf.Folder+"/"+vault.BlobPath("p"+strings.Repeat("0", 30)), unlisted); code != 0 {
		t.Fatal(text)
	}
	w.night()
	w.window()
	other, err := Open(t.Context(), w.conf)
	if err != nil {
		t.Fatal(err)
	}
	report, err := other.Prune(t.Context(), PruneOptions{})
	if err = errors.Join(err, other.Close()); err != nil || report.Blobs != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	code, text := r.put(w.conf.Folder+"/new", unlisted)
	for late := time.Now().Add(time.Minute); code != 0 && time.Now().Before(late); { // it was counted just now, perhaps
		code, text = r.put(w.conf.Folder+"/new", unlisted)
	}
	if code != 0 {
		t.Errorf("what was removed is no room: %s", text)
	}
	if code, _ := r.put(w.conf.Folder+"/more", unlisted); code == 0 {
		t.Error("the quota does not hold any more")
	}
}

// What lies there is counted when the quota is reached, and not for every byte.
func TestRoomIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lies, counts := int64(100), 0
		r := room{disk: func() (disk, error) { return disk{free: 1 << 30}, nil }, quota: 100, lies: func() (int64, error) { counts++; return lies, nil }}
		wants := func(n int64, want error) {
			t.Helper()
			if err := r.take(n, false); !errors.Is(err, want) {
				t.Errorf("room for %d: %v, and not %v", n, err, want)
			}
		}
		wants(60, nil)
		r.land(60)
		if counts != 0 {
			t.Errorf("counted %d times below the quota", counts)
		}
		for range 100 {
			wants(50, syscall.ENOSPC)
		}
		lies = 10
		wants(50, syscall.ENOSPC)
		if counts != 1 {
			t.Errorf("counted %d times at once", counts)
		}
		time.Sleep(recount)
		wants(50, nil)
		if left, err := r.left(true); err != nil || left != 40 || counts != 2 {
			t.Errorf("%d left, %v; counted %d times", left, err, counts)
		}
		r.lies = func() (int64, error) { return 0, os.ErrDeadlineExceeded }
		time.Sleep(recount)
		wants(50, os.ErrDeadlineExceeded) // nobody knows
	})
}

// Single bytes far from one another count for the blocks that they take.
func TestScatteredBytes(t *testing.T) {
	w := newWorld(t)
	w.conf.Quota = 1 << 20
	w.serve(usual())
	r := w.raw()
	h := r.open(w.conf.Folder+"/scattered", fxfWrite|fxfCreat)
	taken := 0
	for code := uint32(0); code == 0; taken++ {
		code, _ = status(r.ask(fxpWrite, h, uint64(taken+1)<<20, "x"))
	}
	if most := int(w.conf.Quota / 4096); taken > most {
		t.Errorf("%d blocks found room where there is some for %d", taken, most)
	}
	if code, _ := status(r.ask(fxpClose, h)); code == 0 {
		t.Error("a file with holes is whole")
	}
	// Those that are caught up with count for their bytes alone.
	h = r.open(w.conf.Folder+"/backwards", fxfWrite|fxfCreat)
	part := strings.Repeat("x", 9000)
	for n := 60; n >= 0; n-- {
		if code, text := status(r.ask(fxpWrite, h, uint64(n*len(part)), part)); code != 0 {
			t.Fatalf("part %d: %s", n, text)
		}
	}
	if code, text := status(r.ask(fxpClose, h)); code != 0 {
		t.Fatal(text)
	}
	if code, text := r.put(w.conf.Folder+"/rest", vaulttest.Random(1, int(w.conf.Quota)-61*len(part)-2*nameWeight)); code != 0 {
		t.Errorf("the rest of the quota: %s", text)
	}
}

// A folder does not come between a promise and its name, which would be an alarm.
func TestFolderInAPromisedPlace(t *testing.T) {
	w := newWorld(t)
	h := w.open()
	s, err := h.prepare(t.Context(), Service{Clients: map[string]ssh.PublicKey{"a": nil}, Limits: usual()})
	if err != nil {
		t.Fatal(err)
	}
	one := &session{host: s, ctx: t.Context(), client: "a", line: newLine(8)}
	if _, err := s.naming.promise(t.Context(), "incoming/a", "promised", finished{client: "a", bytes: &durable{}}); err != nil {
		t.Fatal(err)
	}
	if err := one.mkdir("promised"); !errors.Is(err, errTaken) {
		t.Errorf("a folder in the place of a file that is being named: %v", err)
	}
	if err := one.mkdir("free"); err != nil {
		t.Error(err)
	}
}

// A disk on which a client could write generations/ in another way is not served.
func TestFoldedNames(t *testing.T) {
	w := newWorld(t)
	h := w.open()
	for range 2 {
		if err := h.folder.tellsApart(); err != nil {
			t.Fatal(err)
		}
	}
	// As if it had made this name too.
	upper := path.Join(vault.Incoming, strings.ToUpper(vault.TempName("PROBE", "case")))
	if err := errors.Join(os.Mkdir(w.file(vault.Incoming), 0o700), os.WriteFile(w.file(upper), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := h.folder.tellsApart(); !errors.Is(err, errFolds) || !strings.Contains(fmt.Sprint(err), w.conf.Folder) {
		t.Errorf("%v", err)
	}
}

// A used-up quota is told to the site as what it is, in one sentence, and by the name of no
// disk: that one may be half empty.
func TestQuotaIsToldAsSuch(t *testing.T) {
	w := newWorld(t)
	w.conf.Quota = 1 << 20
	w.serve(usual())
	err := w.store().Put(t.Context(), "p/blob.f", 3<<20, bytes.NewReader(vaulttest.Random(1, 3<<20)))
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("3 MB in a quota of 1: %v", err)
	}
	text := err.Error()
	if !strings.Contains(text, "the vault is full: its quota of 1.0 MB is used up") || strings.Contains(text, "disk") || strings.Count(text, "full") != 1 {
		t.Errorf("told as %q", text)
	}
}
