package repository

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"airlock/collectors"
)

// lying is a source whose folders have no end, or lead in circles.
type lying struct {
	listed
	list func(dir string) []fs.FileInfo
}

func (l lying) ReadDir(_ context.Context, dir string) ([]fs.FileInfo, error) { return l.list(dir), nil }
func (l lying) Stat(context.Context, string) (fs.FileInfo, error)            { return dirEntry(".", 1), nil }

func dirEntry(name string, id uint64) fs.FileInfo {
	info, _ := fs.Stat(fstest.MapFS{"x": {Mode: fs.ModeDir | 0o755, ModTime: time.Unix(1e9, 0)}}, "x")
	return collectors.NewEntry(calledOtherwise{info, name}, collectors.Marks{ID: collectors.FileID{id}})
}

type calledOtherwise struct {
	fs.FileInfo
	name string
}

func (r calledOtherwise) Name() string { return r.name }

func TestFoldersWithoutEnd(t *testing.T) {
	r, _ := fresh(t)
	wide := func(string) (all []fs.FileInfo) {
		for i := range 10 {
			all = append(all, dirEntry(fmt.Sprint("d", i), 0))
		}
		return all
	}
	_, err := r.Snapshot(t.Context(), Job{System: "wide", Source: lying{list: wide}, Bounds: Bounds{Entries: 100_000}})
	if !errors.Is(err, collectors.ErrBounds) || !strings.Contains(err.Error(), "folders in a row have not one file") {
		t.Errorf("folders without a file: %v", err)
	}
	full := func(dir string) []fs.FileInfo { return append(wide(dir), emptyFile("f")) }
	_, err = r.Snapshot(t.Context(), Job{System: "full", Source: lying{list: full}, Bounds: Bounds{Entries: 5000}})
	if !errors.Is(err, collectors.ErrBounds) || !strings.Contains(err.Error(), "more than 5000 files") {
		t.Errorf("folders with a file each: %v", err)
	}
	deep := func(string) []fs.FileInfo { return []fs.FileInfo{dirEntry("d", 0)} }
	res, err := r.Snapshot(t.Context(), Job{System: "deep", Source: lying{list: deep}})
	if err != nil || res.ErrorCount != 1 || !strings.Contains(res.Failed[0].Err, "more than 256 folders") {
		t.Errorf("a folder in a folder in a folder: %+v, %v", res, err)
	}
}

// S14: a size that no file has costs that file, and not the executor its memory.
func TestSizesThatNoFileHas(t *testing.T) {
	r, _ := fresh(t)
	src := lying{list: func(string) []fs.FileInfo {
		return []fs.FileInfo{sized{emptyFile("huge"), 1 << 62}, sized{emptyFile("negative"), -5}}
	}}
	res, err := r.Snapshot(t.Context(), Job{System: "liar", Source: src})
	if err != nil || res.ErrorCount != 2 || len(res.Failed) != 2 {
		t.Fatalf("gathered %+v, %v", res, err)
	}
	for _, f := range res.Failed {
		if !strings.Contains(f.Err, "which no file has") {
			t.Errorf("%s: %s", f.Path, f.Err)
		}
	}
}

type sized struct {
	fs.FileInfo
	size int64
}

func (s sized) Size() int64 { return s.size }

// emptyFile is an empty file, which nobody opens.
func emptyFile(name string) fs.FileInfo {
	info, _ := fs.Stat(fstest.MapFS{"x": {Mode: 0o644, ModTime: time.Unix(1e9, 0)}}, "x")
	return calledOtherwise{info, name}
}

// A server that follows links shows folders within themselves.
func TestFoldersThatLeadBack(t *testing.T) {
	r, _ := fresh(t)
	src := lying{list: func(dir string) []fs.FileInfo {
		switch dir[strings.LastIndexByte(dir, '/')+1:] {
		case ".":
			return []fs.FileInfo{dirEntry("kanja", 2), dirEntry("up", 1)}
		case "kanja":
			return []fs.FileInfo{dirEntry("xa", 3), dirEntry("xb", 4)}
		case "xa", "to-xa":
			return []fs.FileInfo{dirEntry("back", 2), dirEntry("to-xb", 4)}
		case "xb", "to-xb":
			return []fs.FileInfo{dirEntry("to-xa", 3)}
		}
		return nil
	}}
	res, err := r.Snapshot(t.Context(), Job{System: "orca", Source: src})
	if err != nil || res.ErrorCount != 0 || len(res.Loops) == 0 {
		t.Fatalf("gathered %+v, %v", res, err)
	}
	for _, want := range []string{"up -> .", "kanja/xa/back -> kanja", "kanja/xa/to-xb/to-xa -> kanja/xa"} {
		if !strings.Contains(strings.Join(res.Loops, "\n"), want) {
			t.Errorf("not told of %s, but of %q", want, res.Loops)
		}
	}
}
