package orchestrator

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"airlock/blob"
	"airlock/repository"
	"airlock/vault"
)

// taking keeps one blob that came through a door, as vault.Fetch wants it kept.
type taking = func(ctx context.Context, e vault.Entry, r io.Reader) error

// arrivals remember which blobs came.
type arrivals struct {
	take  taking
	mu    sync.Mutex
	names map[string]bool
}

func (a *arrivals) keep(ctx context.Context, e vault.Entry, r io.Reader) error {
	if err := a.take(ctx, e, r); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.names[e.Name] = true
	return nil
}

func (a *arrivals) has(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.names[name]
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.names)
}

// shelf keeps blobs that came through a vault's door until what they are for is done. They
// lie there by their hash, so that what came before a cut need not come again.
type shelf struct{ dir string }

// openShelf makes the folder if need be, and throws out what is not what its name says: a
// power cut may leave such files.
func openShelf(ctx context.Context, dir string) (shelf, error) {
	s := shelf{dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return s, err
	}
	files, err := os.ReadDir(dir)
	for _, f := range files {
		if ctx.Err() != nil {
			return s, context.Cause(ctx)
		}
		if sum, bad := hashFile(filepath.Join(dir, f.Name())); bad != nil || sum.String() != f.Name() {
			err = errors.Join(err, os.Remove(filepath.Join(dir, f.Name())))
		}
	}
	return s, err
}

func hashFile(name string) (sum blob.Sum, err error) {
	f, err := os.Open(name)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	h.Sum(sum[:0])
	return sum, errors.Join(err, f.Close())
}

func (s shelf) path(e vault.Entry) string { return filepath.Join(s.dir, e.SHA256.String()) }

// take is a taking. It does not sync: what a power cut spoils is fetched again.
func (s shelf) take(_ context.Context, e vault.Entry, r io.Reader) error {
	f, err := os.CreateTemp(s.dir, "part-")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), s.path(e))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func (s shelf) has(e vault.Entry) bool {
	info, err := os.Lstat(s.path(e))
	return err == nil && info.Size() == e.Size
}

func (s shelf) open(e vault.Entry, off, n int64) (io.ReadCloser, error) {
	f, err := os.Open(s.path(e))
	if err != nil {
		return nil, err
	}
	if n < 0 {
		n = e.Size - off
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, off, n), f}, nil
}

func (s shelf) clear() error { return os.RemoveAll(s.dir) }

// nearby are the repository's blobs, of which a restore from a vault takes those that
// still are what the generation lists: only the others must come through the door.
type nearby struct {
	holdings *repository.Holdings // nil where the repository has nothing to give
	blobs    map[string]blob.Blob
}

// lookNearby finds out what the repository still has. What snapshots are found by is read
// and hashed, and the packs of data by prove, once it is known which are needed.
func lookNearby(ctx context.Context, conf repository.Config, tell Watch) (*nearby, error) {
	h, err := repository.OpenHoldings(ctx, conf, false)
	if err != nil {
		tell(Progress{Text: fmt.Sprintf("the repository cannot be reached, so all comes through the door: %v", err)})
		return &nearby{}, nil
	}
	n := &nearby{holdings: h}
	if n.blobs, err = n.intact(ctx); err == nil {
		var metadata []blob.Blob
		for _, b := range n.blobs {
			if repository.Metadata(b.Name) {
				metadata = append(metadata, b)
			}
		}
		err = n.prove(ctx, metadata, tell)
	}
	if err != nil {
		return nil, errors.Join(err, n.close(ctx))
	}
	return n, nil
}

// intact are the blobs that lie there with the size that the catalogue has.
func (n *nearby) intact(ctx context.Context) (map[string]blob.Blob, error) {
	blobs, err := n.holdings.Catalogued(ctx)
	if err != nil {
		return nil, err
	}
	listed, err := n.holdings.Listed(ctx)
	for name, b := range blobs {
		if size, there := listed[name]; !there || size != b.Size {
			delete(blobs, name)
		}
	}
	return blobs, err
}

// prove reads blobs, and from then on does without those that are damaged.
func (n *nearby) prove(ctx context.Context, blobs []blob.Blob, tell Watch) error {
	if len(blobs) == 0 {
		return nil
	}
	p := Progress{Stage: "reading what the repository still has", TotalFiles: int64(len(blobs))}
	for _, b := range blobs {
		p.TotalBytes += b.Size
	}
	bad, err := n.holdings.Inspect(ctx, blobs, meter(tell, p))
	for _, a := range bad {
		delete(n.blobs, a.Name)
	}
	if len(bad) > 0 {
		tell(Progress{Text: fmt.Sprintf("%d blobs of the repository are damaged, the first of them %s: %s", len(bad), bad[0].Name, bad[0].Why)})
	}
	return err
}

func (n *nearby) has(e vault.Entry) bool {
	b, ok := n.blobs[e.Name]
	return ok && b.SHA256 == e.SHA256 && b.Size == e.Size
}

func (n *nearby) close(ctx context.Context) error {
	if n.holdings == nil {
		return nil
	}
	return n.holdings.Close(context.WithoutCancel(ctx))
}
