package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"airlock/ledger/proof"
)

// Aside is what the first entry of a new ledger says of the one before.
type Aside struct {
	File string   `json:"file"`           // the one before has this name now, in the same folder
	Why  string   `json:"why"`            // what was found
	Head string   `json:"head,omitempty"` // its last signed head, as far as that can be read
	Held []string `json:"held,omitempty"` // heads that were kept elsewhere; they are not this ledger's
}

// Replaces says what this ledger stands in the place of, if it does.
func (r *Reader) Replaces(ctx context.Context) (before Aside, ok bool, err error) {
	for e, err := range r.Entries(ctx, Filter{Kind: KindLedger}) {
		if err != nil || e.Seq != 1 {
			return Aside{}, false, err
		}
		if err := json.Unmarshal(e.Detail, &before); err != nil {
			return Aside{}, false, fmt.Errorf("ledger %s: its first entry: %w", r.path, err)
		}
		return before, true, nil
	}
	return Aside{}, false, nil
}

// SetAside moves a ledger that is damaged, or cannot be trusted, out of the way, with its
// -wal and -shm, under a name that says when; nothing in it is changed. The next Open
// begins a new ledger, whose first entry is of kind ledger and names the old file, its last
// head and those that were kept elsewhere; entries of the emergency file follow. last is that head, or the zero Head if there is none that
// can be read; nobody looked at its signature. Like Open, it is for the process that
// holds the site's lock. After an error it may be called again.
func SetAside(path string, why error, held ...string) (moved string, last proof.Head, err error) {
	now := time.Now().UTC()
	moved = strings.TrimSuffix(path, ".db") + now.Format(".damaged-20060102T150405.000Z") + ".db"
	last = salvage(path)
	d, err := json.Marshal(Aside{File: filepath.Base(moved), Why: clean(why.Error(), proof.MaxReason), Head: last.Note, Held: held})
	if err != nil {
		return "", last, err
	}
	entry := Entry{Time: now, Kind: KindLedger, Actor: "ledger", Reason: "the ledger before was set aside; this one goes on in its place", Detail: d}
	// The entry first: whatever happens next, the new ledger says what it stands for.
	if err := lateFileOf(path).precede(canonical(mend(entry, now))); err != nil {
		return "", last, fmt.Errorf("set the damaged ledger aside: %w", err)
	}
	// The file before its -wal: without that it might look sound, and lack entries.
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if _, err := os.Lstat(moved + suffix); err == nil {
			return "", last, fmt.Errorf("set the damaged ledger aside: %s is there already", moved+suffix)
		}
		if err := os.Rename(path+suffix, moved+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", last, fmt.Errorf("set the damaged ledger aside: %w", err)
		}
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return "", last, fmt.Errorf("set the damaged ledger aside: %w", err)
	}
	return moved, last, nil
}

// salvage reads the last head of a ledger that may be damaged anywhere.
func salvage(path string) proof.Head {
	db, err := connect(path, forReading)
	if err != nil {
		return proof.Head{}
	}
	h, _, err := lastHead(context.Background(), db)
	if errors.Join(err, db.Close()) != nil {
		return proof.Head{}
	}
	return h
}

// precede puts e before all that lies in the emergency file.
func (f lateFile) precede(e Entry) error {
	lines, err := linesOf([]Entry{e})
	if err != nil {
		return fmt.Errorf("emergency file %s: %w", f, err)
	}
	after, err := os.ReadFile(string(f))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("emergency file: %w", err)
	}
	unfinished := string(f) + ".new"
	file, err := os.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("emergency file: %w", err)
	}
	_, err = file.Write(append(lines, after...))
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(unfinished, string(f))
	}
	if err != nil {
		return fmt.Errorf("emergency file: %w", errors.Join(err, os.Remove(unfinished)))
	}
	return syncDir(filepath.Dir(string(f)))
}
