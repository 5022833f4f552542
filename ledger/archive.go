package ledger

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"airlock/ledger/proof"
)

// Archive is a sealed file of entries that the ledger itself no longer holds: an export
// (package proof) of just those. Their hashes stay in the ledger, so that its tree is
// whole, and every head of it holds, with the file or without.
type Archive struct {
	File   string     `json:"file"` // in the folder of archives
	SHA256 string     `json:"sha256"`
	First  int64      `json:"first"` // entries, both included
	Last   int64      `json:"last"`
	From   time.Time  `json:"from"` // the earliest and the latest of their times
	To     time.Time  `json:"to"`
	Root   proof.Hash `json:"root"` // of the tree up to Last
}

// archiveDetail is the detail of an entry of kind archive. It lists every archive there
// is, so that the newest of these entries is enough, and older ones can be archived too.
type archiveDetail struct {
	Archives []Archive `json:"archives"`
}

// ErrNothingOld says that no entry is older than what was asked for.
var ErrNothingOld = errors.New("no entry is that old")

// ArchiveDir is the folder of a ledger's archives.
func ArchiveDir(ledger string) string { return filepath.Join(filepath.Dir(ledger), "archive") }

// Archives are the files that hold the ledger's older entries, oldest first: they are
// about the entries 1, 2, 3 … without a gap. Whether a file is there, nobody looked.
func (r *Reader) Archives(ctx context.Context) ([]Archive, error) {
	all, err := archives(ctx, r.db)
	if err != nil {
		return nil, explain(r.path, err)
	}
	return all, nil
}

func archives(ctx context.Context, q querier) ([]Archive, error) {
	var seq int64
	var text []byte
	err := q.QueryRowContext(ctx, "SELECT seq, detail FROM entry WHERE kind = ? ORDER BY seq DESC LIMIT 1", string(KindArchive)).Scan(&seq, &text)
	if err != nil {
		return nil, ignoreNoRows(err)
	}
	var d archiveDetail
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("entry %d, of what is archived: %w", seq, err)
	}
	next := int64(1)
	for _, a := range d.Archives {
		if a.First != next || a.Last < a.First || a.Last >= seq || filepath.Base(a.File) != a.File {
			return nil, fmt.Errorf("entry %d, of what is archived, has no archives in their order", seq)
		}
		next = a.Last + 1
	}
	return d.Archives, nil
}

// archivedTo is the last entry that is archived; 0 if none is.
func archivedTo(all []Archive) int64 {
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1].Last
}

// Archive moves the entries before the first that happened at or after a time into a
// sealed file in ArchiveDir, and says so in an entry. The file is written, fsynced, read
// again and held to the tree before, in one transaction, that entry is written and the
// others go: whatever fails, and whenever, no entry is lost. The hashes of all stay.
// h and keys are what an export says of itself; one of keys verifies what the ledger's
// signer signs. ErrNothingOld if there is nothing to do. Like Open, it is for the
// process that holds the site's lock.
func (l *Ledger) Archive(ctx context.Context, before time.Time, by Entry, h proof.Header, key string) (Archive, error) {
	if l.signer == nil {
		return Archive{}, fmt.Errorf("ledger %s: %w", l.path, ErrNoKey)
	}
	if err := l.Flush(ctx); err != nil {
		return Archive{}, err
	}
	a, err := l.oldest(ctx, before)
	if err != nil {
		return a, err
	}
	if err := l.seal(ctx, &a, h, key); err != nil {
		return a, fmt.Errorf("archive entries %d to %d: %w; nothing was changed", a.First, a.Last, err)
	}
	if err := l.release(ctx, a, by); err != nil {
		return a, fmt.Errorf("archive entries %d to %d: %w; they are still in the ledger, and %s may be removed", a.First, a.Last, err, a.File)
	}
	return a, nil
}

