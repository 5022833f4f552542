package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"airlock/ledger/proof"

	"golang.org/x/mod/sumdb/note"
)

// Ledger is a ledger open for writing; its Reader may be handed on to whoever only
// reads. It is safe for concurrent use.
type Ledger struct {
	Reader
	writer  *sql.DB
	signer  note.Signer
	time    *timekeeper
	edge    proof.Edge                 // of the entries; only store touches it
	wrote   atomic.Pointer[proof.Edge] // a copy of edge after the last commit; nil before the first
	own     ownFiles
	foreign versions
	queue   queue
	late    lateFile
}

// Options are what a ledger may be opened with; the zero Options will do for one whose
// heads nobody signs.
type Options struct {
	Signer note.Signer // of the heads; nil: Checkpoint is ErrNoKey
	Clock  Clock       // nil: the machine's
}

// Open opens the ledger at path, and makes it if there is none: mode 0600, its folder
// fsynced. Entries that an earlier process left in the emergency file are the first
// to be written. A damaged file is ErrDamaged; that and one which a newer airlock
// wrote are refused and not touched. What is looked at takes milliseconds, however long
// the ledger is: the schema, the last entries and the last head; Verify looks at all.
func Open(ctx context.Context, path string, o Options) (*Ledger, error) {
	if err := create(ctx, path); err != nil {
		return nil, err
	}
	reader, version, err := openReader(ctx, path)
	if err != nil {
		return nil, err
	}
	l := &Ledger{Reader: *reader, late: lateFileOf(path), signer: o.Signer, time: newTimekeeper(o.Clock)}
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
	last, ok, err := l.Last(ctx, Filter{})
	if err != nil {
		return errors.Join(err, writer.Close())
	}
	l.writer = writer
	l.foreign.version, err = l.dataVersion(ctx)
	if err = errors.Join(err, l.own.hold(l.path)); err != nil {
		return errors.Join(err, writer.Close())
	}
	l.queue.store, l.queue.keep, l.queue.forget, l.queue.stamp = l.store, l.late.keep, l.late.remove, l.time.stamp
	l.queue.start(left, onFile)
	if step := l.time.resume(last.Recorded); ok && step != nil {
		l.queue.note(*step)
	}
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
	(seq, time, recorded, late, kind, actor, reason, door, "window", system, vault, "from", "to", detail, v, run, mono, clock, clock_error)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// store writes the batch in one transaction.
func (l *Ledger) store(batch []*item) error {
	now, step := l.time.read()
	tx, err := l.writer.Begin()
	if err != nil {
		return explain(l.path, err)
	}
	edge := l.edge
	if err := insert(tx, batch, now.Wall, &edge); err != nil {
		return errors.Join(explain(l.path, err), rollback(tx))
	}
	if err := tx.Commit(); err != nil {
		return explain(l.path, err)
	}
	l.edge = edge
	l.wrote.Store(new(edge))
	if step != nil {
		l.queue.note(*step)
	}
	return nil
}

// insert writes the batch after what tx finds, whose edge it is given or reads.
func insert(tx *sql.Tx, batch []*item, recorded time.Time, edge *proof.Edge) error {
	last, err := size(context.Background(), tx)
	if err == nil && edge.Size() != last { // at the start, or another process wrote
		*edge, err = proof.EdgeOf(last, hashes(context.Background(), tx))
	}
	if err != nil {
		return err
	}
	w, err := newRows(tx)
	if err != nil {
		return err
	}
	for _, it := range batch {
		if it.kept {
			switch seq, err := find(tx, it.entry); {
			case err != nil:
				return errors.Join(err, w.close())
			case seq > 0: // it was written, and its process ended before it could say so
				it.entry.Seq = seq
				continue
			}
		}
		it.entry.Seq, it.entry.Recorded = edge.Size()+1, recorded
		if err := w.put(&it.entry, edge); err != nil {
			return errors.Join(err, w.close())
		}
	}
	return w.close()
}

// rows writes entries, their hashes, and what finds them by time.
type rows struct{ entry, tree, span *sql.Stmt }

func newRows(tx *sql.Tx) (w rows, err error) {
	for _, s := range []struct {
		stmt **sql.Stmt
		text string
	}{{&w.entry, insertEntry}, {&w.tree, insertTree}, {&w.span, insertSpan}} {
		if *s.stmt, err = tx.Prepare(s.text); err != nil {
			return w, errors.Join(err, w.close())
		}
	}
	return w, nil
}

func (w rows) close() error {
	var err error
	for _, s := range []*sql.Stmt{w.entry, w.tree, w.span} {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	return err
}

// put writes e, which has its number, under the newest version.
func (w rows) put(e *Entry, edge *proof.Edge) error {
	e.Version = proof.Version
	if e.Clock == "" { // it comes from an emergency file whose writer could not say
		e.Clock = proof.ClockUnknown
	}
	columns := append([]any{e.Seq, e.Time.UnixNano(), e.Recorded.UnixNano(), e.Late}, words(*e)...)
	if _, err := w.entry.Exec(append(columns, e.Version, null(e.Run), int64(e.Mono), string(e.Clock), int64(e.ClockError))...); err != nil {
		return err
	}
	return w.hang(e, edge)
}

// hang adds e, which stands in its table, to the tree.
func (w rows) hang(e *Entry, edge *proof.Edge) error {
	leaf, err := proof.AppendLeaf(nil, e)
	if err != nil {
		return fmt.Errorf("entry %d: %w", e.Seq, err)
	}
	if _, err := w.tree.Exec(e.Seq, joined(edge.Add(proof.LeafHash(leaf)))); err != nil {
		return err
	}
	if e.Seq%spanSize != 0 {
		return nil
	}
	_, err = w.span.Exec(e.Seq/spanSize, e.Seq-spanSize, e.Seq)
	return err
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
		column = append(column, null(s))
	}
	return column
}

// null is s, or NULL for an empty text.
func null(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }
