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

	"airlock/state"
)

// Lockdown is the durable fact that nobody has leave: while it stands, no lease is
// valid, whoever issues and renews it, and across restarts. It is one file, lockdown.json,
// in a site's state folder, which says when, by whom and why.
type Lockdown struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`  // the person's name, as the operating system knows it
	UID    int       `json:"uid"` // the person's number there; -1 where there is none
	Reason string    `json:"reason"`
}

// nobodyKnown is who began a lockdown whose author was not told.
const nobodyKnown = "user unknown"

// Lock makes l so, and returns once that would survive a power cut. Where there is a
// lockdown already it stays as it is, with its first author and reason, and Lock returns
// nil. A file that is none, torn perhaps, is replaced.
func Lock(state state.Folder, l Lockdown) error {
	file := state.Lockdown()
	if _, err := readLockdown(file); err == nil {
		return lockdownError(syncFolder(string(state))) // the first Lock may have been cut before it
	}
	if l.At.IsZero() {
		l.At = time.Now()
	}
	if l.By == "" {
		l.By, l.UID = nobodyKnown, -1
	}
	data, err := json.Marshal(l)
	if err != nil {
		return lockdownError(err)
	}
	if err := os.MkdirAll(string(state), 0o700); err != nil {
		return lockdownError(err)
	}
	next, err := os.CreateTemp(string(state), filepath.Base(file)+".*")
	if err != nil {
		return lockdownError(err)
	}
	_, err = next.Write(data)
	if err = errors.Join(err, next.Sync(), next.Close()); err == nil {
		err = replace(next.Name(), file)
	}
	if err != nil {
		return lockdownError(errors.Join(err, os.Remove(next.Name())))
	}
	return lockdownError(syncFolder(string(state)))
}

// replace puts a file in the place of whatever is there.
func replace(next, file string) error {
	if info, err := os.Lstat(file); err == nil && info.IsDir() { // an empty one; others stay, and are told of
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return os.Rename(next, file)
}

// LockdownUnknown is why nothing is opened while nobody knows whether there is a lockdown; why
// is the error of Locked, or of whoever else was asked.
func LockdownUnknown(why error) error { return fmt.Errorf("%w; no door is opened meanwhile", why) }

// Locked is the lockdown that stands, nil if there is none. Its error says that nobody
// knows, for the file is there and cannot be read, or cannot be looked for: while that
// lasts nobody may open a door, and nothing else follows from it (S15). That no file is
// there is found out with no descriptor to spare.
func Locked(state state.Folder) (*Lockdown, error) {
	l, err := readLockdown(state.Lockdown())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the lockdown file cannot be read: %w", err)
	}
	return &l, nil
}

func readLockdown(path string) (Lockdown, error) {
	switch info, err := os.Lstat(path); {
	case err != nil:
		return Lockdown{}, err
	case !info.Mode().IsRegular(): // a pipe would never end
		return Lockdown{}, fmt.Errorf("%s is no file", path)
	}
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
		return Lockdown{}, fmt.Errorf("%s is damaged: %w", path, err)
	}
	if l.At.IsZero() || l.By == "" {
		return Lockdown{}, fmt.Errorf("%s is damaged: it does not say who locked, and when", path)
	}
	return l, nil
}

// Unlock ends a lockdown, and returns once that would survive a power cut. Where there
// is none, that is no error.
func Unlock(state state.Folder) error {
	err := os.Remove(state.Lockdown())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncFolder(string(state))
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
