package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/snapshot"
)

// heldTag marks a snapshot that is held, in its manifest, so that the mark goes wherever
// the repository does. Its value is why. The stock program shows it among the tags, and
// in the description.
const heldTag = "tag:airlock-held"

// ErrNothingHeld: the newest snapshot of the system is not held.
var ErrNothingHeld = errors.New("nothing of it is held")

// Accept takes the newest snapshot of a system for good, if it is held: later ones are
// compared with it, and it counts. Its manifest is written anew, so it gets another ID.
func (r *Repository) Accept(ctx context.Context, system string) (before, after Snapshot, err error) {
	mans, err := r.manifests(ctx, system)
	if err != nil {
		return before, after, err
	}
	mans = slices.DeleteFunc(mans, func(m *snapshot.Manifest) bool { return describe(m).Incomplete })
	if len(mans) == 0 || describe(mans[len(mans)-1]).Held == "" {
		return before, after, fmt.Errorf("accept a snapshot of %s: %w", system, ErrNothingHeld)
	}
	man := mans[len(mans)-1]
	before = describe(man)
	err = r.kopia.write(ctx, "accept", nil, func(ctx context.Context, w repo.DirectRepositoryWriter) error {
		delete(man.Tags, heldTag)
		man.Description = ""
		return snapshot.UpdateSnapshot(ctx, w, man)
	})
	if err != nil {
		return before, after, fmt.Errorf("accept snapshot %s of %s: %w", before.ID, system, err)
	}
	return before, describe(man), nil
}

// previous are the snapshots in which a file may be found unchanged: the last good one,
// the newest complete one if that is held, and the incomplete ones since; newest first, since
// an older one may hold an older content with the same size and time.
func previous(ctx context.Context, rep repo.Repository, source snapshot.SourceInfo) ([]*snapshot.Manifest, error) {
	all, err := snapshot.ListSnapshots(ctx, rep, source)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *snapshot.Manifest) int { return cmp.Compare(b.StartTime, a.StartTime) })
	var prior []*snapshot.Manifest
	complete := false
	for _, m := range all {
		s := describe(m)
		if s.Incomplete && complete || s.Held != "" && complete {
			continue
		}
		prior = append(prior, m)
		complete = complete || !s.Incomplete
		if s.good() {
			break
		}
	}
	return prior, nil
}
