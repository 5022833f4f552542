package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"os"
	"strings"
	"time"
)

// pageSize is how many entries Entries reads at a time; at first it is a screenful, for
// which somebody waits.
const (
	firstPage = 64
	pageSize  = 512
)

// Reader reads a ledger, beside a process that writes to it or alone. It is safe
// for concurrent use.
type Reader struct {
	path string
	db   *sql.DB
}

// OpenReader opens the ledger at path for reading only. A file that is not there is
// fs.ErrNotExist; one that is no sound ledger is ErrDamaged.
func OpenReader(ctx context.Context, path string) (*Reader, error) {
	r, version, err := openReader(ctx, path)
	if err != nil {
		return nil, err
	}
	if newest := len(migrations()); version < newest {
		return nil, errors.Join(r.Close(), fmt.Errorf("ledger %s has schema version %d: start this airlock's serve once, which brings it to version %d", path, version, newest))
	}
	return r, nil
}

func openReader(ctx context.Context, path string) (*Reader, int, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, fmt.Errorf("ledger: %w; airlock init makes it", err)
	case err != nil:
		return nil, 0, fmt.Errorf("ledger: %w", err)
	case info.Size() == 0:
		return nil, 0, damaged(path, errors.New("the file is empty"))
	}
	db, err := connect(path, forReading)
	if err != nil {
		return nil, 0, err
	}
	version, err := inspect(ctx, db, path)
	if err != nil {
		return nil, 0, errors.Join(err, db.Close())
	}
	return &Reader{path: path, db: db}, version, nil
}

// Close ends the reading; an Entries loop that still runs gets an error.
func (r *Reader) Close() error { return r.db.Close() }

// Count returns how many entries there are.
func (r *Reader) Count(ctx context.Context) (int64, error) {
	n, err := size(ctx, r.db) // numbers have no gap
	if err != nil {
		return 0, explain(r.path, err)
	}
	return n, nil
}

// Last returns the newest entry that f chooses, and whether there is one. By Kind,
// Window, or Door, System or Vault with or without Kind and To, it takes a look-up
// in an index, however long the ledger is.
func (r *Reader) Last(ctx context.Context, f Filter) (Entry, bool, error) {
	low, high := f.AfterSeq, int64(math.MaxInt64)
	if !f.Since.IsZero() || !f.Until.IsZero() {
		var err error
		if low, high, err = r.span(ctx, f); err != nil {
			return Entry{}, false, err
		}
	}
	found, err := r.page(ctx, f, low, high, "DESC LIMIT 1")
	if err != nil || len(found) == 0 {
		return Entry{}, false, err
	}
	return found[0], true, nil
}

// Entries yields the entries that f chooses, oldest (lowest Seq) first, as the ledger
// stood when the loop began. It reads page by page and holds no transaction open
// while the caller is busy, so a slow caller hinders nobody and may append. After an
// error, which comes with a zero Entry, it ends.
func (r *Reader) Entries(ctx context.Context, f Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		low, high, err := r.span(ctx, f)
		for limit := firstPage; err == nil && low < high; limit = pageSize {
			var page []Entry
			page, err = r.page(ctx, f, low, high, fmt.Sprintf("ASC LIMIT %d", limit))
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
				low = e.Seq
			}
			if len(page) < limit {
				break
			}
		}
		if err != nil {
			yield(Entry{}, err)
		}
	}
}

// Check examines the file: its structure, its indexes and its numbers. It reads all of
// it, at some hundred thousand entries a second. What an entry says is Verify's business.
func (r *Reader) Check(ctx context.Context) error {
	if err := r.integrity(ctx); err != nil {
		return err
	}
	all, err := r.Archives(ctx)
	if err != nil {
		return err
	}
	var gaps int64
	if err := r.db.QueryRowContext(ctx, "SELECT ifnull(max(seq), 0) - count(*) FROM entry").Scan(&gaps); err != nil {
		return explain(r.path, err)
	}
	if gaps -= archivedTo(all); gaps != 0 {
		return damaged(r.path, fmt.Errorf("%d entries are missing", gaps))
	}
	return nil
}

