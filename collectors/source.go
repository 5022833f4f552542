// Package collectors reads departmental systems' backups where they lie.
//
// A Source is a read-only tree: an SMB share, an SFTP tree, a local folder. The
// drivers below this package open one each; every driver passes the suite in
// collectors/collecttest. What is the same for all of them stands here: which files
// are wanted (Filter), how hard the department's server may be worked (Limits), the
// wait for its own "dump finished" marker (Await), reads kept in flight ahead of
// the consumer (ReadAhead), carrying on over a lost connection (Redial), standing
// still while a window shuts the departments' door (Gate), and the figures for a
// progress line (Meter). Stack puts them around a driver in the order that works.
//
// Nothing in this package or below it writes to a source.
package collectors

import (
	"context"
	"errors"
	"io"
	"io/fs"
)

// Source is a tree of files. Names are slash-separated and relative to the root,
// which is "."; they are the server's own bytes, never normalised, so that a file
// found by listing can be opened by the name that was listed.
//
// It is safe for concurrent use. Every call ends when its context does, even on a
// dead link.
type Source interface {
	// ReadDir lists one folder, sorted by name. Entries that are neither files nor
	// folders (links, devices) are left out. A listing that broke off is an error,
	// never a shorter list.
	ReadDir(ctx context.Context, dir string) ([]fs.FileInfo, error)
	// Stat describes one file or folder, without following a link.
	Stat(ctx context.Context, name string) (fs.FileInfo, error)
	// Open opens a file for reading; ctx bounds the file's whole life.
	Open(ctx context.Context, name string) (File, error)
	// Close ends the connection. Calls in progress fail.
	Close() error
}

// File is an open file of a Source. ReadAt may be called from several goroutines.
type File interface {
	io.ReaderAt
	io.Closer
	// Stat tells what the file was when it was opened; it costs nothing. To see
	// whether the file changed since, ask the Source again.
	Stat() (fs.FileInfo, error)
}

// Errors on which callers branch; drivers wrap them.
var (
	// ErrGone: the connection is lost; the error says nothing about the file.
	ErrGone = errors.New("the source is gone")
	// ErrNotReady: the readiness marker did not appear in time.
	ErrNotReady = errors.New("the source is not ready")
	// ErrAuth: the server did not accept the credentials.
	ErrAuth = errors.New("the source did not accept the credentials")
	// ErrNotEntered: they were not even shown to it, for something is not as it must be, here
	// or there: a key that is none, another host key, a line that nothing protects.
	ErrNotEntered = errors.New("the source was not entered")
)
