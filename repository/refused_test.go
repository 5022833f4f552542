package repository

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"airlock/collectors"
)

// listed is a source with names that no disk here can hold.
type listed struct{ fstest.MapFS }

func (l listed) ReadDir(_ context.Context, dir string) ([]fs.FileInfo, error) {
	entries, err := l.MapFS.ReadDir(dir)
	infos := make([]fs.FileInfo, len(entries))
	for i, e := range entries {
		infos[i], _ = e.Info()
	}
	return infos, err
}

func (l listed) Stat(_ context.Context, name string) (fs.FileInfo, error) { return l.MapFS.Stat(name) }

func (l listed) Open(_ context.Context, name string) (collectors.File, error) {
	f, err := l.MapFS.Open(name)
	if err != nil {
		return nil, err
	}
	return f.(collectors.File), nil
}

func (l listed) Close() error { return nil }

// What the target does not take is named, and everything else is restored.
func TestRestoreGoesOn(t *testing.T) {
	r, _ := fresh(t)
	long, tree := strings.Repeat("検査結果報告書", 14), fstest.MapFS{}
	for i := range 40 {
		tree[fmt.Sprintf("d/k%d/a.txt", i)] = &fstest.MapFile{Data: []byte("x")}
	}
	tree["d/k20/"+long+".txt"] = &fstest.MapFile{Data: []byte("long name")}
	tree["d/"+long+"/1"] = &fstest.MapFile{Data: []byte("1")}
	tree["d/"+long+"/deeper/2"] = &fstest.MapFile{Data: []byte("2")}
	made := snap(t, r, "orca", listed{tree})
	if len(made.TooLong) != 2 {
		t.Errorf("the gathering tells of %q", made.TooLong)
	}
	dir := filepath.Join(t.TempDir(), "out")
	res, err := r.Restore(t.Context(), made.ID, dir, RestoreOptions{})
	if err == nil || !strings.Contains(err.Error(), "40 of 43 files were restored; 2 names were not") {
		t.Errorf("restored %+v: %v", res, err)
	}
	if res.Files != 40 || res.Wanted != 43 || res.ErrorCount != 2 || len(res.Failed) != 2 {
		t.Errorf("restored %+v", res)
	}
	for _, f := range res.Failed {
		if !strings.HasPrefix(f.Err, "file name too long") {
			t.Errorf("%s: %s", f.Path, f.Err)
		}
	}
	if found, err := filepath.Glob(filepath.Join(dir, "d/*/a.txt")); err != nil || len(found) != 40 {
		t.Errorf("%d files are there, %v", len(found), err)
	}
}

// A target that takes capitals for small letters has a file or a folder already.
func TestRestoreOverCapitals(t *testing.T) {
	r, _ := fresh(t)
	src, dir := t.TempDir(), t.TempDir()
	plant(t, src, map[string][]byte{"Kensa.txt": []byte("other letters"), "ct/1": []byte("1"), "mr/2": []byte("2"), "last": []byte("l")})
	id := snap(t, r, "orca", disk(src)).ID
	plant(t, dir, map[string][]byte{"Kensa.txt": []byte("there already"), "ct/": nil})
	root, err := os.OpenRoot(dir)
	must(t, err)
	man, tree, err := r.wanted(t.Context(), id, Part{})
	must(t, err)
	res, err := r.restoreInto(t.Context(), root, man, tree, RestoreOptions{})
	if err == nil || res.Files != 3 || res.Wanted != 4 || len(res.Failed) != 2 {
		t.Errorf("restored %+v: %v", res, err)
	}
	if got := readFile(t, filepath.Join(dir, "Kensa.txt")); string(got) != "there already" {
		t.Errorf("it was replaced by %q", got)
	}
}

func TestRestoreEnds(t *testing.T) {
	for err, ends := range map[error]bool{
		syscall.ENOSPC: true, syscall.EROFS: true, syscall.EDQUOT: true, syscall.EIO: true,
		syscall.ENAMETOOLONG: false, syscall.EINVAL: false, syscall.EILSEQ: false, syscall.EACCES: false, syscall.EPERM: false, syscall.EFBIG: false,
	} {
		if got := hopeless(&os.PathError{Op: "open", Path: "x", Err: err}); got != ends {
			t.Errorf("%v ends a restore: %v", err, got)
		}
	}
}

func TestRestorePart(t *testing.T) {
	r, _ := fresh(t)
	src := t.TempDir()
	plant(t, src, map[string][]byte{
		"a/x/1": []byte("1"), "a/x/2.tmp": []byte("2"), "a/y/1": []byte("1"), "b": []byte("b"), "b2": []byte("no"), "c/x/1": []byte("1"), "c/x/2.tmp": []byte("2"),
	})
	id := snap(t, r, "orca", disk(src)).ID
	for _, c := range []struct {
		part Part
		want []string
	}{
		{Part{Paths: []string{"/a/x/"}}, []string{"a/x/1", "a/x/2.tmp"}},
		{Part{Paths: []string{"b", "a/y"}}, []string{"a/y/1", "b"}},
		{Part{Exclude: []string{"*.tmp"}}, []string{"a/x/1", "a/y/1", "b", "b2", "c/x/1"}},
		{Part{Paths: []string{"c"}, Exclude: []string{"/c/x/1"}}, []string{"c/x/2.tmp"}},
	} {
		dir := filepath.Join(t.TempDir(), "out")
		res, err := r.Restore(t.Context(), id, dir, RestoreOptions{Part: c.part})
		must(t, err)
		var got []string
		must(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
			if !d.IsDir() {
				got = append(got, name)
			}
			return err
		}))
		if !slices.Equal(got, c.want) || res.Files != int64(len(c.want)) || res.Wanted != res.Files {
			t.Errorf("%+v gives %q, %+v; want %q", c.part, got, res, c.want)
		}
		if needs, err := r.Needs(t.Context(), id, c.part); err != nil || len(needs) == 0 {
			t.Errorf("%+v needs %q, %v", c.part, needs, err)
		}
	}
	for _, bad := range []Part{{Paths: []string{"a/z"}}, {Paths: []string{"b/x"}}, {Paths: []string{"../x"}}, {Exclude: []string{"["}}} {
		if _, err := r.Restore(t.Context(), id, filepath.Join(t.TempDir(), "out"), RestoreOptions{Part: bad}); err == nil {
			t.Errorf("%+v was restored", bad)
		}
	}
	if _, err := r.Restore(t.Context(), id, t.TempDir(), RestoreOptions{Part: Part{Paths: []string{"a/z"}}}); !errors.Is(err, ErrNoPath) {
		t.Errorf("no such path: %v", err)
	}
}

// A disk image takes no more room than it did.
func TestRestoreSparse(t *testing.T) {
	r, _ := fresh(t)
	src := t.TempDir()
	image := make([]byte, 9<<20+123)
	copy(image[5<<20+77:], noise(3, 100_000))
	plant(t, src, map[string][]byte{"vm.img": image, "zeros": make([]byte, 3<<20), "small": make([]byte, 10)})
	dir := restored(t, &r.View, snap(t, r, "orca", disk(src)).ID)
	sameTrees(t, src, dir)
	for name, most := range map[string]int64{"vm.img": 512 << 10, "zeros": 64 << 10} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if on := info.Sys().(*syscall.Stat_t).Blocks * 512; on > most {
			t.Errorf("%s takes %d bytes of the disk", name, on)
		}
	}
}
