package server

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/ledger"
	"airlock/vault"
)

func (w *world) prune(o PruneOptions) PruneReport {
	w.t.Helper()
	r, err := w.host.Prune(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// windows holds some of them, a day apart.
func (w *world) windows(n int) {
	w.t.Helper()
	for range n {
		w.serve(usual())
		w.night()
		w.window()
		w.pass(24 * time.Hour)
	}
}

func TestPrune(t *testing.T) {
	w := newWorld(t)
	w.windows(2)
	for name := range w.blobs { // the repository forgets all that it had
		if !strings.HasPrefix(name, "kopia.") {
			delete(w.blobs, name)
		}
	}
	w.windows(3)
	w.open()
	if tried := w.prune(PruneOptions{Try: true}); !slices.Equal(tried.Dropped, []int64{1, 2}) {
		t.Errorf("it would drop %v", tried.Dropped)
	}
	w.sound(1, 2, 3, 4, 5)
	r := w.prune(PruneOptions{})
	// 18 blobs of two nights, and the second night's version of kopia.maintenance; the
	// first one lies under its own name, and went with generation 1.
	if !slices.Equal(r.Dropped, []int64{1, 2}) || r.Kept != 3 || r.Blobs != 20 || r.Strays != 0 {
		t.Errorf("%+v", r)
	}
	w.sound(3, 4, 5)
	if again := w.prune(PruneOptions{}); len(again.Dropped) > 0 || again.Blobs > 0 {
		t.Errorf("again: %+v", again)
	}
	for _, gone := range []string{vault.GenerationPath(1), vault.SignaturePath(2), vault.ReceiptPath(1)} {
		if _, err := os.Stat(w.file(gone)); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", gone, err)
		}
	}
	w.windows(1) // the site's memory and the vault still agree
	w.sound(3, 4, 5, 6)
}

func TestBrake(t *testing.T) {
	w := newWorld(t)
	w.conf.Brake = 1
	w.windows(6)
	w.open()
	if _, err := w.host.Prune(t.Context(), PruneOptions{}); !errors.Is(err, ErrHeld) {
		t.Errorf("three generations went past a brake at one: %v", err)
	}
	w.sound(1, 2, 3, 4, 5, 6)
	if n := w.entries(ledger.KindAlarm); n != 1 {
		t.Errorf("%d alarms", n)
	}
	if r := w.prune(PruneOptions{Brake: 3}); len(r.Dropped) != 3 {
		t.Errorf("a person let three go: %+v", r)
	}
	w.sound(4, 5, 6)
}

// entries counts the ledger's entries of a kind.
func (w *world) entries(kind ledger.Kind) int {
	w.t.Helper()
	if err := w.host.ledger.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, err := range w.host.ledger.Entries(w.t.Context(), ledger.Filter{Kind: kind}) {
		if err != nil {
			w.t.Fatal(err)
		}
		n++
	}
	return n
}

// Whoever sets the clock has nothing expire, until a person says that it is right.
func TestClockHoldsPrune(t *testing.T) {
	w := newWorld(t)
	w.windows(5)
	w.open()
	w.prune(PruneOptions{Try: true}) // sees the clock
	w.mu.Lock()
	w.ahead += 10 * 365 * 24 * time.Hour
	w.mu.Unlock()
	for range 2 { // it stays so
		if _, err := w.host.Prune(t.Context(), PruneOptions{}); !errors.Is(err, ErrHeld) {
			t.Errorf("the clock jumped by ten years: %v", err)
		}
	}
	w.sound(1, 2, 3, 4, 5)
	if n := w.entries(ledger.KindAlarm); n != 1 {
		t.Errorf("%d alarms", n)
	}
	if r := w.prune(PruneOptions{ClockRight: true}); len(r.Dropped) != 2 {
		t.Errorf("a person said that it is right: %+v", r)
	}
}

// A generation that the site has not signed takes no place, and its blobs stay as long
// as it does.
func TestUnsignedTakesNoPlace(t *testing.T) {
	w := newWorld(t)
	w.conf.Keep = vault.Keep{Last: 1, MinCount: 1}
	w.windows(1)
	w.serve(usual())
	store := w.store()
	forged := vault.Generation{Number: 2, Site: "lab", Vault: "secondary", Window: "forged", Time: time.Now().UTC().Truncate(time.Millisecond)}
	file, err := forged.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), vault.GenerationPath(2), int64(len(file)), strings.NewReader(string(file))); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), vault.GenerationPath(3), 4, strings.NewReader("junk")); err != nil {
		t.Fatal(err)
	}
	if r, err := store.Open(t.Context(), vault.ReceiptPath(2), 0, -1); err == nil {
		r.Close()
		t.Error("the host vouched for a generation that nobody signed")
	}
	w.prune(PruneOptions{})
	w.sound(1)
	w.pass(48 * time.Hour)
	if r := w.prune(PruneOptions{}); !slices.Equal(r.Dropped, []int64{2, 3}) {
		t.Errorf("%+v", r)
	}
	w.sound(1)
}

