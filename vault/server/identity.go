package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"airlock/vault"
)

// ErrAnother says that the folder holds nothing of what the host's state knows.
var ErrAnother = errors.New("another folder than before")

// recognise holds the folder to what the state knows of it (S16): where not one of the
// generations that were kept is there, nor any other file if there was none, its disk is
// not mounted or was replaced. Serving it would have the site send everything into an empty
// folder and count it as a vault with a history. A person says if that is right.
func (h *Host) recognise(ctx context.Context, replaced bool) error {
	k, err := h.knows(ctx)
	if err != nil || !k.strange {
		return err
	}
	if !replaced {
		return h.another(k)
	}
	h.alarm("the vault's folder is another one now", fmt.Sprintf("a person said that this is right: %d files and %d generations are given up", len(k.files), k.generations))
	return h.index.forget(ctx, k.files)
}

// Same is ErrAnother where the folder holds nothing of what the state knows. It changes
// nothing.
func (h *Host) Same(ctx context.Context) error {
	k, err := h.knows(ctx)
	if err == nil && k.strange {
		err = h.another(k)
	}
	return err
}

func (h *Host) another(k known) error {
	return fmt.Errorf("vault's folder %s: %w: its state in %s knows %d files and %d generations, of which none is there; is its disk mounted? If it was replaced: airlock vault serve --replaced",
		h.conf.Folder, ErrAnother, h.conf.State, len(k.files), k.generations)
}

// known is what the state knows to lie in the folder.
type known struct {
	files       []string
	generations int
	strange     bool // none of it is there
}

func (h *Host) knows(ctx context.Context) (k known, err error) {
	var generations []string
	for r, err := range h.index.all(ctx) {
		if err != nil {
			return k, err
		}
		k.files = append(k.files, r.path)
		if vault.GenerationOf(r.path) > 0 {
			generations = append(generations, r.path)
		}
	}
	k.generations = len(generations)
	looked := generations
	if len(looked) == 0 {
		looked = k.files
	}
	k.strange = len(looked) > 0 && !slices.ContainsFunc(looked, func(name string) bool {
		_, err := h.folder.Lstat(name)
		return err == nil
	})
	return k, nil
}
