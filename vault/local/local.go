// Package local keeps a vault in a folder that is mounted on this machine.
package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"time"

	"airlock/vault"
)

// Store is a vault's folder. No name leads out of it, not even through a symbolic
// link (os.Root).
//
// A mount that hangs (NFS, CIFS) keeps the call to it, but not the caller: once ctx
// is done a call returns within a second and leaves what hangs behind.
type Store struct {
	root  *os.Root
	path  string
	run   string // names this Store's temporary files
	swept sync.Once
}

// Open opens the vault's folder, and makes it if the folder that it lies in is there.
func Open(folder string) (*Store, error) {
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("vault's folder %s: %w; mount its disk, or make the folder above it", folder, err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("vault's folder: %w", err)
	}
	return &Store{root: root, path: folder, run: rand.Text()}, nil
}

// Close gives the folder back.
func (s *Store) Close() error { return s.root.Close() }

// Put implements vault.Store.
func (s *Store) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	if err := vault.CheckName(name); err != nil {
		return err
	}
	return s.within(ctx, "put "+name, func() error {
		if _, err := s.root.Lstat(name); err == nil {
			return fs.ErrExist
		}
		temp, err := s.write(ctx, size, r)
		if temp == "" {
			return err
		}
		if err == nil {
			err = context.Cause(ctx)
		}
		if err == nil {
			err = s.publish(temp, name)
		}
		if gone := s.root.Remove(temp); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		if err != nil {
			return err
		}
		return s.syncFolder(path.Dir(name))
	})
}

// write fills a temporary file and makes its bytes durable. temp is "" if there is none.
func (s *Store) write(ctx context.Context, size int64, r io.Reader) (temp string, err error) {
	temp = path.Join(vault.Incoming, vault.TempName(s.run, rand.Text()))
	f, err := s.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.makeFolder(vault.Incoming); err != nil {
			return "", err
		}
		f, err = s.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return "", err
	}
	s.swept.Do(func() { s.sweep(f) })
	n, copying := io.Copy(f, &reader{ctx, r})
	if copying == nil && n != size {
		copying = fmt.Errorf("got %d bytes instead of %d", n, size)
	}
	if copying == nil {
		copying = f.Sync()
	}
	return temp, errors.Join(copying, f.Close())
}

// publish gives a whole file its name, which must still be free: link(2) never
// replaces. Where a file system knows no links (CIFS to some servers, exFAT), a
// rename that is told not to replace does as well.
func (s *Store) publish(temp, name string) error {
	err := s.root.Link(temp, name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.makeFolder(path.Dir(name)); err != nil {
			return err
		}
		err = s.root.Link(temp, name)
	}
	if err == nil || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	renaming := s.renameNoReplace(temp, name)
	if errors.Is(renaming, errors.ErrUnsupported) {
		return fmt.Errorf("%w; and renaming without replacing is not to be had either: this file system cannot keep a vault", err)
	}
	return renaming
}

// makeFolder makes a folder and those above it, and makes their names durable.
func (s *Store) makeFolder(folder string) error {
	if folder == "." {
		return nil
	}
	err := s.root.Mkdir(folder, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.makeFolder(path.Dir(folder)); err != nil {
			return err
		}
		err = s.root.Mkdir(folder, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil // another blob of the same shard came first
	}
	if err != nil {
		return err
	}
	return s.syncFolder(path.Dir(folder))
}

func (s *Store) syncFolder(folder string) error {
	d, err := s.root.Open(folder)
	if err != nil {
		return err
	}
	err = d.Sync() // makes the names in it durable
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrInvalid) {
		err = nil // some network file systems sync no folders: as far as the server can
	}
	return errors.Join(err, d.Close())
}

// sweep removes what earlier cuts left in incoming/; fresh is a file just made, which
// tells the server's time. What cannot be removed costs room, not the window.
func (s *Store) sweep(fresh *os.File) {
	now, err := fresh.Stat()
	if err != nil {
		return
	}
	files, _ := fs.ReadDir(s.root.FS(), vault.Incoming)
	for _, f := range files {
		if info, err := f.Info(); err == nil && vault.Leftover(info, s.run, now.ModTime()) {
			_ = s.root.Remove(path.Join(vault.Incoming, f.Name()))
		}
	}
}

// Open implements vault.Store.
func (s *Store) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := vault.CheckName(name); err != nil {
		return nil, err
	}
	var f *os.File
	err := s.within(ctx, "open "+name, func() (err error) {
		f, err = s.root.Open(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	if n < 0 {
		n = 1<<63 - 1 - off
	}
	return &body{reader{ctx, io.NewSectionReader(f, off, n)}, f}, nil
}

// List implements vault.Store.
func (s *Store) List(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	if !fs.ValidPath(dir) {
		return nil, fmt.Errorf("list %q: %w", dir, fs.ErrInvalid)
	}
	var infos []fs.FileInfo
	err := s.within(ctx, "list "+dir, func() error {
		files, err := fs.ReadDir(s.root.FS(), dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for _, f := range files {
			info, gone := f.Info()
			if errors.Is(gone, fs.ErrNotExist) {
				continue // a temporary file that got its name meanwhile
			}
			err = errors.Join(err, gone)
			infos = append(infos, info)
		}
		return err
	})
	return vault.Listed(infos, err)
}

// Remove implements vault.Remover.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := vault.CheckRemovable(name); err != nil {
		return err
	}
	return s.within(ctx, "remove "+name, func() error {
		err := s.root.Remove(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return s.syncFolder(path.Dir(name))
	})
}

// grace is how long a call may go on after its ctx is done, to clean up.
const grace = time.Second

// within runs one call and tells what it was about.
func (s *Store) within(ctx context.Context, what string, call func() error) error {
	err := context.Cause(ctx)
	if err == nil {
		done := make(chan error, 1)
		go func() { done <- call() }()
		select {
		case err = <-done:
		case <-ctx.Done():
			select {
			case err = <-done:
			case <-time.After(grace):
				err = errors.New("the mount hangs")
			}
			if err != nil && !errors.Is(err, context.Cause(ctx)) {
				err = errors.Join(context.Cause(ctx), err)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("vault %s: %s: %w", s.path, what, err)
	}
	return nil
}

// reader ends with its ctx.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r *reader) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(b)
}

type body struct {
	reader
	io.Closer
}
