package repository

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kopia/kopia/repo/blob"
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
	return opensWith(ctx, r.storage, r.place, passphrase)
}

// Fits says whether the passphrase opens the repository in its place, which is not opened:
// ErrPassphrase if not, ErrNoRepository if there is none. Nothing is written, in StateDir
// either, and one key derived, which takes a part of a second.
func (c Config) Fits(ctx context.Context) error {
	st, err := c.Place.open(ctx, false)
	if err != nil {
		return fmt.Errorf("repository in %s: %w", c.Place, err)
	}
	return errors.Join(opensWith(ctx, st, c.Place.String(), c.Passphrase), st.Close(ctx))
}

func opensWith(ctx context.Context, st blob.Storage, place, passphrase string) error {
	_, err := format.NewManager(ctx, st, "", -1, passphrase, time.Now)
	if errors.Is(err, format.ErrInvalidPassword) {
		err = ErrPassphrase
	}
	if err != nil {
		return fmt.Errorf("repository in %s: %w", place, err)
	}
	return nil
}
