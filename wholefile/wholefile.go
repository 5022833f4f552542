// Package wholefile puts a small file in the place of another, whole or not at all: whoever
// reads it, also after the machine lost its power, finds the old text or the new one.
package wholefile

import (
	"errors"
	"os"
)

// Replace puts text in the place of a file that its owner alone reads. What a cut leaves
// beside it, under the name with ".new", the next one overwrites.
func Replace(name string, text []byte) error {
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
