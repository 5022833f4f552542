// Package local reads a folder of this machine, or one that is mounted on it, as a
// collectors.Source.
//
// It never leaves the folder: a link that leads out of it is not followed (os.Root).
// A mount that hangs, as NFS does, hangs no call beyond its context; the system call
// that was left behind keeps one thread until the mount answers.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"airlock/collectors"
	"airlock/mount"
)

// Config says which folder.
type Config struct {
	Root string // absolute path
}

type source struct {
	*collectors.Room
	root *os.Root
}

// Open opens the folder. A folder that does not exist is fs.ErrNotExist.
func Open(ctx context.Context, c Config) (collectors.Source, error) {
	root, err := collectors.Call(ctx,
		func() (*os.Root, error) { return os.OpenRoot(c.Root) },
		func(r *os.Root) { r.Close() })
	if err != nil {
		return nil, fmt.Errorf("source folder %s: %w", c.Root, collectors.PathError("open", c.Root, explain(ctx, err)).(*fs.PathError).Err)
	}
	return source{&collectors.Room{}, root}, nil
}

func (s source) ReadDir(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	if err := collectors.CheckName(dir, ""); err != nil {
		return nil, collectors.PathError("list", dir, err)
	}
	entries, err := collectors.Call(ctx, func() ([]fs.FileInfo, error) { return s.list(ctx, dir) }, nil)
	if err != nil {
		return nil, collectors.PathError("list", dir, explain(ctx, err))
	}
	return collectors.Listing(entries), nil
}

func (s source) list(ctx context.Context, dir string) (_ []fs.FileInfo, err error) {
	f, err := s.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	list := s.Begin()
	defer list.End()
	for ctx.Err() == nil {
		some, end := f.ReadDir(1000)
		for _, e := range some {
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) { // removed since
				continue
			}
			if err == nil {
				err = list.Add(collectors.NewEntry(info, marks(info)))
			}
			if err != nil {
				return nil, err
			}
		}
		if end == io.EOF {
			break
		}
		if end != nil {
			return nil, end
		}
	}
	return list.End(), nil
}

func (s source) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	if err := collectors.CheckName(name, ""); err != nil {
		return nil, collectors.PathError("stat", name, err)
	}
	info, err := collectors.Call(ctx, func() (fs.FileInfo, error) { return s.root.Lstat(name) }, nil)
	if err != nil {
		return nil, collectors.PathError("stat", name, explain(ctx, err))
	}
	return collectors.NewEntry(info, marks(info)), nil
}

type opened struct {
	*os.File
	info fs.FileInfo
}

func (s source) Open(ctx context.Context, name string) (collectors.File, error) {
	if err := collectors.CheckName(name, ""); err != nil {
		return nil, collectors.PathError("open", name, err)
	}
	f, err := collectors.Call(ctx,
		func() (opened, error) { return s.open(name) },
		func(f opened) { f.Close() })
	if err != nil {
		return nil, collectors.PathError("open", name, explain(ctx, err))
	}
	return collectors.NewFile(ctx, name, f.File, f.info, lost), nil
}

// open looks before it opens, since opening a pipe would wait for a writer, and
// after, since the name may have changed hands between.
func (s source) open(name string) (opened, error) {
	before, err := s.root.Lstat(name)
	if err != nil {
		return opened{}, err
	}
	if !before.Mode().IsRegular() {
		return opened{}, fmt.Errorf("%w: not a file", fs.ErrInvalid)
	}
	f, err := s.root.Open(name)
	if err != nil {
		return opened{}, err
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(before, info) {
		err = errors.New("replaced while it was opened")
	}
	if err != nil {
		return opened{}, errors.Join(err, f.Close())
	}
	return opened{f, info}, nil
}

func (s source) Close() error { return s.root.Close() }

func explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return lost(err)
}

// lost finds out whether the mount is: the file is then not to blame.
func lost(err error) error {
	for _, sign := range []error{syscall.ESTALE, syscall.ENOTCONN, syscall.EHOSTDOWN, syscall.ETIMEDOUT} {
		if errors.Is(err, sign) {
			return fmt.Errorf("%w: %w", collectors.ErrGone, err)
		}
	}
	return err
}

// Place implements collectors.Placed.
func (s source) Place() (mount.Mount, error) { return mount.Of(s.root.Name()) }
