package repository

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/collectors"
)

// disk is a collectors.Source over a folder.
type disk string

func (d disk) at(name string) string { return filepath.Join(string(d), filepath.FromSlash(name)) }

func (d disk) ReadDir(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	entries, err := os.ReadDir(d.at(dir))
	var infos []fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		if info.IsDir() || info.Mode().IsRegular() {
			infos = append(infos, info)
		}
	}
	return infos, err
}

func (d disk) Stat(_ context.Context, name string) (fs.FileInfo, error) { return os.Lstat(d.at(name)) }

func (d disk) Open(ctx context.Context, name string) (collectors.File, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return os.Open(d.at(name))
}

func (d disk) Close() error { return nil }

// hooked is a source on which a test lays its hands.
type hooked struct {
	collectors.Source
	list func(ctx context.Context, dir string) ([]fs.FileInfo, error) // answers instead if it returns something
	open func(ctx context.Context, name string) error
	read func(ctx context.Context, name string, off int64) error // before each ReadAt
}

func (h hooked) ReadDir(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	if h.list != nil {
		if infos, err := h.list(ctx, dir); infos != nil || err != nil {
			return infos, err
		}
	}
	return h.Source.ReadDir(ctx, dir)
}

func (h hooked) Open(ctx context.Context, name string) (collectors.File, error) {
	if h.open != nil {
		if err := h.open(ctx, name); err != nil {
			return nil, err
		}
	}
	f, err := h.Source.Open(ctx, name)
	if err != nil || h.read == nil {
		return f, err
	}
	return hookedFile{f, func(off int64) error { return h.read(ctx, name, off) }}, nil
}

type hookedFile struct {
	collectors.File
	before func(off int64) error
}

func (f hookedFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.before(off); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

// noise is n bytes that neither compress nor repeat, the same for the same seed.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	r := newChaCha(seed)
	r.Read(b)
	return b
}

// plant makes files below dir: names that end in "/" are folders. All times are old.
func plant(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for name, content := range files {
		at := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(at, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(at), 0o755))
		must(t, os.WriteFile(at, content, 0o644))
	}
	old := time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.UTC)
	must(t, filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(name, old, old)
	}))
}

// sameTrees compares names, kinds, contents and modification times, except of names
// that begin with one of except.
func sameTrees(t testing.TB, want, got string, except ...string) {
	t.Helper()
	a, b := survey(t, want, except), survey(t, got, except)
	for name, info := range a {
		other, ok := b[name]
		switch {
		case !ok:
			t.Errorf("%q is missing", name)
		case info.IsDir() != other.IsDir():
			t.Errorf("%q is of another kind", name)
		case !info.ModTime().Equal(other.ModTime()):
			t.Errorf("%q: modification time %v, want %v", name, other.ModTime(), info.ModTime())
		case !info.IsDir() && !bytes.Equal(readFile(t, filepath.Join(want, name)), readFile(t, filepath.Join(got, name))):
			t.Errorf("%q has other contents", name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			t.Errorf("%q is too much", name)
		}
	}
}

func survey(t testing.TB, dir string, except []string) map[string]fs.FileInfo {
	t.Helper()
	all := map[string]fs.FileInfo{}
	must(t, filepath.WalkDir(dir, func(at string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, at)
		if err != nil || slices.ContainsFunc(except, func(p string) bool { return strings.HasPrefix(name, p) }) {
			return err
		}
		all[name], err = e.Info()
		return err
	}))
	return all
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	must(t, err)
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
