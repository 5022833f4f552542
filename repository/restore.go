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
	"slices"
	"sync"
	"syscall"
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
	Part      Part // what is restored
	Parallel  int  // files at a time; default 4
	Progress  func(Progress)
}

// RestoreResult is what was restored.
type RestoreResult struct {
	Snapshot           Snapshot
	Files, Dirs, Bytes int64
	Took               time.Duration
	Wanted             int64 // files that were to be restored
	// Failed names what was not restored, or not as it was: the repository could not give
	// it, or the target refused it. ErrorCount counts them, beyond the first 10,000 too.
	Failed     []FileError
	ErrorCount int64
}

// ErrNotEmpty: there is something in the folder to restore to.
var ErrNotEmpty = errors.New("the folder is not empty")

// Restore writes a snapshot's files and folders below dir, with their names, contents
// and modification times, readable for the owner only. dir is made if need be. Nothing
// outside dir is touched: links that lead out of it are not followed.
//
// A damaged file, and one that the target does not take, do not keep the others from being
// restored: they are named, and the error says that the restore is not whole. Only a target
// that is full or gone ends it.
func (v *View) Restore(ctx context.Context, id, dir string, o RestoreOptions) (RestoreResult, error) {
	res, err := v.restore(ctx, id, dir, o)
	if err != nil {
		return res, fmt.Errorf("restore snapshot %s to %s: %w", id, dir, err)
	}
	return res, nil
}

func (v *View) restore(ctx context.Context, id, dir string, o RestoreOptions) (RestoreResult, error) {
	part, err := o.Part.cleaned()
	if err != nil {
		return RestoreResult{}, err
	}
	o.Part = part
	man, tree, err := v.wanted(ctx, id, part)
	if err != nil {
		return RestoreResult{}, err
	}
	root, err := openTarget(dir, o.Overwrite)
	if err != nil {
		return RestoreResult{}, err
	}
	return v.restoreInto(ctx, root, man, tree, o)
}

