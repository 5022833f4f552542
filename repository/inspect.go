package repository

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// inspectors is how many blobs are read at once: enough to keep a NAS busy.
const inspectors = 4

// Inspect reads blobs back from the storage, past every cache, and gives those that are
// not as they were written, by name. read, which may be nil, hears of the bytes, from
// several goroutines. When ctx ends, what was found until then comes with the error.
func (r *Repository) Inspect(ctx context.Context, blobs []Blob, read func(n int64)) ([]Amiss, error) {
	return inspect(ctx, r.OpenBlob, blobs, read)
}

func inspect(ctx context.Context, open func(context.Context, string) (io.ReadCloser, error), blobs []Blob, read func(n int64)) ([]Amiss, error) {
	if read == nil {
		read = func(int64) {}
	}
	var mu sync.Mutex
	var found []Amiss
	var work errgroup.Group
	work.SetLimit(inspectors)
	for _, b := range blobs {
		if ctx.Err() != nil {
			break
		}
		work.Go(func() error {
			if why := amiss(ctx, open, b, read); why != "" {
				mu.Lock()
				defer mu.Unlock()
				found = append(found, Amiss{b, why})
			}
			return nil
		})
	}
	err := work.Wait()
	slices.SortFunc(found, func(a, b Amiss) int { return strings.Compare(a.Blob.Name, b.Blob.Name) })
	return found, errors.Join(err, context.Cause(ctx))
}

// amiss says how a blob differs from what was written; "" if it does not, or if ctx ended.
func amiss(ctx context.Context, open func(context.Context, string) (io.ReadCloser, error), b Blob, read func(n int64)) string {
	body, err := open(ctx, b.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return "it is missing from the storage"
	}
	var size int64
	sum := sha256.New()
	if err == nil {
		size, err = io.Copy(sum, &counted{body, ctx, read})
		err = errors.Join(err, body.Close())
	}
	switch {
	case ctx.Err() != nil:
		return ""
	case err != nil:
		return err.Error()
	case size != b.Size:
		return fmt.Sprintf("it has %d bytes; %d were written", size, b.Size)
	case [32]byte(sum.Sum(nil)) != b.SHA256:
		return "it has other bytes than were written"
	}
	return ""
}

// counted tells of what is read, and ends with ctx.
type counted struct {
	io.Reader
	ctx  context.Context
	read func(n int64)
}

func (c *counted) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	n, err := c.Reader.Read(p)
	c.read(int64(n))
	return n, err
}
