package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/restore"
	"github.com/kopia/kopia/snapshot/snapshotfs"
)

// RestoreOptions say how to restore.
type RestoreOptions struct {
	// Overwrite allows a folder that has something in it. Files of the snapshot replace
	// those of the same name; all others stay.
	Overwrite bool
	Parallel  int // files at a time; default 4
	Progress  func(Progress)
}

// RestoreResult is what was restored.
type RestoreResult struct {
	Snapshot           Snapshot
	Files, Dirs, Bytes int64
	Took               time.Duration
	// Failed names the files that the repository could not give; all others were
	// restored.
	Failed []FileError
}

// ErrNotEmpty: there is something in the folder to restore to.
var ErrNotEmpty = errors.New("the folder is not empty")

// Restore writes a snapshot's files and folders below dir, with their names, contents
// and modification times, readable for the owner only. dir is made if need be. Nothing
// outside dir is touched: links that lead out of it are not followed.
//
// A damaged file does not keep the others from being restored; it is named, and the
// error says that the restore is not whole.
func (v *View) Restore(ctx context.Context, id, dir string, o RestoreOptions) (RestoreResult, error) {
	res, err := v.restore(ctx, id, dir, o)
	if err != nil {
		return res, fmt.Errorf("restore snapshot %s to %s: %w", id, dir, err)
	}
	return res, nil
}

