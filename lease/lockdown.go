package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Lockdown is the durable fact that nobody has leave: while it stands, no lease is
// valid, whoever issues and renews it, and across restarts. It is one file, lockdown.json,
// in a site's state folder, and what counts is that the file is there; what it says is
// for people.
type Lockdown struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`  // the person's name, as the operating system knows it
	UID    int       `json:"uid"` // the person's number there; -1 where there is none
	Reason string    `json:"reason"`
}

const lockdownFile = "lockdown.json"

// Lock makes l so, and returns once that would survive a power cut. Where there is a
// lockdown already, whatever is in its file, it stays as it is, with its first author
// and reason, and Lock returns nil.
func Lock(state string, l Lockdown) error {
	file := filepath.Join(state, lockdownFile)
	if _, err := os.Lstat(file); err == nil {
		return lockdownError(syncFolder(state)) // the first Lock may have been cut before it
	}
	data, err := json.Marshal(l)
	if err != nil {
		return lockdownError(err)
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return lockdownError(err)
	}
	next, err := os.CreateTemp(state, lockdownFile+".*")
	if err != nil {
		return lockdownError(err)
	}
	_, err = next.Write(data)
	if err = errors.Join(err, next.Sync(), next.Close()); err == nil {
		err = os.Rename(next.Name(), file)
	}
	if err != nil {
		return lockdownError(errors.Join(err, os.Remove(next.Name())))
	}
	return lockdownError(syncFolder(state))
}

// Locked is the lockdown that stands, nil if there is none. One whose file cannot be
// read, or cannot be looked for, stands as well: it comes with the error, and says so
// as its reason.
func Locked(state string) (*Lockdown, error) {
	l, err := readLockdown(filepath.Join(state, lockdownFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		err = lockdownError(err)
		return &Lockdown{UID: -1, Reason: err.Error()}, err
	}
	return &l, nil
}

func readLockdown(path string) (Lockdown, error) {
	file, err := os.Open(path)
	if err != nil {
		return Lockdown{}, err
	}
	data, err := io.ReadAll(io.LimitReader(file, sizeLimit))
	if err = errors.Join(err, file.Close()); err != nil {
		return Lockdown{}, err
	}
	var l Lockdown
	if err := json.Unmarshal(data, &l); err != nil {
		return Lockdown{}, fmt.Errorf("the file %s is damaged: %w", path, err)
	}
	return l, nil
}

// Unlock ends a lockdown, and returns once that would survive a power cut. Where there
// is none, that is no error.
func Unlock(state string) error {
	err := os.Remove(filepath.Join(state, lockdownFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncFolder(state)
	}
	return lockdownError(err)
}

func lockdownError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("lockdown: %w", err)
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
