package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/content"
	"github.com/kopia/kopia/repo/object"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/snapshotfs"
)

// VerifyOptions says how thoroughly to verify.
type VerifyOptions struct {
	Systems []string // none: all
	// Percent of the files are read back whole, chosen at random; of the others it is
	// checked that their blobs are there. Default 100.
	Percent  float64
	Parallel int // default 4
	Progress func(Progress)
}

// VerifyResult is what was found.
type VerifyResult struct {
	Snapshots            int
	Files                int64 // looked at; equal contents count once
	FilesRead, BytesRead int64
	Damaged              []Damage
}

// Damage is a file or folder of a snapshot that cannot be restored. Others with the
// same contents are not listed again.
type Damage struct {
	Snapshot, System, Path string
	Blobs                  []string // the blobs that are to blame, where that is known
	Err                    string
}

// Verify reads snapshots back from the storage, past all caches: a damaged blob would
// pass as long as a cache holds what it held. Damage is in the result; the error says
// that verifying itself was not possible, or broke off.
func (v *View) Verify(ctx context.Context, o VerifyOptions) (VerifyResult, error) {
	rep, err := v.kopia.open(ctx, uncached)
	if err != nil {
		return VerifyResult{}, fmt.Errorf("verify: %w", err)
	}
	res, err := verify(ctx, &View{rep: rep, kopia: v.kopia}, o)
	if err = errors.Join(err, rep.Close(ctx)); err != nil {
		err = fmt.Errorf("verify: %w", err)
	}
	return res, err
}

func verify(ctx context.Context, v *View, o VerifyOptions) (VerifyResult, error) {
	c := &check{rep: v.rep, options: o, sizes: map[blob.ID]int64{}, snapshots: map[string]*snapshot.Manifest{}}
	if c.options.Percent == 0 { // kopia would read nothing
		c.options.Percent = 100
	}
	mans, err := v.manifests(ctx, "")
	if err != nil {
		return VerifyResult{}, err
	}
	listed, err := list(ctx, v.kopia.storage)
	if err != nil {
		return VerifyResult{}, err
	}
	for _, m := range listed {
		c.sizes[m.BlobID] = m.Length
	}
	for _, m := range mans {
		if len(o.Systems) == 0 || slices.Contains(o.Systems, describe(m).System) {
			c.add(m)
		}
	}
	return c.walk(ctx)
}

// check is one verification in progress.
type check struct {
	rep       repo.DirectRepository
	options   VerifyOptions
	sizes     map[blob.ID]int64
	snapshots map[string]*snapshot.Manifest

	mu       sync.Mutex
	reported time.Time
	progress Progress
	result   VerifyResult
}

func (c *check) add(m *snapshot.Manifest) {
	s := describe(m)
	c.snapshots[s.ID] = m
	c.result.Snapshots++
	c.progress.TotalFiles += s.Files
	c.progress.TotalBytes += s.Bytes
}

func (c *check) walk(ctx context.Context) (_ VerifyResult, err error) {
	w, err := snapshotfs.NewTreeWalker(ctx, snapshotfs.TreeWalkerOptions{
		Parallelism:   cmp.Or(c.options.Parallel, 4),
		MaxErrors:     math.MaxInt,
		EntryCallback: c.entry,
	})
	if err != nil {
		return VerifyResult{}, err
	}
	defer w.Close(ctx)
	for id, m := range c.snapshots {
		root, err := snapshotfs.SnapshotRoot(c.rep, m)
		if err != nil {
			c.damaged(id, nil, err)
			continue
		}
		// Its error repeats what entry has found; that is looked at below.
		if err := w.Process(ctx, root, id); err != nil && ctx.Err() != nil {
			break
		}
	}
	c.report(true)
	if ctx.Err() != nil {
		return c.result, context.Cause(ctx)
	}
	if errs, n := w.GetErrors(); n > 0 && len(c.result.Damaged) == 0 {
		return c.result, errors.Join(errs...)
	}
	return c.result, nil
}

// entry checks one file or folder. where is the snapshot's ID and the path.
func (c *check) entry(ctx context.Context, e fs.Entry, oid object.ID, where string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	contents, err := c.rep.VerifyObject(ctx, oid)
	if err == nil {
		err = c.packsPresent(ctx, contents)
	}
	read := int64(-1)
	if err == nil && (e.IsDir() || 100*rand.Float64() < c.options.Percent) {
		read, err = c.read(ctx, oid)
	}
	if err != nil && ctx.Err() == nil {
		c.damaged(where, c.blame(ctx, contents), err)
	}
	if !e.IsDir() {
		c.done(e.Size(), read)
	}
	return nil
}

func (c *check) packsPresent(ctx context.Context, contents []content.ID) error {
	for _, id := range contents {
		info, err := c.rep.ContentInfo(ctx, id)
		if err != nil {
			return err
		}
		size, ok := c.sizes[info.PackBlobID]
		if end := int64(info.PackOffset) + int64(info.PackedLength); !ok || size < end {
			return fmt.Errorf("blob %s is missing or cut short", info.PackBlobID)
		}
	}
	return nil
}

func (c *check) read(ctx context.Context, oid object.ID) (n int64, err error) {
	r, err := c.rep.OpenObject(ctx, oid)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(io.Discard, r)
	return n, errors.Join(err, r.Close())
}

// blame reads each part by itself to find the blobs that do not give theirs.
func (c *check) blame(ctx context.Context, contents []content.ID) []string {
	var blobs []string
	for _, id := range contents {
		info, err := c.rep.ContentInfo(ctx, id)
		if err != nil || slices.Contains(blobs, string(info.PackBlobID)) {
			continue
		}
		if _, err := c.rep.ContentReader().GetContent(ctx, id); err != nil {
			blobs = append(blobs, string(info.PackBlobID))
		}
	}
	return blobs
}

func (c *check) damaged(where string, blobs []string, err error) {
	id, path, _ := strings.Cut(where, "/")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress.Failed++
	c.result.Damaged = append(c.result.Damaged, Damage{
		Snapshot: id, System: describe(c.snapshots[id]).System, Path: cmp.Or(unescapeName(path), "."),
		Blobs: blobs, Err: err.Error(),
	})
}

// done counts a file of which read bytes were read, or none if read < 0.
func (c *check) done(size, read int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.Files++
	c.progress.Files++
	c.progress.Bytes += size
	if read >= 0 {
		c.result.FilesRead++
		c.result.BytesRead += read
	}
	c.report(false)
}

// report passes the progress on, four times a second at most, and at the last. c.mu is
// held.
func (c *check) report(last bool) {
	if now := time.Now(); c.options.Progress != nil && (last || now.Sub(c.reported) >= time.Second/4) {
		c.reported = now
		c.options.Progress(c.progress)
	}
}
