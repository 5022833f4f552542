package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"airlock/blob"
	"airlock/vault"
	"airlock/vault/vaulttest"
)

func TestNights(t *testing.T) {
	w := newWorld(t)
	var then []map[string][]byte
	for range 3 {
		w.night()
		plan := w.plan()
		seen := &watched{Store: w.store}
		var last vault.Progress
		report, err := plan.Send(t.Context(), seen, w, func(p vault.Progress) { last = p })
		if err != nil {
			t.Fatal(err)
		}
		then = append(then, maps.Clone(w.blobs))
		if report.Generation != int64(len(then)) || report.Blobs != len(plan.Lacking) || report.Bytes != plan.Bytes || report.Held != plan.Held {
			t.Errorf("planned %d blobs, %d bytes, %d held; did %+v", len(plan.Lacking), plan.Bytes, plan.Held, report)
		}
		if want := (vault.Progress{Blobs: report.Blobs, BlobsTotal: report.Blobs, Bytes: report.Bytes, BytesTotal: report.Bytes}); last != want {
			t.Errorf("progress ended at %+v, not %+v", last, want)
		}
		// Nothing is listed or asked with the door open that the memory knows.
		if seen.lists > 0 || seen.opens > 5 || report.Relisted != "" {
			t.Errorf("%d listings, %d openings in the window; %q", seen.lists, seen.opens, report.Relisted)
		}
		if len(report.Damaged)+len(report.Conflicts) > 0 {
			t.Errorf("report: %+v", report)
		}
		w.reopen()
	}
	for i, blobs := range then {
		w.intact(int64(i+1), blobs)
	}
	second, err := vault.Load(t.Context(), w.store, 2)
	if err != nil {
		t.Fatal(err)
	}
	last, err := vault.Load(t.Context(), w.store, 0)
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := second.Hash(); err != nil || last.Previous != sum || last.Number != 3 {
		t.Errorf("generation %d follows %s, not %s (%v)", last.Number, last.Previous, sum, err)
	}
	if got := string(vaulttest.Get(t, w.store, "kopia.maintenance.f")); got != "schedule of night 1" {
		t.Errorf("S9: the first version reads %q now", got)
	}
}

// S10: data lands before metadata, that before indexes, those before kopia's own.
func TestOrder(t *testing.T) {
	rank := func(name string) int {
		return strings.Index("pqxk", strings.NewReplacer("n", "x", "m", "x", "l", "x").Replace(name[:1]))
	}
	rapid.Check(t, func(r *rapid.T) {
		w := &world{t: t, blobs: map[string][]byte{}, sums: map[string][32]byte{}}
		memory, err := vault.OpenMemory(filepath.Join(t.TempDir(), "m"))
		if err != nil {
			r.Fatal(err)
		}
		defer memory.Close()
		w.memory = memory
		for i, class := range rapid.SliceOfN(rapid.SampledFrom([]string{"p", "q", "xn0_", "xs", "n", "m", "l", "kopia."}), 0, 40).Draw(r, "classes") {
			w.write(fmt.Sprintf("%s%024d", class, i), make([]byte, rapid.IntRange(0, 99).Draw(r, "size")))
		}
		store := newMapStore()
		held := rapid.IntRange(0, len(w.sums)).Draw(r, "held before")
		stages := rapid.Bool().Draw(r, "stages")
		in := w.input()
		early := in
		early.Blobs = in.Blobs[:held]
		for _, in := range []vault.PlanInput{early, in} {
			plan, err := vault.NewPlan(in)
			if err != nil {
				r.Fatal(err)
			}
			if len(plan.Lacking)+plan.Held != len(in.Blobs) {
				r.Errorf("%d lacking and %d held of %d", len(plan.Lacking), plan.Held, len(in.Blobs))
			}
			if !slices.IsSortedFunc(plan.Lacking, func(a, b blob.Blob) int { return rank(a.Name) - rank(b.Name) }) {
				r.Errorf("planned order: %v", plan.Lacking)
			}
			seen := &watched{Store: store}
			var to vault.Store = seen
			if stages {
				to = staging{seen}
			}
			report, err := plan.Send(t.Context(), to, w, nil)
			if err != nil {
				r.Fatal(err)
			}
			sent := slices.DeleteFunc(seen.puts, func(n string) bool { return n == ".shards" })
			if got := sent[len(sent)-1]; got != fmt.Sprintf("generations/%08d.json", report.Generation) {
				r.Errorf("the last to land was %s", got)
			}
			var names []string
			for _, put := range sent[:len(sent)-1] {
				names = append(names, strings.ReplaceAll(put, "/", ""))
			}
			if !slices.IsSortedFunc(names, func(a, b string) int { return rank(a) - rank(b) }) {
				r.Errorf("landed in this order: %v", names)
			}
			if len(names) != len(plan.Lacking) {
				r.Errorf("%d landed of %d", len(names), len(plan.Lacking))
			}
			g, err := vault.Load(t.Context(), store, report.Generation)
			if err != nil {
				r.Fatal(err)
			}
			for _, b := range in.Blobs {
				e, ok := g.Blob(b.Name)
				if !ok || !bytes.Equal(store.get(e.At()), w.blobs[b.Name]) {
					r.Errorf("blob %s is neither held nor sent", b.Name)
				}
			}
		}
	})
}

