package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"airlock/blob"
)

// A generation is two files, put at once, and a window may be ended when only one of them
// is there. So what is about to be put is noted first, by its hash: the next window knows
// such a manifest for the site's own, and signs it, and such a signature, of which nothing
// came. Whatever else lies there without a signature stays a stranger's.

// sealing is what a window was about to put in the place of a generation.
type sealing struct {
	Number int64    `json:"number"`
	Size   int64    `json:"size"` // of the manifest, in bytes
	SHA256 blob.Sum `json:"sha256"`
}

// intend begins to note what is about to be put. It waits for no disk: the returned function
// does, until the note is durable.
func (s *sending) intend(number int64, file []byte) (noted func() error) {
	var noting errgroup.Group
	noting.Go(func() error {
		return s.plan.in.Memory.intend(sealing{number, int64(len(file)), sha256.Sum256(file)})
	})
	return noting.Wait
}

// finish ends what a cut window left half done in the place of generations after a number,
// and gives the numbers at which nothing came of it.
func (s *sending) finish(ctx context.Context, there shelf, after int64) (void map[int64]bool, err error) {
	void = map[int64]bool{}
	for number, all := range s.plan.in.Memory.intended(after) {
		_, manifest := there.manifests[number]
		_, signature := there.signatures[number]
		switch {
		case manifest && !signature && s.plan.in.SiteKey != nil:
			if err := s.signCut(ctx, there, number, all); err != nil {
				return nil, err
			}
		case signature && !manifest:
			sum, err := there.look(ctx, s.store, number, s.plan.in.Trust)
			if ctx.Err() != nil {
				return nil, err
			}
			void[number] = err == nil && slices.ContainsFunc(all, func(one sealing) bool { return one.SHA256 == sum })
		}
	}
	return void, nil
}

// signCut signs a manifest that has the very bytes which a cut window was about to put. All
// that it lists had landed by then.
func (s *sending) signCut(ctx context.Context, there shelf, number int64, all []sealing) error {
	size := there.manifests[number]
	if !slices.ContainsFunc(all, func(one sealing) bool { return one.Size == size }) {
		return nil
	}
	r, err := s.store.Open(ctx, GenerationPath(number), 0, size+1)
	if err != nil {
		return fmt.Errorf("generation %d: %w", number, err)
	}
	hash := sha256.New()
	_, err = io.Copy(hash, r)
	if err = errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("generation %d: %w", number, err)
	}
	sum := blob.Sum(hash.Sum(nil))
	if !slices.Contains(all, sealing{number, size, sum}) {
		return nil
	}
	if err := s.putSignature(ctx, number, sum); err != nil {
		return fmt.Errorf("generation %d: %w", number, err)
	}
	there.signatures[number] = maxSignature // whatever it is exactly
	s.report.Relisted += fmt.Sprintf("; generation %d, whose window was cut before it was signed, is signed now", number)
	return nil
}
