// Package wholefile puts a small file in the place of another, durably, whole or not at all:
// whoever reads it, also after the machine lost its power, finds the old text or the new one.
package wholefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace puts text in the place of a file, durably once it returns nil. mode is that of the
// new file. What a cut leaves beside it, under the name with ".new", the next one overwrites.
func Replace(name string, text []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
