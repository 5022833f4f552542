//go:build linux

package exposure

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTree: the same day gives the same bytes, and changes one file in a hundred.
func TestTree(t *testing.T) {
	sums := func(days int) map[string][32]byte {
		x := tree{dir: t.TempDir(), files: 500, median: 300}
		for day := range days {
			if err := x.change(day); err != nil {
				t.Fatal(err)
			}
		}
		all := map[string][32]byte{}
		for _, file := range files(t, x.dir) {
			text, err := os.ReadFile(filepath.Join(x.dir, file))
			if err != nil {
				t.Fatal(err)
			}
			all[file] = sha256.Sum256(text)
		}
		return all
	}
	first, again, second := sums(1), sums(1), sums(2)
	if len(first) != 500 {
		t.Fatalf("%d files", len(first))
	}
	changed := 0
	for file, sum := range first {
		if again[file] != sum {
			t.Errorf("%s is another on the same day", file)
		}
		if second[file] != sum {
			changed++
		}
	}
	if changed != 5 {
		t.Errorf("%d of 500 files changed", changed)
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i], _ = filepath.Rel(dir, all[i])
	}
	return all
}

// TestIncompressible: as many bytes as asked for, and others for another seed.
func TestIncompressible(t *testing.T) {
	texts := map[string]bool{}
	for _, seed := range []uint64{1, 1, 2} {
		file := filepath.Join(t.TempDir(), "image")
		if err := incompressible(file, 1<<20+17, seed); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil || len(text) != 1<<20+17 {
			t.Fatalf("%d bytes, %v", len(text), err)
		}
		texts[string(text)] = true
	}
	if len(texts) != 2 {
		t.Errorf("%d different files of two seeds", len(texts))
	}
}

// TestRow: the median run counts, and is held to 1.25 times its own wire time and 0.3 s.
func TestRow(t *testing.T) {
	run := func(open time.Duration) figure { return figure{open: open, toVault: 100e6, fromVault: 25e6} }
	for want, runs := range map[string][]figure{
		"| 1.55 s | 9.00 s | 0.00 s | 125.0 MB | 1.00 s | 1.55 | 1.55 s: held |":   {run(9 * time.Second), run(time.Second), run(1550 * time.Millisecond)},
		"| 1.56 s | 1.56 s | 0.00 s | 125.0 MB | 1.00 s | 1.56 | 1.55 s: missed |": {run(1560 * time.Millisecond)},
	} {
		if got := (row{night: "night", way: "airlock", figures: runs}).String(); !strings.Contains(got, want) {
			t.Errorf("%s\ndoes not have\n%s", got, want)
		}
	}
}
