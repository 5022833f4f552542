package custody

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"airlock/ledger"
	"airlock/pause"

	"golang.org/x/mod/sumdb/note"
)

// Journal is the ledger of a running executor. If the ledger could not be opened,
// nothing can be appended, and so no door is opened (S1); what happens all the same
// is kept in the ledger's emergency file (S2).
type Journal struct {
	*ledger.Ledger
	path    string
	openErr error
	aside   string // set by OpenJournal, as the three above

	// With openErr, what was noted waits here until it is in the emergency file.
	mu      sync.Mutex
	kept    []ledger.Entry
	news    chan struct{}
	closing context.CancelFunc
	closed  chan struct{}
}

// OpenJournal opens the ledger; key signs its heads, and is nil where there is none.
func OpenJournal(ctx context.Context, path string, key note.Signer) *Journal {
	j := &Journal{path: path}
	j.Ledger, j.openErr = ledger.Open(ctx, path, ledger.Options{Signer: key})
	if errors.Is(j.openErr, ledger.ErrDamaged) {
		j.renew(ctx, key)
	}
	if j.openErr != nil {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		j.news, j.closing, j.closed = make(chan struct{}, 1), cancel, make(chan struct{})
		go j.keep(ctx)
	}
	return j
}

// renew sets a damaged ledger aside and begins a new one. Until that stands, nothing can
// be appended (S1).
func (j *Journal) renew(ctx context.Context, key note.Signer) {
	moved, err := setAside(j.path, j.openErr)
	if err != nil {
		j.openErr = errors.Join(j.openErr, err)
		return
	}
	j.aside = fmt.Sprintf("%v; it is kept as %s", j.openErr, moved)
	j.Ledger, j.openErr = ledger.Open(ctx, j.path, ledger.Options{Signer: key})
}

// Err is why there is no ledger; nil while there is one.
func (j *Journal) Err() error { return j.openErr }

// Aside says what became of a damaged ledger in whose place this one stands; "" for none.
func (j *Journal) Aside() string { return j.aside }

// Append returns once e is durable.
func (j *Journal) Append(ctx context.Context, e ledger.Entry) (ledger.Entry, error) {
	if j.openErr != nil {
		return ledger.Entry{}, j.openErr
	}
	return j.Ledger.Append(ctx, e)
}

// Note never waits (S2).
func (j *Journal) Note(e ledger.Entry) {
	if j.openErr == nil {
		j.Ledger.Note(e)
		return
	}
	j.mu.Lock()
	j.kept = append(j.kept, e)
	j.mu.Unlock()
	select {
	case j.news <- struct{}{}:
	default: // it is awake already
	}
}

// keep moves what is kept to the emergency file, for as long as the site lives, and a
// last time when it ends.
func (j *Journal) keep(ctx context.Context) {
	defer close(j.closed)
	const longest = time.Minute
	for wait := time.Second; ctx.Err() == nil; {
		if err := j.rescue(); err != nil {
			pause.For(ctx, wait)
			wait = min(2*wait, longest)
			continue
		}
		wait = time.Second
		select {
		case <-j.news:
		case <-ctx.Done():
		}
	}
}

// rescue writes what is kept to the emergency file.
func (j *Journal) rescue() error {
	j.mu.Lock()
	batch := j.kept
	j.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	if err := ledger.Keep(j.path, batch...); err != nil {
		return err
	}
	j.mu.Lock()
	j.kept = j.kept[len(batch):]
	j.mu.Unlock()
	return nil
}

// Newest is the newest entry that f chooses; none if the ledger cannot be read.
func (j *Journal) Newest(ctx context.Context, f ledger.Filter) (ledger.Entry, bool) {
	if j.openErr != nil {
		return ledger.Entry{}, false
	}
	e, ok, err := j.Ledger.Last(ctx, f)
	return e, ok && err == nil
}

// Close says what could not be written anywhere.
func (j *Journal) Close() error {
	if j.openErr == nil {
		if err := j.Ledger.Close(); err != nil {
			return fmt.Errorf("not all could be written down: %w", err)
		}
		return nil
	}
	j.closing()
	<-j.closed
	if err := j.rescue(); err != nil {
		return fmt.Errorf("not all could be written down: %d entries could be written nowhere: %w", len(j.kept), err)
	}
	return nil
}
