package policies

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// File is a policy file as it was read. By its digest people and programs tell whether two
// processes run by the same one.
type File struct {
	Name   string    `json:"file"`   // absolute
	Digest string    `json:"digest"` // SHA-256 of its bytes, in hex
	Of     time.Time `json:"of"`     // when it had been written
}

// fileLimit is far above the largest policy file.
const fileLimit = 16 << 20

// ReadFile reads a policy file, and says which it is. What is not a regular file is read as
// far as a pipe gives it.
func ReadFile(name string) (text []byte, is File, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, is, err
	}
	info, err := f.Stat()
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(f, fileLimit+1))
	}
	if err == nil && len(text) > fileLimit {
		err = fmt.Errorf("%s is larger than %d MiB; is it the right file?", name, fileLimit>>20)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, is, err
	}
	if abs, err := filepath.Abs(name); err == nil { // as it is called from everywhere
		name = abs
	}
	sum := sha256.Sum256(text)
	return text, File{name, hex.EncodeToString(sum[:]), info.ModTime()}, nil
}

// Sound says whether the file, as it is now, is a site's policy without mistakes.
func (f File) Sound() bool {
	text, _, err := ReadFile(f.Name)
	if err == nil {
		_, err = Parse(f.Name, text)
	}
	return err == nil
}

// Now reads the file at the same place once more, if it is a regular one.
func (f File) Now() (File, error) {
	info, err := os.Stat(f.Name)
	if err != nil {
		return File{}, err
	}
	if !info.Mode().IsRegular() {
		return File{}, fmt.Errorf("%s is no regular file", f.Name)
	}
	_, now, err := ReadFile(f.Name)
	return now, err
}
