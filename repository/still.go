package repository

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kopia/kopia/repo/format"
)

// Same says whether the repository that was opened still lies in its place: ErrNoRepository
// if the place is empty, as after a NAS was unmounted under a running program, ErrReplaced
// if it holds another one. No cache answers for it, and nothing is written.
func (r *Repository) Same(ctx context.Context) error {
	switch id, err := identify(ctx, r.storage); {
	case errors.Is(err, ErrNoRepository):
		return fmt.Errorf("repository in %s: %w any more; is the NAS mounted?", r.place, err)
	case err != nil:
		return fmt.Errorf("repository in %s: %w", r.place, err)
	case id != r.id:
		return fmt.Errorf("repository in %s: %w; is the right NAS mounted?", r.place, ErrReplaced)
	}
	return nil
}

// OpensWith says whether a passphrase opens the repository as it lies in its place:
// ErrPassphrase if not. It derives the key anew, which takes a part of a second.
func (r *Repository) OpensWith(ctx context.Context, passphrase string) error {
	_, err := format.NewManager(ctx, r.storage, "", -1, passphrase, time.Now)
	if errors.Is(err, format.ErrInvalidPassword) {
		err = ErrPassphrase
	}
	if err != nil {
		return fmt.Errorf("repository in %s: %w", r.place, err)
	}
	return nil
}
