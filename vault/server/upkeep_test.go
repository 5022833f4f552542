package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof/notetest"
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

// A generation that the site has not signed takes no place, and goes once it is old.
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
	if r := w.prune(PruneOptions{}); !slices.Equal(r.Unsigned, []int64{2, 3}) || len(r.Dropped) > 0 {
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

// A verification by a host that nobody serves, and whose state was lost, reads what lies
// there, and does not call nothing sound.
func TestVerifyKnowsWhatLiesThere(t *testing.T) {
	w := newWorld(t)
	w.windows(1)
	w.stop()
	before := w.open()
	want, err := before.Verify(t.Context(), VerifyOptions{})
	if err != nil || want.Files == 0 {
		t.Fatalf("%+v, %v", want, err)
	}
	w.stop()
	for _, name := range []string{"index.db", "index.db-wal", "index.db-shm"} {
		if err := os.Remove(filepath.Join(w.conf.State, name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	r, err := w.open().Verify(t.Context(), VerifyOptions{})
	if err != nil || r.Files != want.Files || len(r.Damaged) > 0 {
		t.Errorf("%d files were read, not %d: %+v, %v", r.Files, want.Files, r.Damaged, err)
	}
}

// A manifest that has changed on the disk does not say what may be removed.
func TestPruneWantsWhatArrived(t *testing.T) {
	w := newWorld(t)
	w.windows(5)
	w.open()
	name := w.file(vault.GenerationPath(4))
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndex(string(file), `","size"`) // the end of the last blob's name
	other := string(file[:at-1]) + "9" + string(file[at:])
	if g, err := vault.Decode([]byte(other)); err != nil || other == string(file) {
		t.Fatal(g, err) // it is as sound as before, to look at
	}
	if err := errors.Join(os.Chmod(name, 0o600), os.WriteFile(name, []byte(other), 0o600)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := w.host.Prune(t.Context(), PruneOptions{}); err == nil || !strings.Contains(err.Error(), "00000004") && !strings.Contains(err.Error(), "generation 4") {
			t.Errorf("prune: %v", err)
		}
		if all, err := w.host.Generations(t.Context()); err != nil || all[len(all)-2].Amiss == "" {
			t.Errorf("the list: %+v, %v", all, err)
		}
	}
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	w.sound(3, 4, 5)
}

// A generation whose signature is damaged, or by a key that the site has no more, still
// has the host's own receipt, and does not expire sooner than others.
func TestReceiptCountsForSignature(t *testing.T) {
	w := newWorld(t)
	w.windows(3)
	w.spoil(vault.SignaturePath(2))
	if err := os.Remove(w.file(vault.SignaturePath(3))); err != nil {
		t.Fatal(err)
	}
	w.pass(48 * time.Hour)
	w.open()
	if r := w.prune(PruneOptions{}); len(r.Dropped) > 0 || r.Kept != 3 {
		t.Errorf("%+v", r)
	}
	_, w.conf.Site = notetest.Keys(t, "lab")
	w.open()
	if r := w.prune(PruneOptions{}); len(r.Dropped) > 0 || r.Kept != 3 {
		t.Errorf("with another key of the site: %+v", r)
	}
	if err := os.Remove(w.file(vault.ReceiptPath(2))); err != nil {
		t.Fatal(err)
	}
	if r := w.prune(PruneOptions{}); !slices.Equal(r.Unsigned, []int64{2}) {
		t.Errorf("with neither: %+v", r)
	}
}

// Damage that the new generation does not list is told as well.
func TestReceiptTellsOfOlderDamage(t *testing.T) {
	w := newWorld(t)
	w.windows(2)
	lost := vault.BlobPath("p" + strings.Repeat("0", 28) + "10")
	delete(w.blobs, "p"+strings.Repeat("0", 28)+"10")
	w.spoil(lost)
	w.serve(usual())
	if _, err := w.host.Verify(t.Context(), VerifyOptions{}); err != nil {
		t.Fatal(err)
	}
	w.night()
	if r := w.window().Receipt; len(r.Alarms) != 1 || !strings.Contains(r.Alarms[0], lost) {
		t.Errorf("%+v", r)
	}
}

// What is damaged or missing is in the report of a checkout, and the rest is laid out.
func TestCheckout(t *testing.T) {
	w := newWorld(t)
	w.windows(2)
	w.open()
	for _, c := range []struct {
		what, dir, want string
		number          int64
	}{
		{"inside the vault", filepath.Join(w.conf.Folder, "out"), "own folder", 1},
		{"the vault itself", w.conf.Folder, "own folder", 1},
		{"a folder with something in it", w.conf.State, "not empty", 1},
		{"no such generation", filepath.Join(w.dir, "none"), "no generation 9", 9},
	} {
		if _, err := w.host.Checkout(t.Context(), c.number, c.dir, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	names := []string{"p" + strings.Repeat("0", 28) + "10", "p" + strings.Repeat("0", 28) + "11"}
	if err := os.Remove(w.file(vault.BlobPath(names[0]))); err != nil {
		t.Fatal(err)
	}
	w.spoil(vault.BlobPath(names[1]))
	for byCopy, missing := range map[bool]int{false: 1, true: 2} {
		dir := filepath.Join(w.dir, fmt.Sprint("out-", byCopy))
		r, err := w.host.Checkout(t.Context(), 2, dir, byCopy)
		if err != nil || len(r.Missing) != missing || r.Blobs+missing != len(w.blobs) || r.Untrusted != "" {
			t.Errorf("copying %v: %+v, %v", byCopy, r, err)
		}
		shards, err := os.ReadFile(filepath.Join(dir, vault.ShardsName))
		if err != nil || string(shards) != vault.ShardsFile {
			t.Errorf("%q, %v", shards, err)
		}
	}
	_, w.conf.Site = notetest.Keys(t, "lab")
	w.open()
	if r, err := w.host.Checkout(t.Context(), 2, filepath.Join(w.dir, "other"), false); err != nil || r.Untrusted == "" {
		t.Errorf("of another site: %+v, %v", r, err)
	}
}