// span returns numbers between which (low < Seq ≤ high) everything lies that f chooses
// now. Since entries are only ever added, the same span chooses the same entries later.
// It reads one row for each 1,024 entries, if f has times.
func (r *Reader) span(ctx context.Context, f Filter) (low, high int64, err error) {
	if high, err = size(ctx, r.db); err != nil {
		return 0, 0, explain(r.path, err)
	}
	full := high / spanSize // later entries are in no row of span
	if !f.Since.IsZero() {
		var first sql.NullInt64
		err = r.db.QueryRowContext(ctx, "SELECT min(number) FROM span WHERE latest >= ?", nanoseconds(f.Since, math.MinInt64)).Scan(&first)
		if low = full * spanSize; first.Valid {
			low = (first.Int64 - 1) * spanSize
		}
	}
	if err == nil && !f.Until.IsZero() {
		until := nanoseconds(f.Until, math.MaxInt64)
		var rest bool
		err = r.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM entry WHERE seq > ? AND seq <= ? AND time < ?)", full*spanSize, high, until).Scan(&rest)
		if err == nil && !rest {
			var last sql.NullInt64
			err = r.db.QueryRowContext(ctx, "SELECT max(number) FROM span WHERE number <= ? AND earliest < ?", full, until).Scan(&last)
			high = last.Int64 * spanSize
		}
	}
	if err != nil {
		return 0, 0, explain(r.path, err)
	}
	return max(low, f.AfterSeq), high, nil
}

// nanoseconds is t as the file has it, with the ends of the range for what lies
// beyond, and otherwise for a zero t.
func nanoseconds(t time.Time, otherwise int64) int64 {
	switch {
	case t.IsZero():
		return otherwise
	case storable(t):
		return t.UnixNano()
	case t.Year() < 1970:
		return math.MinInt64
	}
	return math.MaxInt64
}

func (r *Reader) page(ctx context.Context, f Filter, low, high int64, order string) ([]Entry, error) {
	where, args := f.where(low, high)
	entries, err := pageOf(ctx, r.db, selectEntry+where+" ORDER BY seq "+order, args...)
	if err != nil {
		return nil, explain(r.path, err)
	}
	return entries, nil
}

// where is f in SQL, for low < seq ≤ high.
func (f Filter) where(low, high int64) (string, []any) {
	var b strings.Builder
	b.WriteString(" WHERE seq > ? AND seq <= ?")
	args := []any{low, high}
	if !f.Since.IsZero() {
		b.WriteString(" AND time >= ?")
		args = append(args, nanoseconds(f.Since, 0))
	}
	if !f.Until.IsZero() {
		b.WriteString(" AND time < ?")
		args = append(args, nanoseconds(f.Until, 0))
	}
	actor := "actor"
	if f.Kind != "" || f.Door+f.Window+f.System+f.Vault != "" {
		actor = "+actor" // most entries are of one actor: its index is the last to use
	}
	for _, c := range []struct{ column, value string }{
		{"kind", string(f.Kind)}, {"door", f.Door}, {`"window"`, f.Window}, {"system", f.System},
		{"vault", f.Vault}, {actor, f.Actor}, {`"from"`, f.From}, {`"to"`, f.To},
	} {
		if c.value != "" {
			b.WriteString(" AND " + c.column + " = ?")
			args = append(args, c.value)
		}
	}
	return b.String(), args
}

// selectEntry lists the columns in the order of collect, and selectEntry1 those of a
// file of schema version 1.
const (
	selectEntry = selectFields + `, v, ifnull(run, ''), mono, ifnull(clock, ''), clock_error
FROM entry`
	selectEntry1 = selectFields + `, 1, '', 0, '', 0
FROM entry`
	selectFields = `SELECT seq, time, recorded, late, kind, actor, reason,
	ifnull(door, ''), ifnull("window", ''), ifnull(system, ''), ifnull(vault, ''), ifnull("from", ''), ifnull("to", ''), detail`
)

func collect(rows *sql.Rows) ([]Entry, error) {
	var entries []Entry
	for rows.Next() {
		var e Entry
		if err := scan(rows, &e); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		entries = append(entries, e)
	}
	return entries, errors.Join(rows.Err(), rows.Close())
}

// scan reads a row into e.
func scan(rows *sql.Rows, e *Entry) error {
	var happened, recorded int64
	var detail []byte
	err := rows.Scan(&e.Seq, &happened, &recorded, &e.Late, &e.Kind, &e.Actor, &e.Reason,
		&e.Door, &e.Window, &e.System, &e.Vault, &e.From, &e.To, &detail,
		&e.Version, &e.Run, &e.Mono, &e.Clock, &e.ClockError)
	e.Time, e.Recorded = time.Unix(0, happened).UTC(), time.Unix(0, recorded).UTC()
	e.Detail = json.RawMessage(detail)
	return err
}
