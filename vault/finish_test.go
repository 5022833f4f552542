package vault_test

import (
	"context"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"airlock/blob"
	"airlock/vault"
)

// halving lets one of a generation's two files land, and then is gone.
type halving struct {
	vault.Store
	lost  string // the one that does not land
	other sync.WaitGroup
}

func newHalving(store vault.Store, lost string) *halving {
	h := &halving{Store: store, lost: lost}
	h.other.Add(1)
	return h
}

func (h *halving) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	if strings.TrimSuffix(name, path.Ext(name)) != strings.TrimSuffix(h.lost, path.Ext(h.lost)) {
		return h.Store.Put(ctx, name, size, r)
	}
	if name == h.lost {
		h.other.Wait()
		return errCut
	}
	defer h.other.Done()
	return h.Store.Put(ctx, name, size, r)
}

// S10: a window that is ended between a generation's manifest and its signature leaves
// nothing that the next one would tell as somebody else's: that one carries on.
func TestCutWhileSealing(t *testing.T) {
	for what, lost := range map[string][]string{
		"no signature":              {vault.SignaturePath(2)},
		"no manifest":               {vault.GenerationPath(2)},
		"twice":                     {vault.SignaturePath(2), vault.SignaturePath(3)},
		"no manifest, no signature": {vault.GenerationPath(2), vault.SignaturePath(3)},
	} {
		for _, surprised := range []bool{false, true} {
			t.Run(what, func(t *testing.T) {
				w := newWorld(t)
				w.past = &vault.Past{Made: map[blob.Sum]bool{}, Begun: map[string]int64{}}
				w.night()
				w.past.Made[w.window().Hash] = true
				if surprised { // so that the manifest is not the one that was planned
					w.overwrite(vault.BlobPath("p000000000000000000000000000020"), "junk")
				}
				for _, name := range lost {
					w.night()
					w.past.Begun[w.input().Window] = 0
					if _, err := w.plan().Send(t.Context(), newHalving(w.store, name), w, nil); err == nil {
						t.Fatal("the cut was not told")
					}
					w.reopen()
				}
				w.night()
				report := w.window()
				told := slices.DeleteFunc(report.Conflicts, func(c string) bool { return surprised && strings.Contains(c, "holds other bytes") })
				if len(told) > 0 || len(report.Strange) > 0 {
					t.Errorf("told: %q, %q", told, report.Strange)
				}
				w.intact(report.Generation, w.blobs)
				for n := int64(1); n <= report.Generation; n++ {
					_, err := vault.LoadSigned(t.Context(), w.store, n, w.trust...)
					if _, there := w.there(vault.GenerationPath(n)); there && err != nil {
						t.Errorf("generation %d stands there, and does not count: %v", n, err)
					}
				}
			})
		}
	}
}

// S10, S17: what a window was about to put makes nothing of other bytes the site's own.
func TestCutWhileSealingAndAStranger(t *testing.T) {
	w := newWorld(t)
	w.night()
	w.window()
	w.night()
	if _, err := w.plan().Send(t.Context(), newHalving(w.store, vault.SignaturePath(2)), w, nil); err == nil {
		t.Fatal("the cut was not told")
	}
	ours, _ := w.there(vault.GenerationPath(2))
	w.overwrite(vault.GenerationPath(2), strings.Replace(ours, "p", "q", 1))
	w.overwrite(vault.GenerationPath(3), ours)
	w.night()
	report := w.window()
	if len(report.Conflicts) != 1 || !strings.Contains(report.Conflicts[0], "has not signed: 2") {
		t.Errorf("told: %q", report.Conflicts)
	}
	if last := w.memory.Last(); last.Number != 4 {
		t.Errorf("generation %d was made", last.Number)
	}
	for _, n := range []int64{2, 3} {
		if _, signed := w.there(vault.SignaturePath(n)); signed {
			t.Errorf("a stranger's generation %d was signed", n)
		}
	}
}

// there gives what lies in the vault's folder, and whether anything does.
func (w *world) there(name string) (string, bool) {
	w.t.Helper()
	r, err := w.store.Open(w.t.Context(), name, 0, 1<<20)
	if err != nil {
		return "", false
	}
	text, err := io.ReadAll(r)
	must(w.t, err)
	must(w.t, r.Close())
	return string(text), true
}
