package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"airlock/blob"
	"airlock/repository"
	"airlock/vault"
)

// far is a generation of a vault, as it is looked at with the door shut: what a restore
// needs is taken from the repository, where the very same bytes still lie there, and
// fetched through the door where not. Keys are derived, snapshots are looked for and files
// are restored while the door is shut.
type far struct {
	*errand
	near       *nearby
	shelf      shelf
	cache      string
	passphrase string
	generation *vault.Generation
	view       *repository.View // nil before it is opened
}

// farther says how a generation is looked at.
type farther struct {
	generation string // a number or a hash's beginning; "" for the newest
	drill      bool   // take nothing from the repository
	scratch    string // where fetched blobs are kept; "" for the state folder
}

// far prepares all that can be with the door shut.
func (s *Site) far(ctx context.Context, vaultName string, how farther, purpose string, by Caller, tell Watch) (_ *far, err error) {
	e, err := s.errand(ctx, vaultName, how.generation, purpose, by, tell)
	if err != nil {
		return nil, err
	}
	f := &far{errand: e, near: &nearby{}}
	if err := f.prepare(ctx, how); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrRefused, err), f.close(ctx))
	}
	return f, nil
}

func (f *far) prepare(ctx context.Context, how farther) error {
	state := f.site.policy.State
	conf, err := f.site.parts.Repository(f.site.policy)
	if err != nil {
		return err
	}
	f.passphrase = conf.Passphrase
	if how.scratch == "" {
		how.scratch = state.Fetched()
	}
	if f.shelf, err = openShelf(ctx, filepath.Join(how.scratch, f.vault)); err != nil {
		return err
	}
	if f.cache, err = os.MkdirTemp(string(state), "view-"); err != nil {
		return err
	}
	if how.drill {
		return nil
	}
	near, err := lookNearby(ctx, conf, f.tell)
	if err != nil {
		return err
	}
	f.near = near
	return nil
}

func (f *far) close(ctx context.Context) error {
	var err error
	if f.view != nil {
		err = f.view.Close(context.WithoutCancel(ctx))
	}
	if f.cache != "" {
		err = errors.Join(err, os.RemoveAll(f.cache))
	}
	err = errors.Join(err, f.near.close(ctx))
	f.end()
	return err
}

// look opens the generation. The first window reads its manifest, and fetches what the
// snapshots are found by as far as the repository has not got it.
func (f *far) look(ctx context.Context) error {
	g, err := through(ctx, f.errand, map[string]any{"generation": f.number}, func(ctx context.Context, store vault.Store, r *WindowRecord) (*vault.Generation, error) {
		g, err := f.load(ctx, store)
		if err != nil {
			return nil, err
		}
		r.Generation = g.Number
		got, err := vault.Fetch(ctx, store, f.lacking(g, repository.Metadata), f.shelf.take, f.progress)
		r.Blobs, r.Bytes = got.Blobs, got.Bytes
		return g, err
	})
	if g == nil || errors.Is(err, ErrNotShut) || ctx.Err() != nil {
		return err
	}
	if f.generation = g; err != nil { // cut before all had come: the rest
		f.tell(Progress{Text: err.Error()})
		if _, err := f.fetch(ctx, f.lacking(g, repository.Metadata), f.shelf.take); err != nil {
			return err
		}
	}
	conf := repository.ViewConfig{Passphrase: f.passphrase, CacheDir: f.cache, Open: f.open}
	for _, b := range g.Blobs {
		conf.Blobs = append(conf.Blobs, blob.Blob{Name: b.Name, Size: b.Size, SHA256: b.SHA256})
	}
	f.tell(Progress{Stage: "opening the generation"})
	f.view, err = repository.OpenView(ctx, conf)
	return err
}

// bring makes sure that what a snapshot needs is here. What the vault lacks is named, and
// the rest restores.
func (f *far) bring(ctx context.Context, snapshot string, part repository.Part) ([]blob.Fault, error) {
	f.tell(Progress{Stage: "working out what is needed"})
	names, err := f.view.Needs(ctx, snapshot, part)
	if err != nil {
		return nil, err
	}
	needed := make(map[string]bool, len(names))
	var nearby []blob.Blob
	for _, name := range names {
		needed[name] = true
		if e, listed := f.generation.Blob(name); listed && !repository.Metadata(name) && !f.shelf.has(e) && f.near.has(e) {
			nearby = append(nearby, blob.Blob{Name: e.Name, Size: e.Size, SHA256: e.SHA256})
		}
	}
	if err := f.near.prove(ctx, nearby, f.tell); err != nil {
		return nil, err
	}
	lacking := f.lacking(f.generation, func(name string) bool { return needed[name] })
	if err := f.room(lacking); err != nil {
		return nil, err
	}
	return f.fetch(ctx, lacking, f.shelf.take)
}

// lacking are the generation's blobs that are wanted, and neither on the shelf nor nearby.
func (f *far) lacking(g *vault.Generation, wanted func(name string) bool) []vault.Entry {
	var lacking []vault.Entry
	for _, e := range g.Blobs {
		if wanted(e.Name) && !f.near.has(e) && !f.shelf.has(e) {
			lacking = append(lacking, e)
		}
	}
	return lacking
}

// room refuses to open a door for more than there is room for.
func (f *far) room(blobs []vault.Entry) error {
	free, known := freeBytes(f.shelf.dir)
	if need := sizes(blobs); known && need > free {
		return fmt.Errorf("%w: %s have to be fetched, and %s has room for %s: free some, or name another folder with --scratch DIR", ErrRefused, Size(need), f.shelf.dir, Size(free))
	}
	return nil
}

// open gives a blob to kopia.
func (f *far) open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	e, listed := f.generation.Blob(name)
	switch {
	case !listed:
		return nil, fmt.Errorf("generation %d has no blob %s: %w", f.generation.Number, name, fs.ErrNotExist)
	case f.shelf.has(e):
		return f.shelf.open(e, off, n)
	case f.near.has(e):
		return f.near.holdings.Open(ctx, name, off, n)
	}
	return nil, fmt.Errorf("blob %s of generation %d was not fetched", name, f.generation.Number)
}
