package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
)

// Errors on which callers branch.
var (
	// ErrDamaged says that the file is no sound ledger. It was not touched.
	ErrDamaged = errors.New("the ledger is damaged")
	// ErrClosed says that the ledger was closed before the entry could be written.
	ErrClosed = errors.New("the ledger is closed")
)

// Parameters of a connection, in the terms of go-sqlite3, whose default for
// synchronous is NORMAL: that would lose acknowledged entries in a power cut. No
// connection ever makes a file; create does.
const (
	// A transaction of the writer begins as one that writes, so that its reading of
	// the last number holds until it commits. recursive_triggers lets the triggers
	// see the deletion inside INSERT OR REPLACE.
	forWriting = "mode=rw&_synchronous=FULL&_busy_timeout=2000&_txlock=immediate&_recursive_triggers=1&_stmt_cache_size=8"
	// Checking the indexes looks each entry up in each: with SQLite's 2 MB of pages that
	// takes half as long again as with 16.
	forReading = "mode=ro&_busy_timeout=2000&_stmt_cache_size=32&_cache_size=-16000"
)

// connector opens connections without a name in database/sql's global register.
type connector struct {
	sqlite3.SQLiteDriver
	dsn string
}

func (c *connector) Connect(context.Context) (driver.Conn, error) { return c.Open(c.dsn) }
func (c *connector) Driver() driver.Driver                        { return &c.SQLiteDriver }

// connect prepares access to the file at path. Writing has one connection. Nothing
// is opened before the first use.
func connect(path, parameters string) (*sql.DB, error) {
	dsn := path + "?" + parameters
	if path != ":memory:" {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		dsn = (&url.URL{Scheme: "file", Path: abs, RawQuery: parameters}).String()
	}
	db := sql.OpenDB(&connector{dsn: dsn})
	db.SetMaxOpenConns(1)
	if parameters == forReading {
		db.SetMaxOpenConns(4)
		db.SetMaxIdleConns(4)
	}
	return db, nil
}

// rollback ends tx after a failure. That SQLite may have done so by itself, as it
// does on a full disk, is no further error.
func rollback(tx *sql.Tx) error {
	err := tx.Rollback()
	var e sqlite3.Error
	if errors.Is(err, sql.ErrTxDone) || errors.As(err, &e) && e.Code == sqlite3.ErrError {
		return nil
	}
	return err
}

func damaged(path string, err error) error {
	return fmt.Errorf("%w: %s: %w; nothing was changed. Keep the file as evidence: move it aside together with its -wal and -shm, then start again", ErrDamaged, path, err)
}

// explain adds to an error of SQLite which ledger it concerns and what to do.
func explain(path string, err error) error {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("ledger %s: %w", path, err)
	}
	hint := ""
	switch e.Code {
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB, sqlite3.ErrFormat:
		return damaged(path, err)
	case sqlite3.ErrFull:
		hint = "; free some space on its disk"
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		hint = "; another process is writing to it: find and end that one"
	case sqlite3.ErrCantOpen, sqlite3.ErrPerm, sqlite3.ErrReadonly:
		hint = "; look at the owner and the mode of the file and its folder"
	case sqlite3.ErrIoErr:
		hint = "; look at the kernel's log for errors of its disk"
	}
	return fmt.Errorf("ledger %s: %w%s", path, err, hint)
}
