package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"airlock/ledger"
	"airlock/vault"
	"airlock/vault/vaulttest"
)

// fill puts junk under names as kopia's, as whoever holds the client's key can.
func (w *world) fill(n, size int) (refused string) {
	w.t.Helper()
	r := w.raw()
	for i := range n {
		name := fmt.Sprintf("p%031d", 900_000+i)
		at := w.conf.Folder + "/" + vault.BlobPath(name)
		for _, dir := range []string{"/p", "/p/" + name[1:4]} {
			r.ask(fxpMkdir, w.conf.Folder+dir, uint32(0))
		}
		if code, text := r.put(at, vaulttest.Random(i, size)); code != 0 {
			refused = text
		}
	}
	return refused
}

// A quota that somebody has filled is told as that on both sides, prune says what it is
// that fills it, and a person drops it; what a generation lists stays, and windows go on.
func TestFullOfStrays(t *testing.T) {
	w := newWorld(t)
	w.conf.Quota = 2 << 20
	w.windows(2)
	w.serve(usual())
	if refused := w.fill(12, 200_000); !strings.Contains(refused, "the vault is full: its quota of 2.1 MB is used up") || !strings.Contains(refused, "since generation 2") {
		t.Errorf("refused: %q", refused)
	}
	w.night()
	w.blobs["p"+strings.Repeat("7", 31)] = vaulttest.Random(1, 500_000)
	_, err := w.plan().Send(t.Context(), w.store(), w, nil)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(fmt.Sprint(err), "the vault is full: its quota of 2.1 MB") || strings.Contains(fmt.Sprint(err), "disk") {
		t.Errorf("the site is told: %v", err)
	}
	if n := w.entries(ledger.KindAlarm); n != 1 {
		t.Errorf("%d alarms", n)
	}
	r := w.prune(PruneOptions{})
	if r.Blobs > 0 || r.Waiting.Since != 2 || r.Waiting.Files < 8 || *r.Room > 300_000 {
		t.Errorf("%+v, room %d", r, *r.Room)
	}
	for what, o := range map[string]StrayOptions{
		"no such generation": {Since: 9, Reason: "junk"},
		"the brake":          {Since: 2, Reason: "junk", Brake: 3},
	} {
		if _, err := w.host.DropStrays(t.Context(), o); !errors.Is(err, ErrHeld) {
			t.Errorf("%s: %v", what, err)
		}
	}
	tried, err := w.host.DropStrays(t.Context(), StrayOptions{Since: 2, Try: true})
	if err != nil || tried.Files < 8 || len(tried.Names) == 0 {
		t.Errorf("%+v, %v", tried, err)
	}
	if again := w.prune(PruneOptions{}); again.Waiting != r.Waiting {
		t.Errorf("trying removed something: %+v, %+v", again.Waiting, r.Waiting)
	}
	done, err := w.host.DropStrays(t.Context(), StrayOptions{Since: 2, Reason: "somebody filled it"})
	if err != nil || done.Files != tried.Files || done.Bytes != tried.Bytes {
		t.Errorf("%+v, %v; tried %+v", done, err, tried)
	}
	w.sound(1, 2)
	w.stop()
	w.serve(usual())
	w.window()
	w.sound(1, 2, 3)
	report, err := w.host.Verify(t.Context(), VerifyOptions{})
	if err != nil || len(report.Damaged) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// What a cut window has brought waits for the next one, which counts on it; dropped as a
// stray, it is asked for again. After some time it goes by itself, but not if it is more
// than all that generations list.
func TestCutWindowsBlobs(t *testing.T) {
	cut := func(w *world) {
		w.serve(usual())
		w.night()
		ctx, cancel := context.WithCancel(t.Context())
		sent := false
		_, err := w.plan().Send(ctx, w.store(), w, func(p vault.Progress) {
			if p.Blobs > 2 {
				sent = true
				cancel()
			}
		})
		cancel()
		if err == nil || !sent {
			t.Fatal(err)
		}
		w.open() // what was on its way has its name, or not
	}
	for _, dropped := range []bool{false, true} {
		w := newWorld(t)
		w.conf.Strays = 30 * 24 * time.Hour
		w.windows(2)
		cut(w)
		w.pass(24 * time.Hour)
		if r := w.prune(PruneOptions{}); r.Waiting.Files < 3 || r.Blobs > 0 {
			t.Errorf("%+v", r)
		}
		if dropped {
			if r, err := w.host.DropStrays(t.Context(), StrayOptions{Since: 2, Reason: "a test"}); err != nil || r.Files < 3 {
				t.Errorf("%+v, %v", r, err)
			}
		}
		w.serve(usual())
		w.window() // wants a whole receipt
		w.sound(1, 2, 3)
	}
	w := newWorld(t)
	w.conf.Strays = 30 * 24 * time.Hour
	w.windows(2)
	cut(w)
	w.pass(31 * 24 * time.Hour)
	if r := w.prune(PruneOptions{}); r.Blobs < 3 || r.Waiting.Files != 0 {
		t.Errorf("after 31 days: %+v", r)
	}
	w.serve(usual())
	w.window() // sends them again
	w.sound(2, 3)
	w.fill(60, 10)
	w.pass(31 * 24 * time.Hour)
	if r := w.prune(PruneOptions{}); r.Waiting.Files != 60 {
		t.Errorf("more than generations list: %+v", r)
	}
	if n := w.entries(ledger.KindAlarm); n == 0 {
		t.Error("nobody was called")
	}
}

// Where the last generation that counted is gone, what it listed is not known, and nothing
// is taken for a stray.
func TestStraysWantAllGenerations(t *testing.T) {
	w := newWorld(t)
	w.windows(3)
	w.open()
	if err := errors.Join(os.Remove(w.file(vault.GenerationPath(3))), os.Remove(w.file(vault.SignaturePath(3)))); err != nil {
		t.Fatal(err)
	}
	r, err := w.host.DropStrays(t.Context(), StrayOptions{Since: 2, Reason: "a test"})
	if !errors.Is(err, ErrHeld) || r.Files > 0 || !slices.Equal(r.Names, nil) {
		t.Errorf("%+v, %v", r, err)
	}
}
