package local_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"airlock/collectors"
	"airlock/collectors/collecttest"
	"airlock/collectors/local"
)

func fixture(t testing.TB) collecttest.Fixture {
	dir := collecttest.Dir(t)
	return collecttest.Fixture{
		Dir:        dir,
		Privileged: os.Getuid() == 0,
		POSIX:      true,
		Dial: func(ctx context.Context) (collectors.Source, error) {
			return local.Open(ctx, local.Config{Root: dir})
		},
	}
}

func TestSource(t *testing.T) { collecttest.Run(t, fixture(t)) }

func BenchmarkSource(b *testing.B) { collecttest.Bench(b, fixture(b)) }

func TestOpenRoot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Open(t.Context(), local.Config{Root: file + "-missing"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
	if _, err := local.Open(t.Context(), local.Config{Root: file}); err == nil {
		t.Error("a file was taken for a folder")
	}
}
