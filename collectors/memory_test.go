package collectors

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"testing/fstest"
	"time"
)

// memory is a Source without a server: a tree that takes time to answer and can be
// lost. It counts what it is asked for.
type memory struct {
	tree  fstest.MapFS
	delay time.Duration // of every call
	fail  func(op, name string) error

	mu         sync.Mutex
	lost       bool
	closed     bool
	calls      []string
	open, most int // files
	busy, peak int // calls
}

func newMemory(files ...string) *memory {
	m := &memory{tree: fstest.MapFS{}}
	for _, name := range files {
		m.tree[name] = &fstest.MapFile{Data: []byte("contents of " + name), ModTime: time.Unix(1e9, 0)}
	}
	return m
}

func (m *memory) call(ctx context.Context, op, name string) error {
	m.mu.Lock()
	m.calls = append(m.calls, op+" "+name)
	m.busy++
	m.peak = max(m.peak, m.busy)
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.busy--
		m.mu.Unlock()
	}()
	select {
	case <-time.After(m.delay):
	case <-ctx.Done():
		return PathError(op, name, context.Cause(ctx))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.lost:
		return PathError(op, name, fmt.Errorf("%w: cable cut", ErrGone))
	case m.closed:
		return PathError(op, name, fs.ErrClosed)
	case m.fail != nil:
		return m.fail(op, name)
	}
	return nil
}

func (m *memory) lose() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lost = true
}

func (m *memory) count(prefix string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(m.calls), func(c string) bool { return !strings.HasPrefix(c, prefix) }))
}

func (m *memory) ReadDir(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	if err := m.call(ctx, "list", dir); err != nil {
		return nil, err
	}
	entries, err := m.tree.ReadDir(dir)
	infos := make([]fs.FileInfo, len(entries))
	for i, e := range entries {
		infos[i], _ = e.Info()
	}
	return infos, err
}

func (m *memory) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	if err := m.call(ctx, "stat", name); err != nil {
		return nil, err
	}
	return m.tree.Stat(name)
}

func (m *memory) Open(ctx context.Context, name string) (File, error) {
	if err := m.call(ctx, "open", name); err != nil {
		return nil, err
	}
	info, err := m.tree.Stat(name)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.open++
	m.most = max(m.most, m.open)
	m.mu.Unlock()
	return &memoryFile{m, ctx, name, info}, nil
}

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

type memoryFile struct {
	m    *memory
	ctx  context.Context
	name string
	info fs.FileInfo
}

func (f *memoryFile) Stat() (fs.FileInfo, error) { return f.info, nil }

func (f *memoryFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.m.call(f.ctx, "read", f.name); err != nil {
		return 0, err
	}
	return strings.NewReader(string(f.m.tree[f.name].Data)).ReadAt(p, off)
}

func (f *memoryFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.open--
	return nil
}

// walk lists every file below dir.
func walk(ctx context.Context, src Source, dir string) ([]string, error) {
	entries, err := src.ReadDir(ctx, dir)
	var files []string
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if !e.IsDir() {
			files = append(files, name)
			continue
		}
		below, err := walk(ctx, src, name)
		if err != nil {
			return files, err
		}
		files = append(files, below...)
	}
	return files, err
}
