package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"airlock/vault"
)

// folder is what the vault's files lie in. No name leads out of it, not even through a
// symbolic link (os.Root).
type folder struct {
	*os.Root
	path string
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

// create makes a new file for writing in one of the host's own folders, which it makes
// if need be.
func (f *folder) create(name string) (*os.File, error) {
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
func (f *folder) settle(file *os.File) error { return errors.Join(file.Chmod(0o400), file.Sync()) }

// restore puts a whole file in the place of another, and makes that durable.
func (f *folder) restore(temp, name string) error {
	if err := f.Rename(temp, name); err != nil {
		return err
	}
	return f.syncFolder(path.Dir(name))
}

// syncFolder makes the names in a folder durable.
func (f *folder) syncFolder(name string) error {
	d, err := f.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeFolder makes one folder, and its name durable.
func (f *folder) makeFolder(name string) error {
	if err := f.Mkdir(name, 0o700); err != nil {
		return err
	}
	return f.syncFolder(path.Dir(name))
}

// errFolds says that names are not what they say.
var errFolds = errors.New("its file system takes names that differ only in case for one, so that a client could write a file's name in another way; lay the vault on one that tells them apart")

// tellsApart says errFolds where names that differ only in case are one. Where that cannot
// be found out, it says why.
func (f *folder) tellsApart() (err error) {
	if err := f.Mkdir(vault.Incoming, 0o700); err == nil {
		defer func() { err = errors.Join(err, f.drop(vault.Incoming)) }()
	}
	probe := path.Join(vault.Incoming, vault.TempName("PROBE", "case"))
	file, err := f.create(probe)
	if err != nil {
		return err
	}
	err = file.Close()
	if _, other := f.Lstat(path.Join(vault.Incoming, strings.ToUpper(path.Base(probe)))); other == nil {
		err = errors.Join(err, fmt.Errorf("vault's folder %s: %w", f.path, errFolds))
	}
	return errors.Join(err, f.drop(probe))
}

// drop removes a file; one that is gone already is dropped.
func (f *folder) drop(name string) error {
	if err := f.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// openFolder opens a folder for listing. What is not one is not opened: a pipe would
// block.
func (f *folder) openFolder(name string) (*os.File, error) {
	info, err := f.Lstat(name)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a folder: %w", name, fs.ErrInvalid)
	}
	if err != nil {
		return nil, err
	}
	return f.Open(name)
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
