package server

import (
	"context"
	"errors"
	"fmt"

	"airlock/vault"
)

// ErrAnother says that the folder holds nothing of what the host's state knows.
var ErrAnother = errors.New("another folder than before")

// recognise holds the folder to what the state knows of it (S16): where not one of the
// generations that were kept is there, nor any other file if there was none, its disk is
// not mounted or was replaced. Serving it would have the site send everything into an empty
// folder and count it as a vault with a history. A person says if that is right.
func (h *Host) recognise(ctx context.Context, replaced bool) error {
	var generations, files []string
	for r, err := range h.index.all(ctx) {
		if err != nil {
			return err
		}
		files = append(files, r.path)
		if vault.GenerationOf(r.path) > 0 {
			generations = append(generations, r.path)
		}
	}
	known := generations
	if len(known) == 0 {
		known = files
	}
	for _, name := range known {
		if _, err := h.folder.Lstat(name); err == nil {
			return nil
		}
	}
	switch {
	case len(known) == 0:
		return nil
	case !replaced:
		return fmt.Errorf("vault's folder %s: %w: its state in %s knows %d files and %d generations, of which none is there; is its disk mounted? If it was replaced: airlock vault serve --replaced",
			h.conf.Folder, ErrAnother, h.conf.State, len(files), len(generations))
	}
	h.alarm("the vault's folder is another one now", fmt.Sprintf("a person said that this is right: %d files and %d generations are given up", len(files), len(generations)))
	return h.index.forget(ctx, files)
}
