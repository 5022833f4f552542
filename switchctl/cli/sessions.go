package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Sessions says where logins are recorded. The zero Sessions records nothing.
//
// A recording is one login, in one file of its own, called after the time and the
// switch. While it is written, its name ends in .part and the file is locked. A login
// that only read is not kept: patrols read every minute for years, what they read stands
// in the ledger, and their typing proves nothing that the switch would not say again.
// A login that changed something is kept whole, what it read before and after included.
// So that none grows for ever, a login ends of itself after an hour or a megabyte, as
// soon as nothing was changed for ten minutes; the next call makes a new one, unless it
// is to set the port, which waits for nothing (S2).
type Sessions struct {
	Dir    string // made with mode 0700 where it is missing
	Switch string // the switch's name in the files' names
	// Recorded is told of each recording that is kept, at the end of its login, whose end
	// waits for it; it must not call the Switch. It may be nil.
	Recorded func(Recording)
}

// Recording is a finished recording.
type Recording struct {
	File   string // in Dir; empty where none could be made
	Size   int64  // bytes
	SHA256 [sha256.Size]byte
	Began  time.Time
	// Broken is why it does not hold the whole login: what could not be written, or that
	// the program ended first. nil: it does.
	Broken error
}

const (
	castEnding = ".cast"
	unfinished = castEnding + ".part"
	castTime   = "20060102T150405.000000000Z"
)

// castFile is a recording that is being written, with the hash of what was.
type castFile struct {
	dir   string
	name  string // without .part
	began time.Time
	file  *os.File
	lock  *flock.Flock
	hash  hash.Hash
	size  int64
}

func (s Sessions) create(began time.Time) (*castFile, error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, err
	}
	name := began.UTC().Format(castTime) + "-" + notPlain.ReplaceAllString(s.Switch, "-") + castEnding
	part := filepath.Join(s.Dir, strings.TrimSuffix(name, castEnding)+unfinished)
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	lock := flock.New(part)
	if err := lock.Lock(); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", part, err), file.Close())
	}
	return &castFile{dir: s.Dir, name: name, began: began, file: file, lock: lock, hash: sha256.New()}, nil
}

func (f *castFile) Write(b []byte) (int, error) {
	n, err := f.file.Write(b)
	f.hash.Write(b[:n]) // never fails
	f.size += int64(n)
	return n, err
}

// finish closes the file, and keeps it or not. broken is what went wrong before; what it
// returns includes that.
func (f *castFile) finish(keep bool, broken error) (Recording, error) {
	part := f.file.Name()
	broken = errors.Join(broken, f.file.Sync(), f.file.Close())
	if keep {
		broken = errors.Join(broken, os.Rename(part, filepath.Join(f.dir, f.name)))
	} else {
		broken = errors.Join(broken, os.Remove(part))
	}
	broken = errors.Join(broken, f.lock.Close())
	return Recording{File: f.name, Size: f.size, SHA256: [sha256.Size]byte(f.hash.Sum(nil)), Began: f.began}, broken
}

// errKilled is why a recording was found unfinished.
var errKilled = errors.New("the program ended before the login did")

// Leftovers finishes the recordings of programs that ended in the middle of a login, and
// returns them in the order of their beginnings; those that another program is writing
// stay. It may be called again. A folder that is missing has none.
func Leftovers(dir string) ([]Recording, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for unfinished recordings: %w", err)
	}
	var found []Recording
	var failed []error
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), unfinished) {
			continue
		}
		r, err := leftover(filepath.Join(dir, e.Name()))
		if err != nil {
			failed = append(failed, fmt.Errorf("finish the recording %s: %w", e.Name(), err))
		} else if r != nil {
			found = append(found, *r)
		}
	}
	return found, errors.Join(failed...)
}

// leftover is nil for a recording that is being written.
func leftover(part string) (_ *Recording, err error) {
	lock := flock.New(part)
	if ours, err := lock.TryLock(); err != nil || !ours {
		return nil, errors.Join(err, lock.Close())
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	text, err := os.ReadFile(part)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // it was finished meanwhile
	}
	if err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(filepath.Base(part), unfinished) + castEnding
	if err := os.Rename(part, filepath.Join(filepath.Dir(part), name)); err != nil {
		return nil, err
	}
	var header struct{ Timestamp int64 }
	r := &Recording{File: name, Size: int64(len(text)), SHA256: sha256.Sum256(text), Broken: errKilled}
	if err := json.NewDecoder(io.LimitReader(bytes.NewReader(text), 1<<10)).Decode(&header); err == nil {
		r.Began = time.Unix(header.Timestamp, 0)
	}
	return r, nil
}
