package repository

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

// S16: an open repository whose place lost it, or holds another, is found out.
func TestSame(t *testing.T) {
	r, c := fresh(t)
	if err := r.Same(t.Context()); err != nil {
		t.Fatal(err)
	}
	away := c.Place.Path + ".away"
	must(t, os.Rename(c.Place.Path, away))
	if err := r.Same(t.Context()); !errors.Is(err, ErrNoRepository) || !strings.Contains(err.Error(), "is the NAS mounted?") {
		t.Errorf("gone: %v", err)
	}
	must(t, os.Mkdir(c.Place.Path, 0o700))
	if err := r.Same(t.Context()); !errors.Is(err, ErrNoRepository) {
		t.Errorf("empty: %v", err)
	}
	if names, err := os.ReadDir(c.Place.Path); err != nil || len(names) > 0 {
		t.Errorf("the empty place holds %v now, %v", names, err)
	}
	other := configFor(t, c.Place)
	must(t, Create(t.Context(), other))
	if err := r.Same(t.Context()); !errors.Is(err, ErrReplaced) {
		t.Errorf("another one: %v", err)
	}
	must(t, os.RemoveAll(c.Place.Path))
	must(t, os.Rename(away, c.Place.Path))
	if err := r.Same(t.Context()); err != nil {
		t.Errorf("back: %v", err)
	}
}

func TestOpensWith(t *testing.T) {
	r, _ := fresh(t)
	if err := r.OpensWith(t.Context(), passphrase); err != nil {
		t.Fatal(err)
	}
	if err := r.OpensWith(t.Context(), passphrase+"\u00a0"); !errors.Is(err, ErrPassphrase) {
		t.Errorf("another passphrase: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.OpensWith(ctx, passphrase); err != nil && errors.Is(err, ErrPassphrase) {
		t.Errorf("cancelled: %v", err)
	}
}

// Whether a passphrase fits is asked of the place alone, and leaves nothing behind.
func TestFits(t *testing.T) {
	c := configFor(t, Place{Path: t.TempDir() + "/repository"})
	if err := c.Fits(t.Context()); !errors.Is(err, ErrNoRepository) {
		t.Errorf("without a repository: %v", err)
	}
	if _, err := os.Stat(c.Place.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the place after a look at it: %v", err)
	}
	must(t, Create(t.Context(), c))
	c.StateDir = t.TempDir()
	if err := c.Fits(t.Context()); err != nil {
		t.Errorf("its own passphrase: %v", err)
	}
	c.Passphrase += "x"
	if err := c.Fits(t.Context()); !errors.Is(err, ErrPassphrase) {
		t.Errorf("another passphrase: %v", err)
	}
	if names, err := os.ReadDir(c.StateDir); err != nil || len(names) > 0 {
		t.Errorf("the state folder holds %v, %v", names, err)
	}
}