// oldest chooses what is to be archived.
func (l *Ledger) oldest(ctx context.Context, before time.Time) (a Archive, err error) {
	all, err := l.Archives(ctx)
	if err != nil {
		return a, err
	}
	a.First = archivedTo(all) + 1
	low, _, err := l.span(ctx, Filter{Since: before})
	if err != nil {
		return a, err
	}
	var from, to sql.NullInt64
	err = l.db.QueryRowContext(ctx, "SELECT ifnull(min(seq) - 1, (SELECT max(seq) FROM entry)) FROM entry WHERE seq > ? AND time >= ?",
		low, nanoseconds(before, 0)).Scan(&a.Last)
	if err == nil {
		err = l.db.QueryRowContext(ctx, "SELECT min(time), max(time) FROM entry WHERE seq BETWEEN ? AND ?", a.First, a.Last).Scan(&from, &to)
	}
	switch {
	case err != nil:
		return a, explain(l.path, err)
	case a.Last < a.First || !from.Valid:
		return a, fmt.Errorf("ledger %s: %w: every entry up to %s is archived already", l.path, ErrNothingOld, before.Format(time.RFC3339))
	}
	a.From, a.To = time.Unix(0, from.Int64).UTC(), time.Unix(0, to.Int64).UTC()
	a.File = fmt.Sprintf("entries-%09d-%09d.airlock", a.First, a.Last)
	a.Root, err = l.Root(ctx, a.Last)
	return a, err
}

// seal writes the file, and reads it again.
func (l *Ledger) seal(ctx context.Context, a *Archive, h proof.Header, key string) (err error) {
	dir := ArchiveDir(l.path)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	unfinished := filepath.Join(dir, "."+a.File+".new") // of an earlier try, perhaps
	f, err := os.OpenFile(unfinished, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err = l.writeArchive(ctx, f, *a, h, key); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = l.reread(ctx, f, a, key)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(unfinished))
	}
	// A file of that name is of a try that was cut short: nothing refers to it.
	if err := os.Rename(unfinished, filepath.Join(dir, a.File)); err != nil {
		return err
	}
	return syncDir(dir)
}

// writeArchive writes an export of the entries, which ends with a head over them.
func (l *Ledger) writeArchive(ctx context.Context, w io.Writer, a Archive, h proof.Header, key string) error {
	head, err := proof.SignHead(a.Last, a.Root, l.signer)
	if err != nil {
		return err
	}
	if h, err = l.Behind(ctx, h, a.First-1); err != nil {
		return err
	}
	x, err := proof.NewWriter(w, h, key)
	if err != nil {
		return err
	}
	if err := errors.Join(l.ExportUpTo(ctx, x, a.Last), x.Head(head)); err != nil {
		return errors.Join(err, x.Abort())
	}
	return x.Close()
}

// reread holds what is in the file to the ledger's tree, and takes its SHA-256.
func (l *Ledger) reread(ctx context.Context, f *os.File, a *Archive, key string) error {
	keys, err := proof.ReadKeys(key)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	sum := sha256.New()
	_, report, err := proof.VerifyExport(ctx, io.TeeReader(f, sum), proof.Options{Keys: keys})
	if err == nil {
		_, err = io.Copy(sum, f)
	}
	if err != nil {
		return err
	}
	a.SHA256 = hex.EncodeToString(sum.Sum(nil))
	for _, f := range report.Findings { // what the entries tell is no matter here
		switch f.Rule {
		case "form", "number", "tree", "head", "signature":
			return fmt.Errorf("what was written is not what the ledger has: %s", f)
		}
	}
	if report.Root != a.Root || report.Signed != a.Last || report.After+report.Entries != a.Last {
		return errors.New("what was written is not what the ledger has: it has another root")
	}
	return nil
}

// release writes the entry that names the archive and removes the entries that are in
// it, all or nothing. The trigger that keeps entries is taken away and put back within
// the same transaction: nobody ever sees the ledger without it, and a crash brings it
// back.
func (l *Ledger) release(ctx context.Context, a Archive, by Entry) error {
	tx, err := l.writer.BeginTx(ctx, nil)
	if err != nil {
		return explain(l.path, err)
	}
	if err := l.releaseIn(ctx, tx, a, by); err != nil {
		return errors.Join(explain(l.path, err), rollback(tx))
	}
	if err := tx.Commit(); err != nil {
		return explain(l.path, err)
	}
	return nil
}

