package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"airlock/blob"
	"airlock/orchestrator/custody"
	"airlock/vault"
)

// errand is what somebody wants from a vault: one window after the other, and between
// them, with the doors shut, all that can be worked out without the vault.
type errand struct {
	site    *Site
	vault   string
	purpose string
	by      Caller
	tell    Watch
	number  int64 // of the generation that is wanted; 0 for the newest
	windows []WindowRecord
}

// errand begins one; nothing is opened yet. Two at a time for one vault would fetch the
// same twice, and clear away what the other needs.
func (s *Site) errand(ctx context.Context, vaultName, generation, purpose string, by Caller, tell Watch) (*errand, error) {
	if s.policy.Vaults[vaultName] == nil {
		_, err := s.passage(vaultName, purpose, by, tell) // says which there are
		return nil, err
	}
	number, err := s.generationNumber(ctx, vaultName, generation)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.errands[vaultName] {
		return nil, fmt.Errorf("%w: something else is being fetched from vault %s", ErrRefused, vaultName)
	}
	s.errands[vaultName] = true
	return &errand{site: s, vault: vaultName, purpose: purpose, by: by, tell: tell, number: number}, nil
}

func (e *errand) end() {
	e.site.mu.Lock()
	defer e.site.mu.Unlock()
	delete(e.site.errands, e.vault)
}

// justified refuses to open a door for no reason.
func (e *errand) justified() error {
	if strings.TrimSpace(e.by.Reason) == "" {
		return fmt.Errorf("%w: opening the vault's door needs a reason: --reason TEXT", ErrRefused)
	}
	return nil
}

// through holds one window of an errand. The work's result leaves it by a channel of its
// own, since a work that hangs is not waited for.
func through[T any](ctx context.Context, e *errand, plan map[string]any, work func(ctx context.Context, store vault.Store, r *WindowRecord) (T, error)) (T, error) {
	var result T
	if err := e.justified(); err != nil {
		return result, err
	}
	p, err := e.site.passage(e.vault, e.purpose, e.by, e.tell)
	if err != nil {
		return result, err
	}
	defer p.release()
	out := make(chan T, 1)
	record, err := p.hold(ctx, plan, func(ctx context.Context, store vault.Store, r *WindowRecord) error {
		v, err := work(ctx, store, r)
		out <- v
		return err
	})
	e.windows = append(e.windows, record)
	select {
	case result = <-out:
	default:
	}
	return result, err
}

// fetch brings blobs through the door: in as many windows as their deadlines make
// necessary, as long as each brings something. What lacks in the vault does not come.
func (e *errand) fetch(ctx context.Context, blobs []vault.Entry, take taking) ([]blob.Fault, error) {
	var lacks []blob.Fault
	for len(blobs) > 0 {
		came := &arrivals{take: take, names: map[string]bool{}}
		plan := map[string]any{"blobs": len(blobs), "bytes": sizes(blobs)}
		got, err := through(ctx, e, plan, func(ctx context.Context, store vault.Store, r *WindowRecord) (vault.Fetched, error) {
			got, err := vault.Fetch(ctx, store, blobs, came.keep, e.progress)
			r.Blobs, r.Bytes = got.Blobs, got.Bytes
			return got, err
		})
		lacks = got.Lacks
		switch {
		case err == nil:
			return lacks, nil
		case errors.Is(err, ErrNotShut), errors.Is(err, ErrRefused), ctx.Err() != nil, came.count() == 0:
			return lacks, err
		}
		e.tell(Progress{Text: fmt.Sprintf("the window ended before all had come; %d blobs did, and another window fetches the rest: %v", came.count(), err)})
		blobs = slices.DeleteFunc(slices.Clone(blobs), func(b vault.Entry) bool { return came.has(b.Name) })
	}
	return lacks, nil
}

func (e *errand) progress(p vault.Progress) {
	e.tell(Progress{Stage: "fetching", Files: int64(p.Blobs), TotalFiles: int64(p.BlobsTotal), Bytes: p.Bytes, TotalBytes: p.BytesTotal})
}

func sizes(blobs []vault.Entry) (bytes int64) {
	for _, b := range blobs {
		bytes += b.Size
	}
	return bytes
}

// generationNumber is the number of the generation that somebody means: 0, the newest, for
// none, a number, or the beginning of a hash that the ledger knows.
func (s *Site) generationNumber(ctx context.Context, vaultName, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 && len(text) <= 8 {
		return n, nil
	}
	if s.journal.Err() != nil {
		return 0, s.journal.Err()
	}
	known, err := Generations(ctx, &s.journal.Ledger.Reader, vaultName)
	if err != nil {
		return 0, err
	}
	var meant []KnownGeneration
	for _, g := range known {
		if len(text) >= 6 && strings.HasPrefix(g.Hash, strings.ToLower(text)) {
			meant = append(meant, g)
		}
	}
	if len(meant) != 1 {
		return 0, fmt.Errorf("%q names %d generations of vault %s; give a number, or six digits or more of a hash: `airlock vaults %s` lists them", text, len(meant), vaultName, vaultName)
	}
	return meant[0].Number, nil
}

// load reads the generation that is wanted, in a window that is open.
func (e *errand) load(ctx context.Context, store vault.Store) (*vault.Generation, error) {
	if e.number == 0 {
		return e.site.newestTrusted(ctx, store, e.tell)
	}
	keys, err := custody.Verifiers(e.site.policy.State)
	var g *vault.Generation
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.tell(Progress{Text: unsignedWarning})
		g, err = vault.Load(ctx, store, e.number)
	case err == nil:
		g, err = vault.LoadSigned(ctx, store, e.number, keys...)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("the vault has no generation %d, or no longer: `airlock vaults %s` lists those that were made: %w", e.number, e.vault, err)
	}
	return g, e.site.untrusted(err)
}

const unsignedWarning = "the site has no key, so nobody can tell whether the newest generation is its own: airlock init makes one"

// newestTrusted loads what the vault held at the end of the last window that this site
// has signed; of the last window, where the site has no key.
func (s *Site) newestTrusted(ctx context.Context, store vault.Store, tell Watch) (*vault.Generation, error) {
	keys, err := custody.Verifiers(s.policy.State)
	if errors.Is(err, fs.ErrNotExist) {
		tell(Progress{Text: unsignedWarning})
		return vault.Load(ctx, store, 0)
	}
	if err != nil {
		return nil, err
	}
	g, passed, err := vault.Newest(ctx, store, keys...)
	for _, why := range passed {
		tell(Progress{Text: "passed over: " + why})
	}
	return g, s.untrusted(err)
}

// untrusted adds what helps against ErrUntrusted.
func (s *Site) untrusted(err error) error {
	if errors.Is(err, vault.ErrUntrusted) {
		return custody.FormerHint(err, s.policy.State)
	}
	return err
}
