package repository

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"airlock/collectors"

	"github.com/kopia/kopia/fs"
)

// readAhead is the number of reads kept in flight in a large file.
const readAhead = 6

// tree shows a collectors.Source to kopia. Names are escaped on the way in; modes and
// owners are left out, since they differ between servers of one and the same backup
// and kopia would take a difference for a change.
type tree struct {
	// ctx is the caller's. kopia passes contexts of its own, which live on for a while
	// to save what was read when the caller's has ended; reading must not.
	ctx    context.Context
	source collectors.Source
	// lost is told once the source as a whole can no longer be read.
	lost func(error)
	// changed is told of files that changed while they were read.
	changed func(name string)
	// tooLong is told of names that no Linux disk can hold.
	tooLong func(name string)
}

// sourceError marks what went wrong at the source, as opposed to the repository.
type sourceError struct{ error }

func (e sourceError) Unwrap() error { return e.error }

// failed classifies an error of the source.
func (t *tree) failed(err error) error {
	switch {
	case t.ctx.Err() != nil:
		t.lost(context.Cause(t.ctx))
	case errors.Is(err, collectors.ErrGone), errors.Is(err, collectors.ErrAuth), errors.Is(err, collectors.ErrNotEntered):
		t.lost(err)
	}
	return sourceError{err}
}

func (t *tree) root() (*folderEntry, error) {
	info, err := t.source.Stat(t.ctx, ".")
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, errors.New("the source's root is not a folder")
	}
	return &folderEntry{entry{t, ".", info}}, nil
}

func (t *tree) wrap(dir string, info iofs.FileInfo) fs.Entry {
	e := entry{t, path.Join(dir, info.Name()), info}
	if len(info.Name()) > longestName {
		t.tooLong(e.name)
	}
	switch {
	case !storable(info.Name()):
		e.name = dir + "/" + info.Name() // not joined: ".." would vanish
		return &badEntry{e}
	case info.IsDir():
		return &folderEntry{e}
	}
	return &fileEntry{e}
}

// longestName is NAME_MAX of the file systems that Linux has, in bytes.
const longestName = 255

type entry struct {
	tree *tree
	name string // slash-separated, relative to the source, unescaped
	info iofs.FileInfo
}

func (e *entry) Name() string                { return escapeName(e.info.Name()) }
func (e *entry) IsDir() bool                 { return e.info.IsDir() }
func (e *entry) Sys() any                    { return nil }
func (e *entry) Owner() fs.OwnerInfo         { return fs.OwnerInfo{} }
func (e *entry) Device() fs.DeviceInfo       { return fs.DeviceInfo{} }
func (e *entry) LocalFilesystemPath() string { return "" }
func (e *entry) Close()                      {}

func (e *entry) Mode() os.FileMode {
	if e.info.IsDir() {
		return os.ModeDir | 0o700
	}
	return 0o600
}

func (e *entry) Size() int64 {
	if e.info.IsDir() {
		return 0
	}
	return e.info.Size()
}

// ModTime is what the source says, if kopia can store it: its times are nanoseconds
// around 1970 in 64 bits. SMB's "no time" is the year 1601.
func (e *entry) ModTime() time.Time {
	t := e.info.ModTime()
	if y := t.Year(); y < 1678 || y > 2261 {
		return time.Unix(0, 0)
	}
	return t
}

// badEntry is a name that no tree can hold: it fails, and is named in the Result.
type badEntry struct{ entry }

func (e *badEntry) ErrorInfo() error {
	return sourceError{fmt.Errorf("the source lists %q, which is not a file name", e.info.Name())}
}

type folderEntry struct{ entry }

func (d *folderEntry) SupportsMultipleIterations() bool { return true }

func (d *folderEntry) Child(_ context.Context, name string) (fs.Entry, error) {
	info, err := d.tree.source.Stat(d.tree.ctx, path.Join(d.name, unescapeName(name)))
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		return nil, fs.ErrEntryNotFound
	case err != nil:
		return nil, d.tree.failed(err)
	}
	return d.tree.wrap(d.name, info), nil
}

func (d *folderEntry) Iterate(context.Context) (fs.DirectoryIterator, error) {
	infos, err := d.tree.source.ReadDir(d.tree.ctx, d.name)
	if err != nil {
		return nil, d.tree.failed(err)
	}
	entries := make([]fs.Entry, 0, len(infos))
	for _, info := range infos {
		entries = append(entries, d.tree.wrap(d.name, info))
	}
	slices.SortFunc(entries, func(a, b fs.Entry) int { return strings.Compare(a.Name(), b.Name()) })
	return fs.StaticIterator(entries, nil), nil
}

type fileEntry struct{ entry }

// Open opens the file to be read up to the size that it has now: of a file that grows
// meanwhile the snapshot holds what was there at the beginning.
func (f *fileEntry) Open(context.Context) (fs.Reader, error) {
	r, err := collectors.ReadAhead(f.tree.ctx, f.tree.source, f.name, readAhead)
	if err != nil {
		return nil, f.tree.failed(err)
	}
	return &fileReader{Reader: r, entry: f}, nil
}

type fileReader struct {
	*collectors.Reader
	entry *fileEntry
}

func (r *fileReader) Entry() (fs.Entry, error) { return r.entry, nil }

func (r *fileReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	switch {
	case err == io.EOF:
		err = r.finish()
	case err != nil:
		err = r.entry.tree.failed(err)
	}
	return n, err
}

// finish looks whether a file that took several reads is still the one that was opened.
func (r *fileReader) finish() error {
	e := r.entry
	opened, err := r.Stat()
	if err != nil {
		return e.tree.failed(err)
	}
	if opened.Size() <= collectors.Block {
		return io.EOF
	}
	now, err := e.tree.source.Stat(e.tree.ctx, e.name)
	if err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return e.tree.failed(err)
	}
	if err != nil || now.Size() != opened.Size() || !now.ModTime().Equal(opened.ModTime()) {
		e.tree.changed(e.name)
	}
	return io.EOF
}
