package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/note"
)

// A vault is known again by the generations that it was left with: their manifests name
// the site and the vault, the site has signed them, and no window removes one that is to
// be kept. A folder that has none of them is another one, or an empty one: a disk that is
// not mounted, a server that was set up anew, a vault whose history somebody removed
// (S16).

// ErrAnother says that the vault is not the one that is remembered. Nothing was sent.
var ErrAnother = errors.New("another vault than before")

// Identity is what a vault is known again by.
type Identity struct {
	// Standing are the generations that must stand there still; none where none is known.
	Standing []int64
	// Trust are the keys of which one has signed them; none for a site that signs none.
	Trust []note.Verifier
	// Replaced: a person said that the vault is another one now. Nothing is refused then.
	Replaced bool
}

// lookedAt is how many of the generations that should stand there are read at the most, the
// newest first, until one is recognised.
const lookedAt = 4

// Expected are the generations that must stand in the vault still, oldest first: that the
// site has signed, and that nobody is about to drop.
func (r *Register) Expected() []int64 {
	return slices.DeleteFunc(sortedKeys(r.standing), func(n int64) bool { return r.standing[n].Doubtful || r.dropping[n] })
}

// Forget takes out generations of which a person said that they are gone.
func (r *Register) Forget(numbers []int64) {
	for _, n := range numbers {
		delete(r.standing, n)
		delete(r.dropping, n)
	}
}

// stands lists what generations there are, if that is asked.
func (s *sending) stands(ctx context.Context) (map[int64]bool, error) {
	if len(s.plan.in.Identity.Standing) == 0 {
		return nil, nil
	}
	infos, err := Generations(ctx, s.store)
	there := make(map[int64]bool, len(infos))
	for _, i := range infos {
		there[i.Number] = true
	}
	return there, err
}

// identify ends a window of another vault before anything is sent. known says that the
// last generation was recognised, byte by byte.
func (s *sending) identify(ctx context.Context, there map[int64]bool, known bool) error {
	id := s.plan.in.Identity
	s.report.There = sortedKeys(there)
	var standing []int64
	for _, n := range id.Standing {
		if there[n] {
			standing = append(standing, n)
		} else {
			s.report.Gone = append(s.report.Gone, n)
		}
	}
	if len(id.Standing) == 0 || known {
		return nil
	}
	slices.Reverse(standing)
	for _, n := range standing[:min(len(standing), lookedAt)] {
		if ours, err := s.ours(ctx, n); err != nil || ours {
			return err
		}
	}
	s.report.Another, s.report.Gone = true, slices.Clone(id.Standing)
	if id.Replaced {
		return nil
	}
	first, last := id.Standing[0], id.Standing[len(id.Standing)-1]
	return fmt.Errorf("%w: none of the generations that were left in it (%d to %d) is there; is its disk mounted? Nothing was sent. If this is right: airlock window %s --replaced --reason TEXT",
		ErrAnother, first, last, s.plan.in.Vault)
}

// ours says whether a generation that stands in the vault is one of this vault's, by what
// it says and by its signature.
func (s *sending) ours(ctx context.Context, number int64) (bool, error) {
	load := func() (*Generation, error) { return Load(ctx, s.store, number) }
	if trust := s.plan.in.Identity.Trust; len(trust) > 0 {
		load = func() (*Generation, error) { return LoadSigned(ctx, s.store, number, trust...) }
	}
	g, err := load()
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return err == nil && belongs(g, s.plan.in) == nil, nil // what cannot be read proves nothing
}