// S10: a cut at any instant leaves every earlier generation restorable, and the next
// window carries on where this one stopped.
func TestCutAnywhere(t *testing.T) {
	for _, how := range []string{"fails", "fails, with files staged", "cut in mid-upload", "answer lost", "cancelled"} {
		t.Run(how, func(t *testing.T) {
			for n := 1; ; n++ {
				if cutAt(t, how, n) {
					if n < 10 {
						t.Fatalf("only %d steps", n)
					}
					return
				}
			}
		})
	}
}

// cutAt cuts the second night at its n-th step, and says whether it ended before.
func cutAt(t *testing.T, how string, n int) (ended bool) {
	w := newWorld(t)
	w.night()
	w.window()
	first := maps.Clone(w.blobs)
	w.night()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	how, stages := strings.CutSuffix(how, ", with files staged")
	cutting := &cutStore{Store: w.store, how: how, left: int32(n), cancel: cancel}
	var to vault.Store = cutting
	if stages {
		to = staging{cutting}
	}
	report, err := w.plan().Send(ctx, to, w, nil)
	ended = cutting.steps.Load() < int32(n)
	if ended && err != nil {
		t.Fatalf("uncut: %v", err)
	}
	if !ended && err == nil {
		t.Fatalf("step %d: cut, and no error: %+v", n, report)
	}
	if how == "cancelled" && !ended && !errors.Is(err, context.Canceled) {
		t.Errorf("step %d: %v, want it to wrap the cancellation", n, err)
	}
	w.reopen()
	w.intact(1, first)
	if ended {
		return true
	}

	// What the cut window had landed is in the vault now, and stays.
	seen := &watched{Store: w.store}
	before := cutting.landed()
	report, err = w.plan().Send(t.Context(), seen, w, nil)
	if err != nil {
		t.Fatalf("step %d: the next window: %v", n, err)
	}
	for _, name := range seen.puts {
		if slices.Contains(before, name) {
			t.Errorf("step %d: %s landed twice", n, name)
		}
	}
	w.intact(1, first)
	w.intact(report.Generation, w.blobs)
	return false
}

// cutStore fails at one step and at every later one, like a door that shut.
type cutStore struct {
	vault.Store
	how    string
	left   int32
	steps  atomic.Int32
	cancel func()
	seen   watched
}

var errCut = errors.New("no route to host")

func (c *cutStore) step() error {
	if c.steps.Add(1) < c.left {
		return nil
	}
	if c.how == "cancelled" {
		c.cancel()
	}
	return errCut
}

func (c *cutStore) landed() []string { return c.seen.puts }

func (c *cutStore) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	cut := c.step()
	switch {
	case cut != nil && c.how == "cut in mid-upload":
		r = io.MultiReader(io.LimitReader(r, size/2), cutReader{})
	case cut != nil && c.how == "fails":
		return cut // the store itself sees when ctx is done
	}
	err := c.Store.Put(ctx, name, size, r)
	if err == nil {
		c.seen.mu.Lock()
		c.seen.puts = append(c.seen.puts, name)
		c.seen.mu.Unlock()
	}
	if err == nil && c.how == "answer lost" {
		return cut
	}
	return err
}

// staging makes a Stager of a store.
type staging struct{ vault.Store }

func (s staging) Stage(ctx context.Context, name string, size int64, r io.Reader) (vault.Staged, error) {
	data, err := io.ReadAll(whileLive{ctx, r})
	if err == nil && int64(len(data)) != size {
		err = fmt.Errorf("%d bytes instead of %d", len(data), size)
	}
	return stagedBytes{s.Store, name, data}, err
}

