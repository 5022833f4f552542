package repository

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/repo/content"
	"github.com/kopia/kopia/repo/object"
	"github.com/kopia/kopia/snapshot/snapshotfs"
)

// Needs names the blobs that the files and folders of a part of a snapshot lie in, sorted;
// what the part excludes may be among them. Only indexes
// and lists of files are read for it, so that the packs of data need not be there yet.
// What the repository does not know any more is left out: restoring names it.
func (v *View) Needs(ctx context.Context, id string, part Part) ([]string, error) {
	names, err := v.needs(ctx, id, part)
	if err != nil {
		return nil, fmt.Errorf("find what snapshot %s needs: %w", id, err)
	}
	return names, nil
}

func (v *View) needs(ctx context.Context, id string, part Part) ([]string, error) {
	part, err := part.cleaned()
	if err != nil {
		return nil, err
	}
	man, err := v.manifest(ctx, id)
	if err != nil {
		return nil, err
	}
	root, err := snapshotfs.SnapshotRoot(v.rep, man)
	if err != nil {
		return nil, err
	}
	wanted, packs, err := v.roots(ctx, root, part)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	needed := map[string]bool{}
	for _, p := range packs {
		needed[p] = true
	}
	w, err := snapshotfs.NewTreeWalker(ctx, snapshotfs.TreeWalkerOptions{
		Parallelism: 4,
		MaxErrors:   math.MaxInt,
		EntryCallback: func(ctx context.Context, _ fs.Entry, oid object.ID, _ string) error {
			packs, err := v.packsOf(ctx, oid)
			mu.Lock()
			defer mu.Unlock()
			for _, p := range packs {
				needed[p] = true
			}
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	for _, e := range wanted {
		err = errors.Join(err, w.Process(ctx, e, "."))
	}
	w.Close(ctx)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if len(needed) == 0 && err != nil {
		return nil, err // not even the root can be read
	}
	return slices.Sorted(maps.Keys(needed)), nil
}

// roots are the entries that a part is made of, and the blobs of the folders above them.
func (v *View) roots(ctx context.Context, root fs.Entry, part Part) (wanted []fs.Entry, packs []string, err error) {
	if len(part.Paths) == 0 {
		return []fs.Entry{root}, nil, nil
	}
	dir, err := part.rootOf(ctx, root)
	if err != nil {
		return nil, nil, err
	}
	for _, path := range part.Paths {
		e, way, err := find(ctx, dir, path)
		if err != nil {
			return nil, nil, err
		}
		wanted = append(wanted, e)
		for _, above := range way {
			if is, ok := above.(object.HasObjectID); ok {
				some, err := v.packsOf(ctx, is.ObjectID())
				if err != nil {
					return nil, nil, err
				}
				packs = append(packs, some...)
			}
		}
	}
	return wanted, packs, nil
}

// packsOf gives the blobs of an object, those before an error included.
func (v *View) packsOf(ctx context.Context, oid object.ID) ([]string, error) {
	contents, err := v.rep.VerifyObject(ctx, oid)
	var packs []string
	for _, id := range contents {
		info, missing := v.rep.ContentInfo(ctx, id)
		if errors.Is(missing, content.ErrContentNotFound) {
			continue
		}
		if missing != nil {
			return packs, missing
		}
		packs = append(packs, string(info.PackBlobID))
	}
	return packs, err
}