func (l *Ledger) releaseIn(ctx context.Context, tx *sql.Tx, a Archive, by Entry) error {
	all, err := archives(ctx, tx)
	if err != nil {
		return err
	}
	if archivedTo(all)+1 != a.First {
		return errors.New("somebody else has archived entries meanwhile")
	}
	if by.Detail, err = json.Marshal(archiveDetail{append(all, a)}); err != nil {
		return err
	}
	now, step := l.time.read()
	if step != nil {
		l.queue.note(*step)
	}
	by.Time, by.Kind = now.Wall, KindArchive
	if err := check(by); err != nil {
		return err
	}
	by = canonical(by)
	l.time.mark(&by, now)
	var edge proof.Edge // of its own: only store touches the ledger's, and looks whether it is still true
	if err := insert(tx, []*item{{entry: by}}, now.Wall, &edge); err != nil {
		return err
	}
	const kept = "entry_is_kept"
	for _, statement := range []string{"DROP TRIGGER " + kept, fmt.Sprintf("DELETE FROM entry WHERE seq <= %d", a.Last), triggerText(kept)} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// errSealed says that a file is not the archive that the ledger names.
var errSealed = errors.New("it is not the archive that the ledger names")

// leaves yields the canonical forms of the entries in the file, and at the end an error
// if that is not, to the byte, what the ledger says of it; fs.ErrNotExist if it is not
// there.
func (a Archive) leaves(dir string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		file, err := os.Open(filepath.Join(dir, a.File))
		if err != nil {
			yield(nil, err)
			return
		}
		sum, seq, more := sha256.New(), a.First-1, true
		for leaf, failed := range proof.Leaves(io.TeeReader(file, sum), a.begins) {
			if err = failed; err != nil {
				break
			}
			if seq++; seq > a.Last {
				break
			}
			if more = yield(leaf, nil); !more {
				break
			}
		}
		if more && err == nil {
			err = a.sealed(file, sum, seq)
		}
		if err = errors.Join(err, file.Close()); err != nil && more {
			yield(nil, fmt.Errorf("archive %s: %w", file.Name(), err))
		}
	}
}

func (a Archive) begins(h proof.Header) error {
	if h.After != a.First-1 {
		return fmt.Errorf("%w: it begins with entry %d", errSealed, h.After+1)
	}
	return nil
}

// sealed reads what is left of the file, and compares its hash and its last entry.
func (a Archive) sealed(file io.Reader, sum hash.Hash, seq int64) error {
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != a.SHA256 || seq != a.Last {
		return fmt.Errorf("%w: its SHA-256 is %s instead of %s, and it ends with entry %d", errSealed, got, a.SHA256, seq)
	}
	return nil
}

// overlaps reports whether f may choose an entry of the archive.
func (a Archive) overlaps(f Filter) bool {
	return f.AfterSeq < a.Last && (f.Since.IsZero() || !a.To.Before(f.Since)) && (f.Until.IsZero() || a.From.Before(f.Until))
}

// History is a ledger with the archives that lie beside it.
type History struct {
	*Reader
	Absent []Archive // whose files are not there: what they hold is not read
	there  []Archive
}

// History looks which archives are there.
func (r *Reader) History(ctx context.Context) (*History, error) {
	all, err := r.Archives(ctx)
	if err != nil {
		return nil, err
	}
	h := &History{Reader: r}
	for _, a := range all {
		switch _, err := os.Stat(filepath.Join(ArchiveDir(r.path), a.File)); {
		case err == nil:
			h.there = append(h.there, a)
		case errors.Is(err, fs.ErrNotExist):
			h.Absent = append(h.Absent, a)
		default:
			return nil, err
		}
	}
	return h, nil
}

// Entries is Reader.Entries, with what the archives hold before. These are read from
// their beginning, whatever f chooses.
func (h *History) Entries(ctx context.Context, f Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, a := range h.there {
			if !a.overlaps(f) {
				continue
			}
			for leaf, err := range a.leaves(ArchiveDir(h.path)) {
				var e Entry
				if err == nil {
					err = context.Cause(ctx)
				}
				if err == nil {
					e, err = proof.ParseLeaf(leaf)
				}
				if err != nil {
					yield(Entry{}, err)
					return
				}
				if f.chosen(e) && !yield(e, nil) {
					return
				}
			}
		}
		for e, err := range h.Reader.Entries(ctx, f) {
			if !yield(e, err) {
				return
			}
		}
	}
}

// chosen reports whether f chooses e.
func (f Filter) chosen(e Entry) bool {
	same := func(want, is string) bool { return want == "" || want == is }
	return e.Seq > f.AfterSeq &&
		(f.Since.IsZero() || !e.Time.Before(f.Since)) && (f.Until.IsZero() || e.Time.Before(f.Until)) &&
		same(string(f.Kind), string(e.Kind)) && same(f.Door, e.Door) && same(f.Window, e.Window) && same(f.System, e.System) &&
		same(f.Vault, e.Vault) && same(f.Actor, e.Actor) && same(f.From, e.From) && same(f.To, e.To)
}
