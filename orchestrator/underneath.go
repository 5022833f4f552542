package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/notice"

	"golang.org/x/mod/sumdb/note"
)

// movedHint is what a person does about a ledger whose file is gone.
const movedHint = "shutting goes on, and no vault's door is opened; put the very file back, or end the executor and start it again: it carries on with what lies there, and what vaults hold tells what is missing"

// underneath looks whether somebody laid hands on the ledger's file while it is open (S1,
// S11): one that is gone or another is told as that, and one whose newest entries were
// changed is unsound until all of it was verified. It takes some ten milliseconds, however
// long the ledger is; but where somebody else wrote to it, all of it is looked at, for an old
// entry may be another one now.
func (s *Site) underneath(ctx context.Context) error {
	if err := s.journal.Present(); err != nil {
		return fmt.Errorf("%w; %s", err, movedHint)
	}
	keys, err := siteVerifiers(s.policy.State)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err = errors.Join(s.journal.Recent(ctx, keys), s.foreign(ctx, keys))
	if !errors.Is(err, ledger.ErrChanged) {
		return err
	}
	v, broken := readVerified(s.policy.State)
	if v.Unsound == "" {
		v.Unsound, v.UnsoundAt = err.Error(), time.Now()
		broken = errors.Join(broken, KeepVerified(s.policy.State, v))
	}
	return broken
}

// foreign looks at the whole ledger if anybody but this executor has written to it since that
// was done last: ledger.ErrChanged if it is not what it was.
func (s *Site) foreign(ctx context.Context, keys []note.Verifier) error {
	s.unread.Lock()
	defer s.unread.Unlock()
	written, err := s.journal.Foreign(ctx)
	if err != nil {
		return err
	}
	if s.unread.foreign = s.unread.foreign || written; !s.unread.foreign {
		return nil
	}
	s.options.Log.Warn("somebody else has written to the ledger; all of it is looked at")
	err = s.journal.Intact(ctx)
	var report proof.Report
	if err == nil {
		report, err = s.journal.Verify(ctx, keys, nil, nil)
	}
	if errors.Is(err, ledger.ErrDamaged) {
		return fmt.Errorf("%w: %w", ledger.ErrChanged, err)
	}
	if err != nil {
		return fmt.Errorf("somebody else has written to the ledger, and it could not be looked at: %w", err)
	}
	s.unread.foreign = false
	if why := altered(report); why != "" {
		return fmt.Errorf("%w: %s", ledger.ErrChanged, why)
	}
	return nil
}

// unread says whether somebody else wrote to the ledger and it was not looked at since.
type unread struct {
	sync.Mutex // held while it is looked at
	foreign    bool
}

// doubtAll makes one reason the site's doubt, and calls a person for it.
func (s *Site) doubtAll(err error) error {
	s.mu.Lock()
	s.doubt = err.Error()
	known := s.distrusted[s.doubt]
	s.distrusted[s.doubt] = true
	s.mu.Unlock()
	if !known {
		s.alarm(Alarm{At: time.Now(), Notice: notice.LedgerNotTrusted.Of(), Why: err.Error()})
	}
	return err
}

// TakeVerified keeps what a person's look at the whole ledger found, so that an executor
// opens no door by one that was changed, until it was found sound again.
func TakeVerified(state string, r proof.Report, damage error) error {
	v, err := readVerified(state)
	if err != nil {
		v = LedgerVerified{} // it is written anew
	}
	if v.Unsound = altered(r); damage != nil {
		v.Unsound = damage.Error()
	}
	switch {
	case v.Unsound != "":
		v.UnsoundAt = time.Now()
	case r.Sound():
		v = LedgerVerified{At: time.Now(), Entries: r.Entries, Root: r.Root}
	}
	return KeepVerified(state, v)
}

// recheck has the executor look again at what is known of the ledger.
func (s *Site) recheck(ctx context.Context) {
	if err := s.trust(ctx); err != nil {
		s.options.Log.Error("the ledger is not trusted", "error", err)
	}
}
