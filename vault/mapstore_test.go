package vault_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"airlock/vault"
	"airlock/vault/vaulttest"
)

// mapStore is a vault in memory, for tests that need many.
type mapStore struct {
	mu    sync.Mutex
	files fstest.MapFS
	// removed is called after each removal; an error of it is that of Remove.
	removed func(name string) error
	decoded map[*fstest.MapFile]*vault.Generation // by whole
}

func newMapStore() *mapStore {
	return &mapStore{files: fstest.MapFS{}, decoded: map[*fstest.MapFile]*vault.Generation{}}
}

func TestMapStore(t *testing.T) {
	vaulttest.Conformance(t, func(*testing.T) vault.Store { return newMapStore() })
}

func (m *mapStore) get(name string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.files[name]; f != nil {
		return f.Data
	}
	return nil
}

func (m *mapStore) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	if err := vault.CheckName(name); err != nil {
		return err
	}
	data, err := io.ReadAll(whileLive{ctx, r})
	if err != nil {
		return err
	}
	if int64(len(data)) != size {
		return fmt.Errorf("%d bytes instead of %d", len(data), size)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for other := range m.files {
		if other == name || strings.HasPrefix(other, name+"/") {
			return fs.ErrExist
		}
	}
	m.files[name] = &fstest.MapFile{Data: data}
	return nil
}

type whileLive struct {
	ctx context.Context
	r   io.Reader
}

func (w whileLive) Read(b []byte) (int, error) {
	if w.ctx.Err() != nil {
		return 0, context.Cause(w.ctx)
	}
	return w.r.Read(b)
}

func (m *mapStore) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := vault.CheckName(name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.files[name]
	if !ok || ctx.Err() != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fs.ErrNotExist
	}
	data := f.Data[min(off, int64(len(f.Data))):]
	if n >= 0 {
		data = data[:min(n, int64(len(data)))]
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (m *mapStore) List(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if !fs.ValidPath(dir) {
		return nil, fs.ErrInvalid
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	entries, _ := fs.ReadDir(m.files, path.Clean(dir)) // none is empty
	var infos []fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

func (m *mapStore) Remove(ctx context.Context, name string) error {
	if err := vault.CheckRemovable(name); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, name)
	if m.removed != nil {
		return m.removed(name)
	}
	return nil
}

func (m *mapStore) Close() error { return nil }