type stagedBytes struct {
	store vault.Store
	name  string
	data  []byte
}

func (f stagedBytes) Publish(ctx context.Context) error {
	return f.store.Put(ctx, f.name, int64(len(f.data)), bytes.NewReader(f.data))
}

func (stagedBytes) Abandon() {}

type cutReader struct{}

func (cutReader) Read([]byte) (int, error) { return 0, errCut }

func (c *cutStore) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := c.step(); err != nil && c.how != "cancelled" {
		return nil, err
	}
	return c.Store.Open(ctx, name, off, n)
}

// Damage never travels: a blob that is not what the catalogue says does not land.
func TestDamagedOrigin(t *testing.T) {
	w := newWorld(t)
	w.night()
	w.window()
	w.night()
	const flipped, short, gone, long = "p000000000000000000000000000020", "p000000000000000000000000000021", "q000000000000000000000000000020", "n000000000000000000000000000020"
	good := maps.Clone(w.blobs)
	w.blobs[flipped] = append([]byte{w.blobs[flipped][0] ^ 1}, w.blobs[flipped][1:]...)
	w.blobs[short] = w.blobs[short][:10]
	w.blobs[long] = append(slices.Clone(w.blobs[long]), 0)
	delete(w.blobs, gone)
	in := w.input()
	for i := range in.Blobs {
		in.Blobs[i].Size = int64(len(good[in.Blobs[i].Name]))
	}
	plan, err := vault.NewPlan(in)
	if err != nil {
		t.Fatal(err)
	}
	report, err := plan.Send(t.Context(), w.store, w, nil)
	if err != nil {
		t.Fatal(err)
	}
	bad := []string{flipped, short, gone, long}
	slices.Sort(bad)
	g, err := vault.Load(t.Context(), w.store, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, lacks := range [][]blob.Fault{report.Damaged, g.Lacks} {
		var names []string
		for _, l := range lacks {
			names = append(names, l.Name)
		}
		if slices.Sort(names); !slices.Equal(names, bad) {
			t.Errorf("lacks %v, want %v", names, bad)
		}
	}
	whole := maps.Clone(good)
	for _, name := range bad {
		delete(whole, name)
		vaulttest.Absent(t, w.store, vault.BlobPath(name))
	}
	w.intact(2, whole)

	w.blobs = good // mended: the next window brings what lacked
	if report := w.window(); report.Blobs != len(bad) || len(report.Damaged) > 0 {
		t.Errorf("the next window: %+v", report)
	}
	w.intact(3, good)
}

// What is known to be damaged before the window is not even tried, however much it is:
// the vault's own good copy stays in the generation, and the rest lacks.
func TestAmissBeforeTheWindow(t *testing.T) {
	w := newWorld(t)
	w.night()
	w.window()
	held := slices.Sorted(maps.Keys(w.blobs))
	then := maps.Clone(w.blobs)
	in := w.input()
	in.Amiss = map[string]string{}
	for _, name := range held {
		in.Amiss[name] = "it has other bytes"
	}
	for i := range 40 { // more than may turn out to be damaged in a window
		name := fmt.Sprintf("p%030d", 900+i)
		in.Blobs = append(in.Blobs, blob.Blob{Name: name, Size: 1})
		in.Amiss[name] = "it is missing"
	}
	plan, err := vault.NewPlan(in)
	if err != nil || len(plan.Lacks) != 40 || len(plan.Lacking) != 0 || plan.Held != len(held) {
		t.Fatalf("%d lack, %d are to be sent, %d held: %v", len(plan.Lacks), len(plan.Lacking), plan.Held, err)
	}
	report, err := plan.Send(t.Context(), w.store, w, nil)
	if err != nil || len(report.Damaged) != 40 {
		t.Fatalf("%+v, %v", report, err)
	}
	w.intact(2, then)
	if g, err := vault.Load(t.Context(), w.store, 2); err != nil || len(g.Lacks) != 40 || g.Lacks[0] != (blob.Fault{Name: fmt.Sprintf("p%030d", 900), Why: "it is missing"}) {
		t.Errorf("generation 2 lacks %v, %v", g.Lacks, err)
	}
}

func TestRepositoryGone(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		w.night()
	}
	plan := w.plan()
	clear(w.blobs)
	if report, err := plan.Send(t.Context(), w.store, w, nil); err == nil || !strings.Contains(err.Error(), "verify the repository") || report.Generation != 0 {
		t.Errorf("got %+v, %v", report, err)
	}
}

