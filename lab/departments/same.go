package departments

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Same compares what was restored with what a department has: names, contents and
// modification times to the second, but for names that match a pattern of exclude. It
// says what differs, "" if nothing does.
func Same(want, got string, exclude []string) (files int, difference string, err error) {
	a, err := fingerprints(want, exclude)
	if err != nil {
		return 0, "", err
	}
	b, err := fingerprints(got, nil)
	if err != nil {
		return 0, "", err
	}
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if a[name] != b[name] {
			return len(a), "(but not " + name + ")", nil
		}
	}
	if len(b) > len(a) {
		return len(a), fmt.Sprintf("(but there are %d files too many)", len(b)-len(a)), nil
	}
	return len(a), "", nil
}

// fingerprints describes every file of a tree.
func fingerprints(dir string, exclude []string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		for _, pattern := range exclude {
			if ok, err := filepath.Match(pattern, e.Name()); ok || err != nil {
				return err
			}
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files[name] = fmt.Sprintf("%x %d %d", sha256.Sum256(data), len(data), info.ModTime().Unix())
		return err
	})
	return files, err
}
