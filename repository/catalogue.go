package repository

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"
)

// catalogue remembers every blob that was written, with its hash. Each change is
// durable when its call returns.
type catalogue struct {
	db   *sql.DB
	path string
}

const catalogueSchema = `
CREATE TABLE IF NOT EXISTS repository (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	id  TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS blobs (
	name    TEXT PRIMARY KEY,
	size    INTEGER NOT NULL,
	sha256  BLOB NOT NULL CHECK (length(sha256) = 32),
	written INTEGER NOT NULL -- nanoseconds since 1970
) STRICT, WITHOUT ROWID;`

func openCatalogue(ctx context.Context, dir string) (*catalogue, error) {
	path, err := filepath.Abs(filepath.Join(dir, "catalogue.db"))
	if err != nil {
		return nil, err
	}
	// SQLite would make the file for everybody to read.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: "_journal_mode=WAL&_synchronous=FULL&_busy_timeout=10000&_txlock=immediate"}
	db, err := sql.Open("sqlite3", u.String())
	if err != nil {
		return nil, fmt.Errorf("catalogue %s: %w", path, err)
	}
	db.SetMaxOpenConns(1) // SQLite has one writer; waiting here beats SQLITE_BUSY
	c := &catalogue{db: db, path: path}
	if err := c.exec(ctx, catalogueSchema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return c, nil
}

func (c *catalogue) exec(ctx context.Context, statement string, args ...any) error {
	if _, err := c.db.ExecContext(ctx, statement, args...); err != nil {
		return fmt.Errorf("catalogue %s: %w", c.path, err)
	}
	return nil
}

// claim binds the catalogue to the repository id, or says that it is bound to another.
func (c *catalogue) claim(ctx context.Context, id string) error {
	if err := c.exec(ctx, `INSERT INTO repository VALUES (1, ?) ON CONFLICT DO NOTHING`, id); err != nil {
		return err
	}
	var known string
	if err := c.db.QueryRowContext(ctx, `SELECT id FROM repository`).Scan(&known); err != nil {
		return fmt.Errorf("catalogue %s: %w", c.path, err)
	}
	if known != id {
		return fmt.Errorf("%w; if it was replaced on purpose, move %s away and open it again", ErrReplaced, c.path)
	}
	return nil
}

func (c *catalogue) clear(ctx context.Context) error {
	return errors.Join(c.exec(ctx, `DELETE FROM blobs`), c.exec(ctx, `DELETE FROM repository`))
}

// put enters b; of a blob that is written again the newest bytes count.
func (c *catalogue) put(ctx context.Context, b Blob) error {
	return c.exec(ctx, `INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?)`, b.Name, b.Size, b.SHA256[:], b.Written.UnixNano())
}

func (c *catalogue) remove(ctx context.Context, name string) error {
	return c.exec(ctx, `DELETE FROM blobs WHERE name = ?`, name)
}

func (c *catalogue) get(ctx context.Context, name string) (Blob, bool, error) {
	found, err := c.query(ctx, `SELECT name, size, sha256, written FROM blobs WHERE name = ?`, name)
	b, ok := found[name]
	return b, ok, err
}

func (c *catalogue) all(ctx context.Context) (map[string]Blob, error) {
	return c.query(ctx, `SELECT name, size, sha256, written FROM blobs`)
}

func (c *catalogue) query(ctx context.Context, statement string, args ...any) (_ map[string]Blob, err error) {
	rows, err := c.db.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, fmt.Errorf("catalogue %s: %w", c.path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	blobs := map[string]Blob{}
	for rows.Next() {
		var b Blob
		var sum []byte
		var written int64
		if err := rows.Scan(&b.Name, &b.Size, &sum, &written); err != nil {
			return nil, fmt.Errorf("catalogue %s: %w", c.path, err)
		}
		copy(b.SHA256[:], sum)
		b.Written = time.Unix(0, written)
		blobs[b.Name] = b
	}
	return blobs, rows.Err()
}

func (c *catalogue) close() error { return c.db.Close() }