func (v *View) restore(ctx context.Context, id, dir string, o RestoreOptions) (RestoreResult, error) {
	start := time.Now()
	man, err := v.manifest(ctx, id)
	if err != nil {
		return RestoreResult{}, err
	}
	tree, err := snapshotfs.SnapshotRoot(v.rep, man)
	if err != nil {
		return RestoreResult{}, err
	}
	root, err := openTarget(dir, o.Overwrite)
	if err != nil {
		return RestoreResult{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := &target{root: root, options: o, abort: cancel}
	out.result.Snapshot = describe(man)
	out.progress.TotalFiles, out.progress.TotalBytes = out.result.Snapshot.Files, out.result.Snapshot.Bytes
	stats, err := restore.Entry(ctx, v.rep, out, tree, restore.Options{
		Parallel:               cmp.Or(o.Parallel, 4),
		RestoreDirEntryAtDepth: math.MaxInt32, // 0 would restore nothing, without an error
		IgnoreErrors:           true,          // of reading; target ends the run on those of writing
	})
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	out.report(true) // everybody else is done: no lock is needed
	out.result.Took = time.Since(start)
	return out.result, errors.Join(out.whole(stats, err), root.Close())
}

func openTarget(dir string, overwrite bool) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil || overwrite {
		return root, err
	}
	d, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	switch _, err = d.Readdirnames(1); err {
	case io.EOF:
		return root, d.Close()
	case nil:
		err = fmt.Errorf("%w; choose another", ErrNotEmpty)
	}
	return nil, errors.Join(err, d.Close(), root.Close())
}

// target is the folder that is restored to; it is kopia's restore.Output. Names are
// unescaped here. Modes and owners are not taken from the snapshot.
type target struct {
	root    *os.Root
	options RestoreOptions
	abort   context.CancelCauseFunc

	mu       sync.Mutex
	reported time.Time
	progress Progress
	result   RestoreResult
}

// whole compares what was restored with what the snapshot lists.
func (t *target) whole(stats restore.Stats, err error) error {
	want := t.result.Snapshot
	switch {
	case err != nil:
		return err
	case len(t.result.Failed) > 0:
		return fmt.Errorf("%d of %d files could not be restored, %s first (%s); all others were", len(t.result.Failed), want.Files, t.result.Failed[0].Path, t.result.Failed[0].Err)
	case stats.IgnoredErrorCount > 0:
		return fmt.Errorf("%d folders could not be read; verify names them", stats.IgnoredErrorCount)
	case t.result.Files != want.Files || t.result.Bytes != want.Bytes:
		return fmt.Errorf("%d files of %d bytes were restored, but the snapshot lists %d of %d", t.result.Files, t.result.Bytes, want.Files, want.Bytes)
	}
	return nil
}

// place turns kopia's path into one below the root.
func (t *target) place(rel string, e fs.Entry) (string, error) {
	switch {
	case rel == "":
		return ".", nil // the root itself, whose own name does not matter
	case !storable(e.Name()):
		return "", fmt.Errorf("the snapshot holds %q, which is not a file name", e.Name())
	}
	return filepath.FromSlash(unescapeName(rel)), nil
}

// stop ends the restore: what cannot be written now cannot be written later either.
func (t *target) stop(err error) error {
	t.abort(err)
	return err
}

func (t *target) BeginDirectory(_ context.Context, rel string, e fs.Directory) error {
	name, err := t.place(rel, e)
	if err != nil || name == "." {
		return err
	}
	err = t.root.Mkdir(name, 0o700)
	if t.options.Overwrite && errors.Is(err, os.ErrExist) {
		if info, statErr := t.root.Lstat(name); statErr == nil && info.IsDir() {
			err = nil
		}
	}
	if err != nil {
		return t.stop(err)
	}
	return nil
}

func (t *target) FinishDirectory(_ context.Context, rel string, e fs.Directory) error {
	name, err := t.place(rel, e)
	if err != nil {
		return err
	}
	if err := t.root.Chtimes(name, e.ModTime(), e.ModTime()); err != nil {
		return t.stop(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result.Dirs++
	return nil
}

func (t *target) WriteFile(ctx context.Context, rel string, e fs.File, _ restore.FileWriteProgress) error {
	name, err := t.place(rel, e)
	if err != nil {
		return err
	}
	from, err := e.Open(ctx)
	if err != nil {
		return t.failed(ctx, rel, err)
	}
	err = t.write(ctx, name, from, e)
	var read readError
	switch err = errors.Join(err, from.Close()); {
	case errors.As(err, &read):
		return t.failed(ctx, rel, errors.Join(err, t.root.Remove(name)))
	case err != nil:
		return t.stop(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result.Files++
	t.progress.Files++
	t.report(false)
	return nil
}

// readError marks what went wrong on the repository's side of a copy.
type readError struct{ error }

func (t *target) write(ctx context.Context, name string, from io.Reader, e fs.File) (err error) {
	if t.options.Overwrite { // not truncated: it might be a link
		if err := t.root.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	f, err := t.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(t.copy(ctx, f, from, e.Size()), f.Close())
	if err != nil {
		return err
	}
	return t.root.Chtimes(name, e.ModTime(), e.ModTime())
}

func (t *target) copy(ctx context.Context, to io.Writer, from io.Reader, size int64) error {
	buf := make([]byte, min(1<<20, size+1))
	for got := int64(0); ; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := from.Read(buf)
		if _, err := to.Write(buf[:n]); err != nil {
			return err
		}
		got += int64(n)
		t.add(int64(n))
		switch {
		case err == io.EOF && got == size:
			return nil
		case err == io.EOF:
			return readError{fmt.Errorf("the repository gave %d bytes of %d", got, size)}
		case err != nil:
			return readError{err}
		}
	}
}

// failed records a file that the repository does not give.
func (t *target) failed(ctx context.Context, rel string, err error) error {
	if ctx.Err() != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.progress.Failed++
	t.result.Failed = append(t.result.Failed, FileError{Path: unescapeName(path.Clean(rel)), Err: err.Error()})
	return nil
}

func (t *target) add(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result.Bytes += n
	t.progress.Bytes += n
	t.report(false)
}

// report passes the progress on, four times a second at most, and at the last. t.mu is
// held.
func (t *target) report(last bool) {
	if now := time.Now(); t.options.Progress != nil && (last || now.Sub(t.reported) >= time.Second/4) {
		t.reported = now
		t.options.Progress(t.progress)
	}
}

// CreateSymlink refuses: airlock's snapshots hold no links, and one made by somebody
// else could lead the next file out of the folder.
func (t *target) CreateSymlink(ctx context.Context, rel string, _ fs.Symlink) error {
	return t.failed(ctx, rel, errors.New("it is a symbolic link; airlock restores files and folders only"))
}

func (t *target) Parallelizable() bool                                   { return true }
func (t *target) FileExists(context.Context, string, fs.File) bool       { return false }
func (t *target) SymlinkExists(context.Context, string, fs.Symlink) bool { return false }
func (t *target) Close(context.Context) error                            { return nil }
func (t *target) WriteDirEntry(context.Context, string, *snapshot.DirEntry, fs.Directory) error {
	return nil
}
