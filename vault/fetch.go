package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"airlock/blob"
)

// Fetched is what [Fetch] brought.
type Fetched struct {
	Blobs int
	Bytes int64
	Lacks []blob.Fault // what the vault has not, or not as it was sent, by name; nothing of it was taken
}

// Fetch reads blobs from a vault and has each taken, several at once: data, metadata,
// indexes and kopia's own one after the other, so that a cut at any instant leaves a
// repository that names nothing it has not. take reads r to its end and must keep nothing
// unless that is io.EOF: bytes that are not those that were sent end in another error.
//
// A blob that the vault cannot give is in Lacks, and does not keep the others. The error
// is for the link, for take, and for ctx. progress may be nil; it is called often, by one
// goroutine at a time, and must not block.
func Fetch(ctx context.Context, store Store, blobs []Entry, take func(ctx context.Context, e Entry, r io.Reader) error, progress func(Progress)) (Fetched, error) {
	f := &fetching{store: store, take: take, tell: progress}
	if progress == nil {
		f.tell = func(Progress) {}
	}
	var byClass [classes][]Entry
	for _, e := range blobs {
		byClass[classOf(e.Name)] = append(byClass[classOf(e.Name)], e)
		f.progress.BlobsTotal++
		f.progress.BytesTotal += e.Size
	}
	for _, some := range byClass {
		slices.SortFunc(some, func(a, b Entry) int { return inOrder(a.blob(), b.blob()) })
		if err := f.all(ctx, some); err != nil {
			return f.fetched, fmt.Errorf("fetch from the vault: %w", err)
		}
	}
	slices.SortFunc(f.fetched.Lacks, func(a, b blob.Fault) int { return strings.Compare(a.Name, b.Name) })
	return f.fetched, nil
}

func (e Entry) blob() blob.Blob { return blob.Blob{Name: e.Name, Size: e.Size, SHA256: e.SHA256} }

type fetching struct {
	store Store
	take  func(ctx context.Context, e Entry, r io.Reader) error

	mu       sync.Mutex
	fetched  Fetched
	progress Progress
	tell     func(Progress)
}

func (f *fetching) all(ctx context.Context, blobs []Entry) error {
	workers, working := errgroup.WithContext(ctx)
	workers.SetLimit(defaultWorkers)
	for _, e := range blobs {
		if working.Err() != nil {
			break
		}
		workers.Go(func() error { return f.one(working, e) })
	}
	return errors.Join(workers.Wait(), context.Cause(ctx))
}

func (f *fetching) one(ctx context.Context, e Entry) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	body, err := f.store.Open(ctx, e.At(), 0, e.Size+1)
	if errors.Is(err, fs.ErrNotExist) {
		return f.lack(e, "the vault has no such blob")
	}
	if err != nil {
		return fmt.Errorf("blob %s: %w", e.Name, err)
	}
	r := blob.Verify(body, e.Size, e.SHA256, f.moved)
	err = f.take(ctx, e, r)
	closing := body.Close()
	switch {
	case errors.Is(r.Err(), blob.ErrDamaged):
		f.moved(-r.Count())
		return f.lack(e, "in the vault it has "+strings.ToValidUTF8(r.Err().Error(), "?"))
	case err != nil:
		return fmt.Errorf("blob %s: %w", e.Name, errors.Join(err, closing))
	case closing != nil:
		return fmt.Errorf("blob %s: %w", e.Name, closing)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fetched.Blobs++
	f.fetched.Bytes += e.Size
	f.progress.Blobs++
	f.tell(f.progress)
	return nil
}

func (f *fetching) lack(e Entry, why string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fetched.Lacks = append(f.fetched.Lacks, blob.Fault{Name: e.Name, Why: why})
	return nil
}

func (f *fetching) moved(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.progress.Bytes += n
	f.tell(f.progress)
}
