package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"airlock/blob"
)

// CheckReport is what a generation's blobs were found to be. The names are sorted.
type CheckReport struct {
	Blobs   int   // that were looked for
	Read    int   // of these, read back and hashed
	Bytes   int64 // that were read back
	Missing []string
	Resized []string // blobs of another size
	Damaged []string // blobs of the right size and other bytes
}

// Sound says whether nothing was found wrong.
func (r CheckReport) Sound() bool {
	return len(r.Missing)+len(r.Resized)+len(r.Damaged) == 0
}

// Check looks for every blob of a generation in the vault, compares its size, and
// reads back and hashes a random sample of them: none for 0, all for 1, and for any
// fraction between, that part of the blobs and at least one. What is wrong with the
// blobs is in the report; the error is for what kept Check from its work.
func Check(ctx context.Context, store Store, g *Generation, sample float64) (CheckReport, error) {
	found, err := listBlobs(ctx, store, defaultWorkers)
	if err != nil {
		return CheckReport{}, fmt.Errorf("check generation %d: list the vault: %w", g.Number, err)
	}
	c := checking{store: store, report: CheckReport{Blobs: len(g.Blobs)}}
	var intact []Entry
	for _, e := range g.Blobs {
		size, there := found[e.Name]
		if e.Path != "" { // versions are few, and are always read
			size, there = e.Size, true
		}
		switch {
		case !there:
			c.report.Missing = append(c.report.Missing, e.Name)
		case size != e.Size:
			c.report.Resized = append(c.report.Resized, e.Name)
		default:
			intact = append(intact, e)
		}
	}
	if err := c.readBack(ctx, choose(intact, sample)); err != nil {
		return c.report, fmt.Errorf("check generation %d: %w", g.Number, err)
	}
	for _, names := range [][]string{c.report.Missing, c.report.Resized, c.report.Damaged} {
		slices.Sort(names)
	}
	return c.report, nil
}

// choose takes all versions, and of the others a random sample.
func choose(entries []Entry, sample float64) []Entry {
	var chosen, others []Entry
	for _, e := range entries {
		if e.Path != "" {
			chosen = append(chosen, e)
		} else {
			others = append(others, e)
		}
	}
	rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	n := int(min(1, max(0, sample)) * float64(len(others)))
	if n == 0 && sample > 0 {
		n = min(1, len(others))
	}
	return append(chosen, others[:n]...)
}

type checking struct {
	store  Store
	mu     sync.Mutex
	report CheckReport
}

func (c *checking) readBack(ctx context.Context, entries []Entry) error {
	reading, working := errgroup.WithContext(ctx)
	reading.SetLimit(defaultWorkers)
	for _, e := range entries {
		if working.Err() != nil {
			break
		}
		reading.Go(func() error { return c.one(working, e) })
	}
	if err := reading.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

func (c *checking) one(ctx context.Context, e Entry) error {
	r, err := c.store.Open(ctx, e.At(), 0, e.Size+1)
	if errors.Is(err, fs.ErrNotExist) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.report.Missing = append(c.report.Missing, e.Name)
		return nil
	}
	if err != nil {
		return fmt.Errorf("blob %s: %w", e.Name, err)
	}
	p := blob.Verify(r, e.Size, e.SHA256, nil)
	_, err = io.Copy(io.Discard, p)
	err = errors.Join(err, r.Close())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Read++
	c.report.Bytes += p.Count()
	if errors.Is(err, blob.ErrDamaged) {
		c.report.Damaged = append(c.report.Damaged, e.Name)
		return nil
	}
	if err != nil {
		return fmt.Errorf("blob %s: %w", e.Name, err)
	}
	return nil
}