// Damage is found, told in the next receipt, and mended in the same window by the very
// bytes that were lost, and by no others.
func TestDamageIsMended(t *testing.T) {
	w := newWorld(t)
	w.windows(2)
	w.serve(usual())
	var names []string
	for name := range w.blobs {
		if !strings.HasPrefix(name, "kopia.") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	w.spoil(vault.BlobPath(names[0]))
	if err := os.Remove(w.file(vault.BlobPath(names[1]))); err != nil {
		t.Fatal(err)
	}
	report, err := w.host.Verify(t.Context(), VerifyOptions{})
	if err != nil || len(report.Damaged) != 2 || report.Left != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	store := w.store()
	for _, name := range names[:2] {
		if err := store.Put(t.Context(), vault.BlobPath(name), 5, strings.NewReader("other")); err == nil {
			t.Errorf("other bytes took the place of %s", name)
		}
	}
	w.night()
	sent := w.window()
	if sent.Resent != 2 {
		t.Errorf("sent again: %d", sent.Resent)
	}
	w.sound(1, 2, 3)
	if report, err = w.host.Verify(t.Context(), VerifyOptions{}); err != nil || len(report.Damaged) != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// What the site no longer has stays lost, and the receipt says so.
func TestLostForGood(t *testing.T) {
	w := newWorld(t)
	w.windows(1)
	w.serve(usual())
	name := "p" + strings.Repeat("0", 28) + "10"
	if w.blobs[name] == nil {
		t.Fatal(name)
	}
	w.spoil(vault.BlobPath(name))
	if _, err := w.host.Verify(t.Context(), VerifyOptions{}); err != nil {
		t.Fatal(err)
	}
	plan := w.plan()
	delete(w.blobs, name)
	sent, err := plan.Send(t.Context(), w.store(), w, nil)
	if err != nil || sent.Receipt == nil || len(sent.Receipt.Lacks) != 1 || sent.Receipt.Lacks[0].Name != name || len(sent.Damaged) != 1 {
		t.Errorf("%+v, %v", sent, err)
	}
}

// A verification that is cut is carried on by the next, and reads nothing twice.
func TestVerifyIsCarriedOn(t *testing.T) {
	w := newWorld(t)
	w.windows(2)
	w.open()
	all, _, err := w.host.index.count(t.Context(), w.now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	read, runs := 0, 0
	for left := all; left > 0; runs++ {
		ctx, cut := context.WithCancel(t.Context())
		files := 0
		report, err := w.host.Verify(ctx, VerifyOptions{Progress: func(p VerifyProgress) {
			if files++; files > 12 {
				cut()
			}
		}})
		cut()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if report.Files == 0 {
			t.Fatal("a run that reads nothing")
		}
		read, left = read+report.Files, report.Left
	}
	if read != all || runs < 3 {
		t.Errorf("%d files of %d read in %d runs", read, all, runs)
	}
}

func TestVerifyKeepsToItsBudget(t *testing.T) {
	w := newWorld(t)
	w.windows(1)
	w.open()
	report, err := w.host.Verify(t.Context(), VerifyOptions{Budget: time.Nanosecond})
	if err != nil || report.Files != 0 || report.Left == 0 || report.Overdue {
		t.Errorf("%+v, %v", report, err)
	}
	w.pass(60 * 24 * time.Hour)
	if report, err = w.host.Verify(t.Context(), VerifyOptions{Budget: time.Nanosecond}); err != nil || !report.Overdue {
		t.Errorf("nothing was read for 60 days: %+v, %v", report, err)
	}
}

// Without its index the host takes stock, reads what it finds, and vouches for it again.
func TestIndexIsMadeAnew(t *testing.T) {
	w := newWorld(t)
	w.windows(2)
	w.stop()
	for _, name := range []string{"index.db", "index.db-wal", "index.db-shm"} {
		if err := os.Remove(w.conf.State + "/" + name); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	w.serve(usual())
	w.night()
	w.window() // wants a whole receipt
	w.sound(1, 2, 3)
	report, err := w.host.Verify(t.Context(), VerifyOptions{})
	if err != nil || len(report.Damaged) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}