// S9: bytes that somebody else put under a blob's name stay, and are told of; the
// generation is whole without them.
func TestConflict(t *testing.T) {
	w := newWorld(t)
	w.night()
	w.window()
	w.night()
	const same, other = "p000000000000000000000000000020", "p000000000000000000000000000021"
	vaulttest.Put(t, w.store, vault.BlobPath(same), w.blobs[same])
	vaulttest.Put(t, w.store, vault.BlobPath(other), []byte("planted"))
	report := w.window()
	if len(report.Conflicts) != 1 || !strings.Contains(report.Conflicts[0], other) {
		t.Errorf("conflicts: %q", report.Conflicts)
	}
	if got := string(vaulttest.Get(t, w.store, vault.BlobPath(other))); got != "planted" {
		t.Errorf("what lay there reads %q now", got)
	}
	w.intact(2, w.blobs)
	if report := w.window(); report.Blobs > 0 || len(report.Conflicts) > 0 {
		t.Errorf("the next window: %+v", report)
	}
}

func TestVaultIsAnother(t *testing.T) {
	for what, change := range map[string]func(*testing.T, *world, string){
		"empty":           func(t *testing.T, w *world, _ string) { remove(t, w.dir) },
		"rolled back":     rollBack,
		"memory lost":     func(t *testing.T, w *world, _ string) { remove(t, w.state) },
		"memory damaged":  func(t *testing.T, w *world, _ string) { damage(t, filepath.Join(w.state, "generation.json")) },
		"memory older":    olderMemory,
		"manifest rotten": func(t *testing.T, w *world, _ string) { damage(t, w.file("generations/00000002.json")) },
		"manifest gone":   func(t *testing.T, w *world, _ string) { remove(t, w.file("generations/00000002.json")) },
	} {
		t.Run(what, func(t *testing.T) {
			w, older := newWorld(t), filepath.Join(t.TempDir(), "older")
			w.night()
			w.window()
			if err := os.CopyFS(older, os.DirFS(w.state)); err != nil {
				t.Fatal(err)
			}
			first := maps.Clone(w.blobs)
			w.night()
			w.window()
			change(t, w, older)
			w.reopen()
			w.night()
			report := w.window()
			if report.Relisted == "" {
				t.Errorf("nobody noticed: %+v", report)
			}
			if want := int64(3); report.Generation != want {
				t.Errorf("generation %d, want %d", report.Generation, want)
			}
			w.intact(3, w.blobs)
			if what != "empty" {
				w.intact(1, first)
			}
			if known := what != "empty" && what != "rolled back" && what != "memory older"; known && report.Blobs != 9 {
				t.Errorf("sent %d blobs, where 9 lacked", report.Blobs)
			}
			w.night()
			if report := w.window(); report.Relisted != "" || report.Generation != 4 {
				t.Errorf("the window after: %+v", report)
			}
		})
	}
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
}

// rollBack makes the vault what it was before the second night.
func rollBack(t *testing.T, w *world, _ string) {
	remove(t, w.file("generations/00000002.json"))
	for name := range w.blobs {
		if strings.HasSuffix(name[:len(name)-1], "002") {
			remove(t, w.file(vault.BlobPath(name)))
		}
	}
}

