package server

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"time"

	"airlock/blob"
	"airlock/vault"

	"github.com/mattn/go-sqlite3"
)

// record is what is known of one finished file.
type record struct {
	path    string
	size    int64
	sum     *blob.Sum // nil while nobody has read it
	arrived time.Time // when the host saw it; of several, never earlier than of those before
	read    time.Time // when all its bytes were hashed last
	damage  string    // why it is not as it was; "" while it is
}

// index says of every finished file what is known of it. It can be made anew from the
// folder: a row that a power cut took is found missing by the next stock-taking, so that
// SQLite need not fsync for each (synchronous=NORMAL).
type index struct{ db *sql.DB }

const schema = `
CREATE TABLE IF NOT EXISTS file (
	path    TEXT PRIMARY KEY,
	size    INTEGER NOT NULL,
	sha256  BLOB CHECK (length(sha256) = 32),
	arrived INTEGER NOT NULL,
	read    INTEGER NOT NULL,
	damage  TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS due ON file (read);
CREATE INDEX IF NOT EXISTS damaged ON file (path) WHERE damage <> '';
CREATE TABLE IF NOT EXISTS pass (one INTEGER PRIMARY KEY CHECK (one = 1), began INTEGER NOT NULL) STRICT;`

// connector opens connections without a name in database/sql's global register.
type connector struct {
	sqlite3.SQLiteDriver
	dsn string
}

func (c *connector) Connect(context.Context) (driver.Conn, error) { return c.Open(c.dsn) }
func (c *connector) Driver() driver.Driver                        { return &c.SQLiteDriver }

func openIndex(ctx context.Context, path string) (*index, error) {
	const parameters = "mode=rwc&_journal_mode=WAL&_synchronous=NORMAL&_busy_timeout=10000&_txlock=immediate&_stmt_cache_size=16"
	dsn := (&url.URL{Scheme: "file", Path: path, RawQuery: parameters}).String()
	x := &index{sql.OpenDB(&connector{dsn: dsn})}
	x.db.SetMaxOpenConns(4)
	x.db.SetMaxIdleConns(4)
	if _, err := x.db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("index %s: %w; it can be made anew: move it aside together with its -wal and -shm, and start again", path, err), x.db.Close())
	}
	return x, nil
}

func (x *index) Close() error { return x.db.Close() }

func explainIndex(err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return fmt.Errorf("the vault's index: %w", err)
}

const columns = "path, size, sha256, arrived, read, damage"

func scan(row interface{ Scan(...any) error }) (r record, err error) {
	var sum []byte
	var arrived, read int64
	if err := row.Scan(&r.path, &r.size, &sum, &arrived, &read, &r.damage); err != nil {
		return r, explainIndex(err)
	}
	if sum != nil {
		r.sum = (*blob.Sum)(sum)
	}
	r.arrived, r.read = time.Unix(0, arrived).UTC(), time.Unix(0, read).UTC()
	return r, nil
}

// find gives a file's record; sql.ErrNoRows if there is none.
func (x *index) find(ctx context.Context, path string) (record, error) {
	return scan(x.db.QueryRowContext(ctx, "SELECT "+columns+" FROM file WHERE path = ?", path))
}