// wanted is a snapshot and its root, in which all of the part was found.
func (v *View) wanted(ctx context.Context, id string, part Part) (*snapshot.Manifest, fs.Directory, error) {
	man, err := v.manifest(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	root, err := snapshotfs.SnapshotRoot(v.rep, man)
	if err != nil {
		return nil, nil, err
	}
	dir, err := part.rootOf(ctx, root)
	return man, dir, err
}

// restoreInto restores below root, and closes it.
func (v *View) restoreInto(ctx context.Context, root *os.Root, man *snapshot.Manifest, tree fs.Directory, o RestoreOptions) (RestoreResult, error) {
	start := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := &target{root: root, options: o, abort: cancel}
	out.result.Snapshot = describe(man)
	if o.Part.all() {
		out.progress.TotalFiles, out.progress.TotalBytes = out.result.Snapshot.Files, out.result.Snapshot.Bytes
	}
	stats, err := restore.Entry(ctx, v.rep, out, &chosen{Directory: tree, target: out}, restore.Options{
		Parallel:               cmp.Or(o.Parallel, 4),
		RestoreDirEntryAtDepth: math.MaxInt32, // 0 would restore nothing, without an error
		IgnoreErrors:           true,          // target names them, and ends the run where it must
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

// whole compares what was restored with what was wanted.
func (t *target) whole(stats restore.Stats, err error) error {
	r, lists := t.result, t.result.Snapshot
	switch {
	case err != nil:
		return err
	case r.ErrorCount > 0:
		return fmt.Errorf("%d of %d files were restored; %d names were not, or not as they were, %s first (%s)", r.Files, r.Wanted, r.ErrorCount, r.Failed[0].Path, r.Failed[0].Err)
	case stats.IgnoredErrorCount > 0:
		return fmt.Errorf("%d folders could not be read; verify names them", stats.IgnoredErrorCount)
	case t.options.Part.all() && (r.Files != lists.Files || r.Bytes != lists.Bytes):
		return fmt.Errorf("%d files of %d bytes were restored, but the snapshot lists %d of %d", r.Files, r.Bytes, lists.Files, lists.Bytes)
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

func (t *target) BeginDirectory(ctx context.Context, rel string, e fs.Directory) error {
	d := e.(*chosen) // all that kopia is given
	name, err := t.place(rel, e)
	if err != nil {
		return t.leave(ctx, d, rel, err)
	}
	if d.name = name; name == "." {
		return nil
	}
	err = t.root.Mkdir(name, 0o700)
	if errors.Is(err, os.ErrExist) {
		info, statErr := t.root.Lstat(name)
		switch {
		case statErr != nil || !info.IsDir():
		case t.options.Overwrite:
			err = nil
		default: // a target that takes capitals for small letters: nothing of either is lost
			return t.failed(ctx, rel, errors.New("the target has a folder of this name in other letters; what belongs here lies there"))
		}
	}
	if err != nil {
		return t.leave(ctx, d, rel, err)
	}
	return nil
}

// leave leaves out a folder that the target does not take, and what is in it.
func (t *target) leave(ctx context.Context, d *chosen, rel string, err error) error {
	d.left = true
	below := int64(0)
	if s, ok := d.Directory.(fs.DirectoryWithSummary); ok {
		if sum, sumErr := s.Summary(ctx); sumErr == nil && sum != nil {
			below = sum.TotalFileCount
		}
	}
	t.mu.Lock()
	t.result.Wanted += below
	t.mu.Unlock()
	if below > 0 {
		err = fmt.Errorf("%w; with it %d files are not restored", errorOf(err), below)
	}
	return t.refused(ctx, rel, err)
}

func (t *target) FinishDirectory(ctx context.Context, rel string, e fs.Directory) error {
	d := e.(*chosen)
	if d.left {
		return nil
	}
	t.mu.Lock()
	t.result.Dirs++
	t.mu.Unlock()
	if err := t.root.Chtimes(d.name, e.ModTime(), e.ModTime()); err != nil {
		return t.refused(ctx, rel, err)
	}
	return nil
}

func (t *target) WriteFile(ctx context.Context, rel string, e fs.File, _ restore.FileWriteProgress) error {
	t.mu.Lock()
	t.result.Wanted++
	t.mu.Unlock()
	name, err := t.place(rel, e)
	if err != nil {
		return t.failed(ctx, rel, err)
	}
	from, err := e.Open(ctx)
	if err != nil {
		return t.failed(ctx, rel, err)
	}
	made, err := t.write(ctx, name, from, e)
	if err = errors.Join(err, from.Close()); err != nil {
		if made { // half a file would pass for a whole one
			err = errors.Join(err, t.root.Remove(name))
		}
		return t.refused(ctx, rel, err)
	}
	t.mu.Lock()
	t.result.Files++
	t.result.Bytes += e.Size()
	t.progress.Files++
	t.report(false)
	t.mu.Unlock()
	if err := t.root.Chtimes(name, e.ModTime(), e.ModTime()); err != nil {
		return t.refused(ctx, rel, fmt.Errorf("it is restored, but not its time: %w", err))
	}
	return nil
}

// readError marks what went wrong on the repository's side of a copy.
type readError struct{ error }

// write makes a file, and reports whether it did, also if it could not fill it.
func (t *target) write(ctx context.Context, name string, from io.Reader, e fs.File) (made bool, err error) {
	if t.options.Overwrite { // not truncated: it might be a link
		if err := t.root.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return false, err
		}
	}
	f, err := t.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return false, errors.New("the target has a file of this name already, in other letters perhaps")
	}
	if err != nil {
		return false, err
	}
	to := &sparse{file: f}
	err = t.copy(ctx, to, from, e.Size())
	if err == nil {
		err = to.end()
	}
	return true, errors.Join(err, f.Close())
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

// refused records what the target does not take, or the repository does not give, and goes
// on; unless nothing can be written any more.
func (t *target) refused(ctx context.Context, rel string, err error) error {
	var read readError
	if !errors.As(err, &read) && (hopeless(err) || t.gone()) {
		t.abort(err)
		return err
	}
	return t.failed(ctx, rel, err)
}

// hopeless tells whether what cannot be written for this reason now cannot be written
// later either. All others are of one file: its name, its size, its time.
func hopeless(err error) bool {
	return slices.ContainsFunc([]error{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO, syscall.ENODEV, syscall.ENXIO,
		syscall.ESTALE, syscall.ENOTCONN, syscall.EHOSTDOWN, syscall.ETIMEDOUT, syscall.EMFILE, syscall.ENFILE,
	}, func(reason error) bool { return errors.Is(err, reason) })
}

// gone tells whether the folder that is restored to is not there any more.
func (t *target) gone() bool {
	is, err := t.root.Stat(".")
	if err != nil {
		return true
	}
	there, err := os.Stat(t.root.Name())
	return err != nil || !os.SameFile(is, there)
}

// failed records a file that is not restored, or not as it was.
func (t *target) failed(ctx context.Context, rel string, err error) error {
	if ctx.Err() != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.progress.Failed++
	t.result.ErrorCount++
	if len(t.result.Failed) < namedFailures {
		t.result.Failed = append(t.result.Failed, FileError{Path: unescapeName(path.Clean(rel)), Err: errorOf(err).Error()})
	}
	return nil
}

// errorOf takes the name off an error, which stands beside it.
func errorOf(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) == 1 {
		err = joined.Unwrap()[0]
	}
	if p, ok := err.(*os.PathError); ok {
		return p.Err
	}
	return err
}

func (t *target) add(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
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
