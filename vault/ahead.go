package vault

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"airlock/blob"
)

// ReadAhead reads what is to be sent from origin into memory, up to budget bytes of it,
// and gives an Origin that has it: with the door open nobody waits for a cold disk or
// for a NAS to answer. First come the small blobs, each of which would be a wait of its
// own, with up to half of the budget, then others in the order in which they are sent.
// What cannot be read is left to Send. A blob is given from memory once.
func (p *Plan) ReadAhead(ctx context.Context, origin Origin, budget int64) Origin {
	a := &ahead{Origin: origin, read: map[string][]byte{}}
	var reading errgroup.Group
	reading.SetLimit(p.in.Workers)
	for _, b := range p.early(budget) {
		if ctx.Err() != nil {
			break
		}
		reading.Go(func() error { a.take(ctx, b); return nil })
	}
	_ = reading.Wait() // none returns an error
	return a
}

// early chooses what is read ahead.
func (p *Plan) early(budget int64) []blob.Blob {
	order := slices.Clone(p.Lacking)
	small := func(b blob.Blob) int {
		if b.Size < smallBlob {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(order, func(a, b blob.Blob) int { return cmp.Compare(small(a), small(b)) })
	var chosen []blob.Blob
	left := budget
	for _, b := range order {
		if small(b) == 0 && left-b.Size < budget/2 || b.Size > left {
			continue
		}
		chosen = append(chosen, b)
		left -= b.Size
	}
	return chosen
}

// ahead is an Origin, some of whose blobs are in memory.
type ahead struct {
	Origin
	mu   sync.Mutex
	read map[string][]byte
}

// take reads a blob, no more of it than it should have.
func (a *ahead) take(ctx context.Context, b blob.Blob) {
	r, err := a.Origin.Open(ctx, b.Name)
	if err != nil {
		return
	}
	data := make([]byte, b.Size)
	_, err = io.ReadFull(r, data)
	if err = errors.Join(err, r.Close()); err != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read[b.Name] = data
}

// Open implements Origin.
func (a *ahead) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	a.mu.Lock()
	data, ok := a.read[name]
	delete(a.read, name)
	a.mu.Unlock()
	if ok {
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	return a.Origin.Open(ctx, name)
}