// arrive notes files that have just got their names, or were put right again. Arrivals
// do not go back when the clock does.
func (x *index) arrive(ctx context.Context, group []*promise, now time.Time) error {
	return within(ctx, x.db, func(tx *sql.Tx) error {
		at := now.UnixNano()
		err := tx.QueryRowContext(ctx, "SELECT max(?, ifnull(max(arrived), 0)) FROM file WHERE path GLOB 'generations/*'", at).Scan(&at)
		if err != nil {
			return err
		}
		for _, p := range group {
			if p.err != nil {
				continue
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO file (path, size, sha256, arrived, read) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT (path) DO UPDATE SET size = excluded.size, sha256 = excluded.sha256, read = excluded.read, damage = ''`,
				p.name, p.file.size, p.file.sum[:], at, now.UnixNano()); err != nil {
				return err
			}
		}
		return nil
	})
}

// within runs f in a transaction.
func within(ctx context.Context, db interface {
	BeginTx(context.Context, *sql.TxOptions) (*sql.Tx, error)
}, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return explainIndex(err)
	}
	if err := f(tx); err != nil {
		return errors.Join(explainIndex(err), tx.Rollback())
	}
	return explainIndex(tx.Commit())
}

// discover notes a file that was found in the folder and of which nothing is known.
func (x *index) discover(ctx context.Context, path string, size int64, arrived time.Time) error {
	_, err := x.db.ExecContext(ctx, "INSERT INTO file (path, size, arrived, read) VALUES (?, ?, ?, 0) ON CONFLICT (path) DO NOTHING", path, size, arrived.UnixNano())
	return explainIndex(err)
}

// seen notes that a file's bytes were read: to be as they were, or not.
func (x *index) seen(ctx context.Context, r record) error {
	var sum []byte
	if r.sum != nil {
		sum = r.sum[:]
	}
	_, err := x.db.ExecContext(ctx, "UPDATE file SET size = ?, sha256 = ?, read = ?, damage = ? WHERE path = ?", r.size, sum, r.read.UnixNano(), r.damage, r.path)
	return explainIndex(err)
}

// forget removes records. They are gone for good when it returns: one that came back
// after a power cut, its file being gone, would be damage.
func (x *index) forget(ctx context.Context, paths []string) (err error) {
	conn, err := x.db.Conn(ctx)
	if err != nil {
		return explainIndex(err)
	}
	defer func() { err = errors.Join(err, explainIndex(conn.Close())) }()
	if _, err := conn.ExecContext(ctx, "PRAGMA synchronous = FULL"); err != nil {
		return explainIndex(err)
	}
	err = within(ctx, conn, func(tx *sql.Tx) error {
		for _, p := range paths {
			if _, err := tx.ExecContext(ctx, "DELETE FROM file WHERE path = ?", p); err != nil {
				return err
			}
		}
		return nil
	})
	_, back := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA synchronous = NORMAL")
	return errors.Join(err, explainIndex(back))
}

// all are the records in the order of their paths.
func (x *index) all(ctx context.Context) iter.Seq2[record, error] {
	return x.rows(ctx, "SELECT "+columns+" FROM file ORDER BY path")
}

// after are the records behind a path, in the order of their paths.
func (x *index) after(ctx context.Context, path string) iter.Seq2[record, error] {
	return x.rows(ctx, "SELECT "+columns+" FROM file WHERE path > ? ORDER BY path", path)
}

// damaged are the records of files that are not as they were.
func (x *index) damaged(ctx context.Context) iter.Seq2[record, error] {
	return x.rows(ctx, "SELECT "+columns+" FROM file WHERE damage <> '' ORDER BY path")
}

// due are some of the records that were last read before a time, the longest ago first.
func (x *index) due(ctx context.Context, before time.Time, some int) iter.Seq2[record, error] {
	return x.rows(ctx, "SELECT "+columns+" FROM file WHERE read < ? ORDER BY read, path LIMIT ?", before.UnixNano(), some)
}

func (x *index) rows(ctx context.Context, query string, args ...any) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		rows, err := x.db.QueryContext(ctx, query, args...)
		if err != nil {
			yield(record{}, explainIndex(err))
			return
		}
		defer rows.Close() // its error is that of rows.Err
		for rows.Next() {
			if r, err := scan(rows); !yield(r, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(record{}, explainIndex(err))
		}
	}
}

// signedSince are the generations that arrived at a time or later, with something in the
// place of their signatures, in the order in which both were there.
func (x *index) signedSince(ctx context.Context, since time.Time) iter.Seq2[newcomer, error] {
	return func(yield func(newcomer, error) bool) {
		rows, err := x.db.QueryContext(ctx, `SELECT m.path, max(m.arrived, s.arrived) AS came FROM file m JOIN file s ON s.path = replace(m.path, '.json', '.sig')
			WHERE m.path GLOB 'generations/*.json' AND came >= ? ORDER BY came, m.path`, since.UnixNano())
		if err != nil {
			yield(newcomer{}, explainIndex(err))
			return
		}
		defer rows.Close() // its error is that of rows.Err
		for rows.Next() {
			var path string
			var came int64
			err := rows.Scan(&path, &came)
			n := newcomer{vault.GenerationOf(path), time.Unix(0, came).UTC()}
			if n.number == 0 && err == nil {
				continue
			}
			if !yield(n, explainIndex(err)) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(newcomer{}, explainIndex(err))
		}
	}
}

// arrivedSince is how many files arrived after a time, and their bytes.
func (x *index) arrivedSince(ctx context.Context, since time.Time) (files int, bytes int64, err error) {
	err = x.db.QueryRowContext(ctx, "SELECT count(*), ifnull(sum(size), 0) FROM file WHERE arrived > ?", since.UnixNano()).Scan(&files, &bytes)
	return files, bytes, explainIndex(err)
}

// weight is what a file of a size counts for: names are not for nothing.
const nameWeight = 4096

// total is what all files together count for.
func (x *index) total(ctx context.Context) (sum int64, err error) {
	err = x.db.QueryRowContext(ctx, "SELECT ifnull(sum(size + ?), 0) FROM file", nameWeight).Scan(&sum)
	return sum, explainIndex(err)
}

// count is how many files there are that were last read before a time, and their bytes.
func (x *index) count(ctx context.Context, readBefore time.Time) (files int, bytes int64, err error) {
	err = x.db.QueryRowContext(ctx, "SELECT count(*), ifnull(sum(size), 0) FROM file WHERE read < ?", readBefore.UnixNano()).Scan(&files, &bytes)
	return files, bytes, explainIndex(err)
}

// passBegan is when the reading of everything began that is not at its end yet; a new
// one begins now if there is none.
func (x *index) passBegan(ctx context.Context, now time.Time) (time.Time, error) {
	if _, err := x.db.ExecContext(ctx, "INSERT INTO pass VALUES (1, ?) ON CONFLICT DO NOTHING", now.UnixNano()); err != nil {
		return time.Time{}, explainIndex(err)
	}
	var began int64
	err := x.db.QueryRowContext(ctx, "SELECT began FROM pass").Scan(&began)
	return time.Unix(0, began).UTC(), explainIndex(err)
}

func (x *index) passEnded(ctx context.Context) error {
	_, err := x.db.ExecContext(ctx, "DELETE FROM pass")
	return explainIndex(err)
}
