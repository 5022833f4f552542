package repository

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

	airlock "airlock/blob"
)

// inspectors is how many blobs are read at once: enough to keep a NAS busy.
const inspectors = 4

// Inspect reads blobs back from the storage, past every cache, and gives those that are
// not as they were written, by name. read, which may be nil, hears of the bytes, from
// several goroutines. When ctx ends, what was found until then comes with the error.
func (r *Repository) Inspect(ctx context.Context, blobs []Blob, read func(n int64)) ([]Fault, error) {
	return inspect(ctx, r.OpenBlob, blobs, read)
}

func inspect(ctx context.Context, open func(context.Context, string) (io.ReadCloser, error), blobs []Blob, read func(n int64)) ([]Fault, error) {
	var mu sync.Mutex
	var found []Fault
	var work errgroup.Group
	work.SetLimit(inspectors)
	for _, b := range blobs {
		if ctx.Err() != nil {
			break
		}
		work.Go(func() error {
			if why := fault(ctx, open, b, read); why != "" {
				mu.Lock()
				defer mu.Unlock()
				found = append(found, Fault{Name: b.Name, Why: why, Was: b})
			}
			return nil
		})
	}
	err := work.Wait()
	slices.SortFunc(found, func(a, b Fault) int { return strings.Compare(a.Name, b.Name) })
	return found, errors.Join(err, context.Cause(ctx))
}

// fault says how a blob differs from what was written; "" if it does not, or if ctx ended.
func fault(ctx context.Context, open func(context.Context, string) (io.ReadCloser, error), b Blob, read func(n int64)) string {
	body, err := open(ctx, b.Name)
	switch {
	case ctx.Err() != nil:
		return ""
	case errors.Is(err, fs.ErrNotExist):
		return "it is missing from the storage"
	case err != nil:
		return err.Error()
	}
	r := airlock.Verify(&bounded{body, ctx}, b.Size, b.SHA256, read)
	_, err = io.Copy(io.Discard, r)
	err = errors.Join(err, body.Close())
	switch {
	case ctx.Err() != nil, err == nil:
		return ""
	case !errors.Is(err, airlock.ErrDamaged):
		return err.Error()
	case r.Count() == b.Size:
		return "it has other bytes than were written"
	case r.Count() > b.Size:
		return fmt.Sprintf("it has more than the %d bytes that were written", b.Size)
	}
	return fmt.Sprintf("it has %d bytes; %d were written", r.Count(), b.Size)
}

// bounded ends with ctx.
type bounded struct {
	io.Reader
	ctx context.Context
}

func (r *bounded) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}
