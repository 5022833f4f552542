package server

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"airlock/vault"
)

// What the site has not signed is not read, however large and many the files are: neither
// by prune nor by the list of generations. They are no generations, and keep nothing.
func TestHostReadsNoJunk(t *testing.T) {
	w := newWorld(t)
	w.windows(2)
	w.open()
	signature, err := os.ReadFile(w.file(vault.SignaturePath(2)))
	if err != nil {
		t.Fatal(err)
	}
	for n := range int64(10) {
		name := w.file(vault.GenerationPath(10 + n))
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Truncate(200<<20), f.Close(), os.WriteFile(w.file(vault.SignaturePath(10+n)), signature, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	all, err := w.host.Generations(t.Context())
	if err != nil || len(all) != 12 || all[1].Amiss != "" || all[2].Amiss == "" {
		t.Errorf("%d generations, %v", len(all), err)
	}
	if r := w.prune(PruneOptions{Try: true}); len(r.Dropped) > 0 || len(r.Unsigned) != 10 {
		t.Errorf("%+v", r)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
		t.Errorf("%d bytes were allocated", took)
	}
	if r, err := w.host.Checkout(t.Context(), 10, filepath.Join(w.dir, "out"), false); err == nil {
		t.Errorf("junk was checked out: %+v", r)
	}
	w.sound(1, 2)
}
