package local

import (
	"errors"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// renameNoReplace renames if the new name is free. errors.ErrUnsupported where the
// file system does not know how.
func (s *Store) renameNoReplace(temp, name string) error {
	from, err := s.root.Open(path.Dir(temp))
	if err != nil {
		return err
	}
	to, err := s.root.Open(path.Dir(name))
	if err != nil {
		return errors.Join(err, from.Close())
	}
	err = unix.Renameat2(int(from.Fd()), path.Base(temp), int(to.Fd()), path.Base(name), unix.RENAME_NOREPLACE)
	if err == unix.EINVAL || err == unix.ENOSYS {
		err = errors.ErrUnsupported
	} else if err != nil {
		err = &os.LinkError{Op: "renameat2", Old: temp, New: name, Err: err}
	}
	return errors.Join(err, from.Close(), to.Close())
}
