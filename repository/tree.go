package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"
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
	// loop is told of folders that lead back to one that they lie in.
	loop func(name, back string)

	seen       *seen
	alwaysRead collectors.Filter // what Include names is read each time

	bounds  Bounds
	entries atomic.Int64 // listed so far
	barren  atomic.Int64 // folders listed since one had a file
}

// Bounds are what a source may have at the most: a server that lies, or links that lead in
// circles, would be read for ever. Zero fields have a usual size.
type Bounds struct {
	Entries int64 // files and folders; default 20 million
	Depth   int   // folders in folders; default 256
}

// barrenPart of the entries that are allowed may be folders in a row without one file.
const barrenPart = 200

func (b Bounds) withDefaults() Bounds {
	return Bounds{cmp.Or(b.Entries, 20_000_000), cmp.Or(b.Depth, 256)}
}

// listed counts what a folder has.
func (t *tree) listed(infos []iofs.FileInfo) error {
	if slices.ContainsFunc(infos, func(i iofs.FileInfo) bool { return !i.IsDir() }) {
		t.barren.Store(0)
	} else if n := t.barren.Add(1); n > t.bounds.Entries/barrenPart {
		return fmt.Errorf("%w: %d folders in a row have not one file; if that is right, raise limits.entries", collectors.ErrBounds, n)
	}
	if n := t.entries.Add(int64(len(infos))); n > t.bounds.Entries {
		return fmt.Errorf("%w: it has more than %d files and folders; if that is right, raise limits.entries", collectors.ErrBounds, t.bounds.Entries)
	}
	return nil
}

// sourceError marks what went wrong at the source, as opposed to the repository.
type sourceError struct{ error }

func (e sourceError) Unwrap() error { return e.error }

// failed classifies an error of the source.
func (t *tree) failed(err error) error {
	switch {
	case t.ctx.Err() != nil:
		t.lost(context.Cause(t.ctx))
	case errors.Is(err, collectors.ErrGone), errors.Is(err, collectors.ErrAuth), errors.Is(err, collectors.ErrNotEntered), errors.Is(err, collectors.ErrBounds):
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
	return &folderEntry{entry: entry{t, "", info}, id: collectors.MarksOf(info).ID}, nil
}

// wrap is an entry of a folder as kopia gets it; nil for one that leads back.
func (d *folderEntry) wrap(info iofs.FileInfo) fs.Entry {
	e := entry{d.tree, d.path(), info}
	if len(info.Name()) > longestName {
		d.tree.tooLong(e.path())
	}
	switch {
	case !storable(info.Name()):
		return &badEntry{e, fmt.Errorf("the source lists %q, which is not a file name", info.Name())}
	case (info.Size() < 0 || info.Size() > largestFile) && !info.IsDir():
		return &badEntry{e, fmt.Errorf("the source lists a size of %d bytes, which no file has", info.Size())}
	case !info.IsDir():
		return d.tree.file(e)
	}
	below := &folderEntry{entry: e, in: d, depth: d.depth + 1, id: collectors.MarksOf(info).ID}
	if back := below.leadsBack(); back != nil {
		d.tree.loop(e.path(), back.path())
		return nil
	}
	if most := d.tree.bounds.Depth; below.depth > most {
		return &badEntry{e, fmt.Errorf("it lies in more than %d folders, and is left out", most)}
	}
	return below
}

// leadsBack is the folder that this one is, among those that it lies in: a server that
// follows links shows a folder by two names, and its files without end.
func (d *folderEntry) leadsBack() *folderEntry {
	if d.id == (collectors.FileID{}) {
		return nil
	}
	up := d.in
	for up != nil && up.id != d.id {
		up = up.in
	}
	return up
}

// largestFile is 1 PiB, more than any file that a department has. kopia makes a list of the
// parts of a file by its size alone: of the size that a server lied about, it took all memory
// that there was, and the executor with it.
const largestFile = 1 << 50

// longestName is NAME_MAX of the file systems that Linux has, in bytes.
const longestName = 255

type entry struct {
	tree *tree
	dir  string // slash-separated, relative to the source, unescaped; "" of the root
	info iofs.FileInfo
}

// path is the entry's name from the root.
func (e *entry) path() string {
	switch {
	case e.dir == "":
		return "."
	case !storable(e.info.Name()): // not joined: ".." would vanish
		return e.dir + "/" + e.info.Name()
	}
	return path.Join(e.dir, e.info.Name())
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
	if !storableTime(t) {
		return time.Unix(0, 0)
	}
	return t
}

// storableTime: two times that are not would compare equal, so such a file is read each time.
func storableTime(t time.Time) bool { return t.Year() >= 1678 && t.Year() <= 2261 }

// badEntry is one that no tree can hold: it fails, and is named in the Result.
type badEntry struct {
	entry
	why error
}

func (e *badEntry) ErrorInfo() error { return sourceError{e.why} }

type folderEntry struct {
	entry
	in    *folderEntry // nil of the root
	depth int
	id    collectors.FileID
}

func (d *folderEntry) SupportsMultipleIterations() bool { return true }

func (d *folderEntry) Child(_ context.Context, name string) (fs.Entry, error) {
	info, err := d.tree.source.Stat(d.tree.ctx, path.Join(d.path(), unescapeName(name)))
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		return nil, fs.ErrEntryNotFound
	case err != nil:
		return nil, d.tree.failed(err)
	}
	if e := d.wrap(info); e != nil {
		return e, nil
	}
	return nil, fs.ErrEntryNotFound
}

