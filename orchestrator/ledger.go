package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/notice"
	"airlock/orchestrator/custody"
	"airlock/policies"
	"airlock/state"
)

// ErrBeyond: more entries were asked about than the ledger has.
var ErrBeyond = custody.ErrBeyond

// newCustody is the custody of the site's ledger, which calls people and makes way for windows
// as the site does.
func (s *Site) newCustody() *custody.Custody {
	return custody.New(custody.Config{
		Policy: s.policy, Log: s.options.Log, Begun: s.begun, Busy: s.passing,
		Alarm: func(vault string, n notice.Notice, why string) {
			s.alarm(Alarm{At: time.Now(), Vault: vault, Notice: n, Why: why})
		},
	}, s.journal)
}

// passing reports whether a window is planned or in course.
func (s *Site) passing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.windows) > 0
}

// Head is custody's.
func (s *Site) Head(ctx context.Context) (proof.Head, error) { return s.custody.Head(ctx) }

// Consistency is custody's: ErrBeyond if the ledger has not so many entries.
func (s *Site) Consistency(ctx context.Context, from, to int64) (proof.Consistency, error) {
	return s.custody.Consistency(ctx, from, to)
}

// OpenLedger opens a site's ledger for reading, beside whoever writes it; nil if there
// is none yet.
func OpenLedger(ctx context.Context, state state.Folder) (*ledger.Reader, error) {
	r, err := ledger.OpenReader(ctx, state.Ledger())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return r, err
}

// Renew sets a ledger aside that cannot be trusted, and begins a new one that names it, its
// last head and those that vaults hold. It is a person's decision, for which a reason is
// needed. No executor may run (ErrBusy). A ledger against which nothing speaks stays.
func Renew(ctx context.Context, p policies.Policy, by Caller) (moved string, err error) {
	lock, err := takeLock(p.State)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	return custody.Renew(ctx, p.State, ledger.Entry{Actor: by.Actor, Reason: by.Reason})
}

// ArchiveLedger moves the ledger's entries from before a time into a sealed file, which
// key verifies. It takes the site, so that nobody else writes meanwhile: ErrBusy while
// an executor runs.
func ArchiveLedger(ctx context.Context, p policies.Policy, before time.Time, by Caller, h proof.Header, key string) (made ledger.Archive, err error) {
	lock, err := takeLock(p.State)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	return custody.Archive(ctx, p.State, before, ledger.Entry{Actor: by.Actor, Reason: by.Reason}, h, key)
}

// describe fills in what the tree over the entries tells.
func (l *LedgerStatus) describe(ctx context.Context, p policies.Policy, r *ledger.Reader) error {
	d, err := custody.Describe(ctx, p.State, r)
	if !d.VerifiedAt.IsZero() {
		at := d.VerifiedAt.In(p.Timezone.Location)
		l.VerifiedAt = &at
	}
	l.Entries, l.Root, l.Head, l.Key = d.Entries, d.Root, d.Head, d.Key
	return err
}

// detail is ledger.Detail.
func detail(v any) json.RawMessage { return ledger.Detail(v) }
