package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"airlock/ledger/proof"

	"golang.org/x/mod/sumdb/note"
)

// Errors of a ledger that somebody laid hands on while it was open.
var (
	// ErrMoved: the file at the path is not the one that is open. What is written goes into a
	// file that nobody will find.
	ErrMoved = errors.New("the ledger's file was removed or replaced under the running executor")
	// ErrChanged: an entry is not as this process wrote it.
	ErrChanged = errors.New("the ledger was changed under the running executor")
)

// ownFiles are the ledger's files as they were opened. It is safe for concurrent use.
type ownFiles struct {
	mu     sync.Mutex
	opened map[string]fs.FileInfo
}

// hold compares what lies at a path with what lay there when it was asked first; a file
// that has not been made yet is none.
func (f *ownFiles) hold(path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, err := os.Stat(path)
	before := f.opened[path]
	switch {
	case errors.Is(err, fs.ErrNotExist) && before == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s is not there any more", ErrMoved, path)
	case err != nil:
		return fmt.Errorf("ledger %s: %w", path, err)
	case before == nil:
		if f.opened == nil {
			f.opened = map[string]fs.FileInfo{}
		}
		f.opened[path] = now
	case !os.SameFile(before, now):
		return fmt.Errorf("%w: another file lies at %s", ErrMoved, path)
	}
	return nil
}

// Present says whether the files at the ledger's path are still those that are open, and
// can be written to. It takes no lock of SQLite's, and opens none of them: closing one
// would end the locks of this process (fcntl(2)).
func (l *Ledger) Present() error {
	for _, path := range []string{l.path, l.path + "-wal", l.path + "-shm"} {
		if err := l.own.hold(path); err != nil {
			return err
		}
	}
	if err := writable(l.path); err != nil {
		return fmt.Errorf("ledger %s cannot be written to: %w", l.path, err)
	}
	return nil
}

// recent is how many of the newest entries Recent reads: some 20 milliseconds' worth.
const recent = 2048

// Recent says whether the newest entries, the tree above them and the newest head are as
// this process wrote them: ErrChanged if not. How long the ledger is makes no difference:
// the entries before are Verify's business.
func (l *Ledger) Recent(ctx context.Context, keys []note.Verifier) error {
	wrote := l.wrote.Load()
	if wrote == nil { // nothing yet: Open has looked
		return nil
	}
	all, err := l.Archives(ctx)
	if err != nil {
		return err
	}
	edge, err := proof.EdgeOf(max(wrote.Size()-recent, archivedTo(all), 0), hashes(ctx, l.db))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	first := edge.Size() + 1
	for e, err := range l.Entries(ctx, Filter{AfterSeq: edge.Size()}) {
		if err != nil {
			return err
		}
		if edge.Size() == wrote.Size() {
			break
		}
		leaf, err := proof.AppendLeaf(nil, &e)
		if err != nil {
			return fmt.Errorf("%w: entry %d is none: %w", ErrChanged, e.Seq, err)
		}
		if e.Seq != edge.Size()+1 {
			return fmt.Errorf("%w: entry %d is missing", ErrChanged, edge.Size()+1)
		}
		edge.Add(proof.LeafHash(leaf))
	}
	if edge.Size() != wrote.Size() || edge.Root() != wrote.Root() {
		return fmt.Errorf("%w: entries %d to %d are not those that were written; airlock audit verify names what was changed", ErrChanged, first, wrote.Size())
	}
	return l.headHolds(ctx, keys)
}

// headHolds holds the newest head to its signature and to the entries.
func (l *Ledger) headHolds(ctx context.Context, keys []note.Verifier) error {
	head, ok, err := l.LastHead(ctx)
	if err != nil || !ok || len(keys) == 0 {
		return err
	}
	if _, err := proof.OpenHead([]byte(head.Note), keys...); err != nil {
		return fmt.Errorf("%w: its newest head: %w", ErrChanged, err)
	}
	root, err := l.Root(ctx, head.Size)
	if err != nil {
		return fmt.Errorf("%w: its newest head: %w", ErrChanged, err)
	}
	if root != head.Root {
		return fmt.Errorf("%w: its newest head was signed for other entries", ErrChanged)
	}
	return nil
}

// Foreign reports whether anybody but this process has written to the ledger by way of SQLite
// since it was asked last, or since it was opened: an old entry may be another one then,
// which Recent does not read, and only Verify tells. What is done to the file's bytes past
// SQLite does not show in it.
//
// https://www.sqlite.org/pragma.html#pragma_data_version: the value changes for a connection
// when another one commits, and never by its own commits; and all of this process's come by
// one connection.
func (l *Ledger) Foreign(ctx context.Context) (bool, error) {
	l.foreign.Lock()
	defer l.foreign.Unlock()
	now, err := l.dataVersion(ctx)
	if err != nil {
		return false, err
	}
	written := now != l.foreign.version
	l.foreign.version = now
	return written, nil
}

// Intact looks at the schema, to the letter, and at the first and last entries: ErrDamaged if
// something that refuses changes is gone. It takes milliseconds however long the ledger is.
func (l *Ledger) Intact(ctx context.Context) error {
	_, err := inspect(ctx, l.writer, l.path)
	return err
}

func (l *Ledger) dataVersion(ctx context.Context) (version int64, err error) {
	if err := l.writer.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil {
		return 0, explain(l.path, err)
	}
	return version, nil
}

// versions is what SQLite counted when it was asked last. It is safe for concurrent use.
type versions struct {
	sync.Mutex
	version int64
}
