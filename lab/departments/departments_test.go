package departments

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// digest is every name, time and byte of a folder.
func digest(t *testing.T, folder string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(folder, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(name)
		rel, _ := filepath.Rel(folder, name)
		fmt.Fprintf(h, "%q %d %d %x\n", rel, info.ModTime().UnixNano(), info.Size(), sha256.Sum256(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func TestNightsAreAlwaysTheSame(t *testing.T) {
	for _, d := range All() {
		a, b := t.TempDir(), t.TempDir()
		var seen []string
		for _, night := range []func(string) error{d.FirstNight, d.SecondNight} {
			for _, folder := range []string{a, b} {
				if err := night(folder); err != nil {
					t.Fatal(err)
				}
			}
			if digest(t, a) != digest(t, b) {
				t.Errorf("%s: two runs differ", d.Name)
			}
			seen = append(seen, digest(t, a))
		}
		if seen[0] == seen[1] {
			t.Errorf("%s: the second night changed nothing", d.Name)
		}
	}
}
