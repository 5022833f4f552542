package vault_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"airlock/vault"
)

// S16: a vault is known again by the generations that it was left with. One that has none of
// them is sent nothing; one that lacks some is told of, and goes on.
func TestIdentity(t *testing.T) {
	at := func(w *world, names ...string) string { return filepath.Join(append([]string{w.dir}, names...)...) }
	manifest := func(w *world, n int64) string { return at(w, filepath.FromSlash(vault.GenerationPath(n))) }
	for _, c := range []struct {
		name     string
		change   func(w *world) error
		replaced bool
		gone     []int64
		another  bool
		refused  bool
	}{
		{"as it was left", func(*world) error { return nil }, false, nil, false, false},
		{"emptied", empty, false, []int64{1, 2, 3}, true, true},
		{"emptied, which is right", empty, true, []int64{1, 2, 3}, true, false},
		{"without its manifests", func(w *world) error { return os.RemoveAll(at(w, "generations")) }, false, []int64{1, 2, 3}, true, true},
		{"another one with the same numbers", func(w *world) error { return exchange(t, w) }, false, []int64{1, 2, 3}, true, true},
		{"one generation gone", func(w *world) error { return os.Remove(manifest(w, 2)) }, false, []int64{2}, false, false},
		{"rolled back", func(w *world) error { return os.Remove(manifest(w, 3)) }, false, []int64{3}, false, false},
		{"its last manifest written over", func(w *world) error {
			return errors.Join(os.Chmod(manifest(w, 3), 0o600), os.WriteFile(manifest(w, 3), []byte("{}"), 0o600))
		}, false, nil, false, false},
	} {
		w := newWorld(t)
		for range 3 {
			w.night()
			w.send()
		}
		if err := c.change(w); err != nil {
			t.Fatal(err)
		}
		w.night()
		before := names(t, w.dir)
		in := w.input()
		in.Identity = vault.Identity{Standing: []int64{1, 2, 3}, Replaced: c.replaced}
		plan, err := vault.NewPlan(in)
		if err != nil {
			t.Fatal(err)
		}
		report, err := plan.Send(t.Context(), w.store, w, nil)
		if !slices.Equal(report.Gone, c.gone) || report.Another != c.another || errors.Is(err, vault.ErrAnother) != c.refused {
			t.Errorf("%s: gone %v, another %t, %v", c.name, report.Gone, report.Another, err)
		}
		if c.refused {
			if after := names(t, w.dir); !slices.Equal(before, after) {
				t.Errorf("%s: it holds %q now, and held %q", c.name, after, before)
			}
			continue
		}
		if err != nil || report.Generation != 4 {
			t.Errorf("%s: generation %d, %v", c.name, report.Generation, err)
		}
	}
}

// send holds a window.
func (w *world) send() {
	w.t.Helper()
	if _, err := w.plan().Send(w.t.Context(), w.store, w, nil); err != nil {
		w.t.Fatal(err)
	}
}

func empty(w *world) error {
	files, err := os.ReadDir(w.dir)
	for _, f := range files {
		err = errors.Join(err, os.RemoveAll(filepath.Join(w.dir, f.Name())))
	}
	return err
}

// exchange puts another vault's files in the place of this one's.
func exchange(t *testing.T, w *world) error {
	other := newWorld(t)
	for range 3 {
		other.night()
		in := other.input()
		in.Vault = "third"
		plan, err := vault.NewPlan(in)
		if err != nil {
			return err
		}
		if _, err := plan.Send(t.Context(), other.store, other, nil); err != nil {
			return err
		}
	}
	return errors.Join(empty(w), os.CopyFS(w.dir, os.DirFS(other.dir)))
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(file string, _ os.DirEntry, err error) error {
		all = append(all, file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
