package orchestrator

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"airlock/ledger"
)

// journal is the ledger of a running executor. If the ledger could not be opened,
// nothing can be appended, and so no door is opened (S1); what happens all the same
// is kept in the ledger's emergency file (S2).
type journal struct {
	*ledger.Ledger
	path    string
	openErr error

	mu   sync.Mutex
	kept []ledger.Entry // with openErr: on their way to the emergency file
	busy sync.WaitGroup
}

func openJournal(ctx context.Context, path string) *journal {
	l, err := ledger.Open(ctx, path)
	return &journal{Ledger: l, path: path, openErr: err}
}

// Append returns once e is durable.
func (j *journal) Append(ctx context.Context, e ledger.Entry) (ledger.Entry, error) {
	if j.openErr != nil {
		return ledger.Entry{}, j.openErr
	}
	return j.Ledger.Append(ctx, e)
}

// Note never waits (S2).
func (j *journal) Note(e ledger.Entry) {
	if j.openErr == nil {
		j.Ledger.Note(e)
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.kept = append(j.kept, e)
	if len(j.kept) == 1 {
		j.busy.Go(j.keep)
	}
}

// keep moves what is kept to the emergency file, for as long as there is something.
func (j *journal) keep() {
	for pause := time.Second; ; {
		j.mu.Lock()
		batch := j.kept
		j.mu.Unlock()
		if err := ledger.Keep(j.path, batch...); err != nil {
			if pause > time.Minute {
				return // the disk is gone too: the entries stay in memory and in the log
			}
			time.Sleep(pause)
			pause *= 2
			continue
		}
		j.mu.Lock()
		j.kept = j.kept[len(batch):]
		done := len(j.kept) == 0
		j.mu.Unlock()
		if done {
			return
		}
	}
}

// last is the newest entry that f chooses; none if the ledger cannot be read.
func (j *journal) last(ctx context.Context, f ledger.Filter) (ledger.Entry, bool) {
	if j.openErr != nil {
		return ledger.Entry{}, false
	}
	e, ok, err := j.Ledger.Last(ctx, f)
	return e, ok && err == nil
}

func (j *journal) close() error {
	j.busy.Wait()
	if j.openErr != nil {
		return nil
	}
	return j.Ledger.Close()
}

// OpenLedger opens a site's ledger for reading, beside whoever writes it; nil if there
// is none yet.
func OpenLedger(ctx context.Context, state string) (*ledger.Reader, error) {
	r, err := ledger.OpenReader(ctx, filepath.Join(state, ledgerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return r, err
}
