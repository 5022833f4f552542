package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Ledger is a ledger open for writing; its Reader may be handed on to whoever only
// reads. It is safe for concurrent use.
type Ledger struct {
	Reader
	writer *sql.DB
	queue  queue
	late   lateFile
}

// Open opens the ledger at path, and makes it if there is none: mode 0600, its folder
// fsynced. Entries that an earlier process left in the emergency file are the first
// to be written. A damaged file is ErrDamaged; that and one which a newer airlock
// wrote are refused and not touched.
func Open(ctx context.Context, path string) (*Ledger, error) {
	if err := create(ctx, path); err != nil {
		return nil, err
	}
	reader, version, err := openReader(ctx, path)
	if err != nil {
		return nil, err
	}
	l := &Ledger{Reader: *reader, late: lateFileOf(path)}
	if err := l.begin(ctx, version); err != nil {
		return nil, errors.Join(err, reader.Close())
	}
	return l, nil
}

// begin makes the ledger writable, once it was found sound.
func (l *Ledger) begin(ctx context.Context, version int) error {
	left, onFile, err := l.late.read()
	if err != nil {
		return err
	}
	writer, err := connect(l.path, forWriting)
	if err != nil {
		return err
	}
	// Nothing to do but for a file that somebody switched to another mode.
	if _, err := writer.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return errors.Join(explain(l.path, err), writer.Close())
	}
	if err := migrate(ctx, writer, version); err != nil {
		return errors.Join(explain(l.path, err), writer.Close())
	}
	l.writer = writer
	l.queue.store, l.queue.keep, l.queue.forget = l.store, l.late.keep, l.late.remove
	l.queue.start(left, onFile)
	return nil
}

// Append writes e and returns it with Seq and Recorded. When it returns nil, the entry
// is durable. When it returns an error the entry is not in the ledger, with one
// exception that the error names: ctx ended while the entry was being written.
// Entries noted before stand before it; while they cannot be written, neither can e.
func (l *Ledger) Append(ctx context.Context, e Entry) (Entry, error) {
	if err := check(e); err != nil {
		return Entry{}, fmt.Errorf("ledger %s: %w", l.path, err)
	}
	e, err := l.queue.append(ctx, canonical(e))
	if err != nil {
		return Entry{}, fmt.Errorf("append to the ledger: %w", err)
	}
	return e, nil
}

// Note records what has happened already, and returns at once (S2). The entry is
// tried until it is written; see the package comment for what is late, and where it
// lies meanwhile. An entry that Append would refuse is mended first, since what
// happened cannot be refused. After Close it goes into the emergency file.
func (l *Ledger) Note(e Entry) {
	l.queue.note(canonical(mend(e, time.Now())))
}

// Flush waits until every noted entry is durable, and says if ctx ended before.
func (l *Ledger) Flush(ctx context.Context) error {
	if err := l.queue.flush(ctx); err != nil {
		return fmt.Errorf("ledger %s: %w", l.path, err)
	}
	return nil
}

// Pending returns how many noted entries are not in the ledger yet, and why the last
// attempt to write them failed, if it did.
func (l *Ledger) Pending() (int, error) { return l.queue.pending() }

// Close writes what waits, if it can, and closes the file. Noted entries that could
// not be written are in the error; the next Open finds them in the emergency file.
func (l *Ledger) Close() error {
	err := l.queue.close()
	if err != nil {
		err = fmt.Errorf("ledger %s: %w; they are taken in when it is opened again", l.path, err)
	}
	// The writer last: it is the one that can move -wal into the file.
	return errors.Join(err, l.Reader.Close(), l.writer.Close())
}

const insertEntry = `INSERT INTO entry
	(seq, time, recorded, late, kind, actor, reason, door, "window", system, vault, "from", "to", detail)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// store writes the batch in one transaction.
func (l *Ledger) store(batch []*item) error {
	tx, err := l.writer.Begin()
	if err != nil {
		return explain(l.path, err)
	}
	if err := insert(tx, batch); err != nil {
		return errors.Join(explain(l.path, err), rollback(tx))
	}
	if err := tx.Commit(); err != nil {
		return explain(l.path, err)
	}
	return nil
}

func insert(tx *sql.Tx, batch []*item) error {
	var last int64
	if err := tx.QueryRow("SELECT ifnull(max(seq), 0) FROM entry").Scan(&last); err != nil {
		return err
	}
	stmt, err := tx.Prepare(insertEntry)
	if err != nil {
		return err
	}
	recorded := time.Now().UTC().Round(0)
	for _, it := range batch {
		if it.kept {
			switch seq, err := find(tx, it.entry); {
			case err != nil:
				return errors.Join(err, stmt.Close())
			case seq > 0: // it was written, and its process ended before it could say so
				it.entry.Seq = seq
				continue
			}
		}
		last++
		it.entry.Seq, it.entry.Recorded = last, recorded
		if _, err := stmt.Exec(append([]any{last, it.entry.Time.UnixNano(), recorded.UnixNano(), it.entry.Late}, words(it.entry)...)...); err != nil {
			return errors.Join(err, stmt.Close())
		}
	}
	return stmt.Close()
}

// find returns the number of the entry that says the very same as e, or 0. Two events
// do not share a nanosecond and every word.
func find(tx *sql.Tx, e Entry) (seq int64, err error) {
	err = tx.QueryRow(`SELECT ifnull(max(seq), 0) FROM entry WHERE time = ? AND kind = ? AND actor = ? AND reason = ?
	AND door IS ? AND "window" IS ? AND system IS ? AND vault IS ? AND "from" IS ? AND "to" IS ? AND detail IS ?`,
		append([]any{e.Time.UnixNano()}, words(e)...)...).Scan(&seq)
	return seq, err
}

// words are the columns of e from kind on; what is empty is NULL.
func words(e Entry) []any {
	column := []any{string(e.Kind), e.Actor, e.Reason}
	for _, s := range []string{e.Door, e.Window, e.System, e.Vault, e.From, e.To, string(e.Detail)} {
		column = append(column, sql.NullString{String: s, Valid: s != ""})
	}
	return column
}