func damage(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(name, []byte("rot"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func olderMemory(t *testing.T, w *world, older string) {
	for _, name := range []string{"generation.json", "journal"} {
		old, err := os.ReadFile(filepath.Join(older, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(w.state, name), old, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestForeignVault(t *testing.T) {
	w := newWorld(t)
	w.night()
	w.window()
	in := w.input()
	in.Site = "other"
	if _, err := vault.NewPlan(in); err == nil {
		t.Error("a plan for another site's memory was made")
	}
	remove(t, w.state)
	w.reopen()
	in.Memory = w.memory
	plan, err := vault.NewPlan(in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Send(t.Context(), w.store, w, nil); err == nil || !strings.Contains(err.Error(), "site lab") {
		t.Errorf("sent to another site's vault: %v", err)
	}

	w = newWorld(t)
	vaulttest.Put(t, w.store, ".shards", []byte(`{"default":[3,3],"maxNonShardedLength":20}`))
	w.night()
	if _, err := w.plan().Send(t.Context(), w.store, w, nil); err == nil || !strings.Contains(err.Error(), "laid this folder out") {
		t.Errorf("sent into another layout: %v", err)
	}
}

func TestTornJournal(t *testing.T) {
	w := newWorld(t)
	w.night()
	cutting := &cutStore{Store: w.store, how: "fails", left: 9}
	if _, err := w.plan().Send(t.Context(), cutting, w, nil); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	held := w.plan().Held
	if held < 3 {
		t.Fatalf("only %d landed", held)
	}
	f, err := os.OpenFile(filepath.Join(w.state, "journal"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(`{"landed":{"name":"p9`)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	if got := w.plan().Held; got != held {
		t.Errorf("%d held after the power cut, %d before", got, held)
	}
	cutting = &cutStore{Store: w.store, how: "fails", left: 9}
	if _, err := w.plan().Send(t.Context(), cutting, w, nil); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	more := w.plan().Held
	if w.reopen(); more <= held || w.plan().Held != more {
		t.Errorf("%d held after another cut, and %d after another start", more, w.plan().Held)
	}
	w.window()
	w.reopen()
	w.intact(1, w.blobs)
}

// A vault that lost what landed since its last generation is found out, too.
func TestRolledBackAfterACut(t *testing.T) {
	w := newWorld(t)
	w.night()
	w.window()
	before := filepath.Join(t.TempDir(), "before")
	if err := os.CopyFS(before, os.DirFS(w.dir)); err != nil {
		t.Fatal(err)
	}
	w.night()
	cutting := &cutStore{Store: w.store, how: "fails", left: 10}
	if _, err := w.plan().Send(t.Context(), cutting, w, nil); !errors.Is(err, errCut) || len(cutting.landed()) < 3 {
		t.Fatalf("%d landed, %v", len(cutting.landed()), err)
	}
	remove(t, w.dir)
	if err := os.CopyFS(w.dir, os.DirFS(before)); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	if report := w.window(); !strings.Contains(report.Relisted, "landed last") {
		t.Errorf("nobody noticed: %+v", report)
	}
	w.intact(2, w.blobs)
}

func TestPlanRefuses(t *testing.T) {
	w := newWorld(t)
	for what, blobs := range map[string][]blob.Blob{
		"a doubled name":  {{Name: "p1"}, {Name: "p1"}},
		"an empty name":   {{Name: ""}},
		"a path":          {{Name: "p/../../x"}},
		"a negative size": {{Name: "p1", Size: -1}},
	} {
		in := w.input()
		in.Blobs = blobs
		if _, err := vault.NewPlan(in); err == nil {
			t.Errorf("%s was planned", what)
		}
	}
}

func TestReader(t *testing.T) {
	w := newWorld(t)
	w.night()
	w.night() // kopia.maintenance of night 2 only
	w.window()
	g, err := vault.Load(t.Context(), w.store, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := vault.Reader{Store: w.store, Generation: g}
	if _, err := r.Open(t.Context(), "p404", 0, -1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a blob that is not there: %v", err)
	}
	const name = "p000000000000000000000000000020"
	part, err := r.Open(t.Context(), name, 10, 20)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(part); err != nil || !bytes.Equal(got, w.blobs[name][10:30]) {
		t.Errorf("a part of a blob: %v", err)
	}
	part.Close()

	rotten := slices.Clone(w.blobs[name])
	rotten[5] ^= 1
	w.overwrite(vault.BlobPath(name), string(rotten))
	w.overwrite(vault.BlobPath("p000000000000000000000000000021"), "short")
	remove(t, w.file(vault.BlobPath("q000000000000000000000000000020")))
	whole, err := r.Open(t.Context(), name, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(whole); err == nil {
		t.Error("rotten bytes were read without an error")
	}
	whole.Close()
	report, err := vault.Check(t.Context(), w.store, g, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(report.Damaged, []string{name}) || !slices.Equal(report.Resized, []string{"p000000000000000000000000000021"}) ||
		!slices.Equal(report.Missing, []string{"q000000000000000000000000000020"}) || report.Sound() {
		t.Errorf("check: %+v", report)
	}
	if report, err := vault.Check(t.Context(), w.store, g, 0); err != nil || report.Read != 0 || len(report.Missing) != 1 {
		t.Errorf("check without reading: %+v, %v", report, err)
	}
	if report, err := vault.Check(t.Context(), w.store, g, 0.0001); err != nil || report.Read != 1 {
		t.Errorf("check of one: %+v, %v", report, err)
	}
}
