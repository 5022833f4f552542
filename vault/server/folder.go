package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// folder is what the vault's files lie in. No name leads out of it, not even through a
// symbolic link (os.Root).
type folder struct {
	*os.Root
	path string
	// step is called before each change, with what it is to be; nil but in tests, which
	// end there what a cut would end.
	step func(what, name string) error
}

// receiptsDir is the host's own, beside incoming/.
const receiptsDir = "receipts"

// openFolder opens the vault's folder, and makes it if the folder above it is there.
func openFolder(dir string) (*folder, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("vault's folder %s: %w; mount its disk, or make the folder above it", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("vault's folder: %w", err)
	}
	return &folder{Root: root, path: dir}, nil
}

func (f *folder) before(what, name string) error {
	if f.step == nil {
		return nil
	}
	return f.step(what, name)
}

// create makes a new file for writing in one of the host's own folders, which it makes
// if need be.
func (f *folder) create(name string) (*os.File, error) {
	if err := f.before("create", name); err != nil {
		return nil, err
	}
	const fresh = os.O_RDWR | os.O_CREATE | os.O_EXCL
	file, err := f.OpenFile(name, fresh, 0o600)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	if err := f.makeFolder(path.Dir(name)); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return f.OpenFile(name, fresh, 0o600)
}

// settle makes a file's bytes durable, and the file unwritable.
func (f *folder) settle(file *os.File, name string) error {
	if err := f.before("sync", name); err != nil {
		return err
	}
	return errors.Join(file.Chmod(0o400), file.Sync())
}

// publish gives a whole file its name, which must be free: link(2) never replaces.
func (f *folder) publish(temp, name string) error {
	if err := f.before("link", name); err != nil {
		return err
	}
	if err := f.Link(temp, name); err != nil {
		return err
	}
	return f.settleName(temp, name)
}

// restore puts a whole file in the place of a damaged one.
func (f *folder) restore(temp, name string) error {
	if err := f.before("rename", name); err != nil {
		return err
	}
	if err := f.Rename(temp, name); err != nil {
		return err
	}
	return f.syncFolder(path.Dir(name))
}

func (f *folder) settleName(temp, name string) error {
	if err := f.syncFolder(path.Dir(name)); err != nil {
		return err
	}
	if err := f.before("unlink", temp); err != nil {
		return err
	}
	return f.Remove(temp)
}

// syncFolder makes the names in a folder durable.
func (f *folder) syncFolder(name string) error {
	if err := f.before("syncdir", name); err != nil {
		return err
	}
	d, err := f.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeFolder makes one folder, and its name durable.
func (f *folder) makeFolder(name string) error {
	if err := f.before("mkdir", name); err != nil {
		return err
	}
	if err := f.Mkdir(name, 0o700); err != nil {
		return err
	}
	return f.syncFolder(path.Dir(name))
}

// drop removes a file; one that is gone already is dropped.
func (f *folder) drop(name string) error {
	if err := f.before("remove", name); err != nil {
		return err
	}
	if err := f.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// openRegular opens a file for reading. What is not a regular file is not opened: a pipe
// would block.
func (f *folder) openRegular(name string) (*os.File, error) {
	info, err := f.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file: %w", name, fs.ErrInvalid)
	}
	if err != nil {
		return nil, err
	}
	return f.Open(name)
}