func (d *folderEntry) Iterate(context.Context) (fs.DirectoryIterator, error) {
	infos, err := d.tree.source.ReadDir(d.tree.ctx, d.path())
	if err == nil {
		err = d.tree.listed(infos)
	}
	if err != nil {
		return nil, d.tree.failed(err)
	}
	entries := make([]fs.Entry, 0, len(infos))
	for _, info := range infos {
		if e := d.wrap(info); e != nil {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b fs.Entry) int { return strings.Compare(a.Name(), b.Name()) })
	return fs.StaticIterator(entries, nil), nil
}

// fileEntry is a file. One that must be read has an owner that no snapshot has, until it is
// opened: kopia compares owners, and nothing else of an entry could differ without being
// stored.
type fileEntry struct {
	entry
	must   bool
	opened atomic.Bool
}

// file decides whether a file must be read, though its size and time may be as they were.
func (t *tree) file(e entry) *fileEntry {
	name := e.path()
	f := &fileEntry{entry: e, must: !storableTime(e.info.ModTime()) || !t.seen.unchanged(name, e.info) ||
		len(t.alwaysRead.Include) > 0 && t.alwaysRead.Wants(name, false)}
	if !f.must {
		t.seen.read(name, e.info)
	}
	return f
}

func (f *fileEntry) Owner() fs.OwnerInfo {
	if f.must && !f.opened.Load() {
		return fs.OwnerInfo{UserID: 1, GroupID: 1}
	}
	return fs.OwnerInfo{}
}

// Open opens the file to be read up to the size that it has now: of a file that grows
// meanwhile the snapshot holds what was there at the beginning.
func (f *fileEntry) Open(context.Context) (fs.Reader, error) {
	r, err := collectors.ReadAhead(f.tree.ctx, f.tree.source, f.path(), readAhead)
	if err != nil {
		return nil, f.tree.failed(err)
	}
	f.opened.Store(true)
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
		e.wasRead(opened)
		return io.EOF
	}
	now, err := e.tree.source.Stat(e.tree.ctx, e.path())
	if err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return e.tree.failed(err)
	}
	if err != nil || now.Size() != opened.Size() || !now.ModTime().Equal(opened.ModTime()) {
		e.tree.changed(e.path())
		return io.EOF
	}
	e.wasRead(opened)
	return io.EOF
}

// wasRead remembers that what was listed is what was read.
func (f *fileEntry) wasRead(opened iofs.FileInfo) {
	if f.must && opened.Size() == f.info.Size() && opened.ModTime().Equal(f.info.ModTime()) {
		f.tree.seen.read(f.path(), f.info)
	}
}
