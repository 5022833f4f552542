package custody

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
	"airlock/state"

	"golang.org/x/mod/sumdb/note"
)

// movedHint is what a person does about a ledger whose file is gone.
const movedHint = "shutting goes on, and no vault's door is opened; put the very file back, or end the executor and start it again: it carries on with what lies there, and what vaults hold tells what is missing"

// underneath looks whether somebody laid hands on the ledger's file while it is open (S1,
// S11): one that is gone or another is told as that, and one whose newest entries were
// changed is unsound until all of it was verified. It takes some ten milliseconds, however
// long the ledger is; but where somebody else wrote to it, all of it is looked at, for an old
// entry may be another one now.
func (c *Custody) underneath(ctx context.Context) error {
	if err := c.journal.Present(); err != nil {
		return fmt.Errorf("%w; %s", err, movedHint)
	}
	keys, err := Verifiers(c.Policy.State)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err = errors.Join(c.journal.Recent(ctx, keys), c.foreign(ctx, keys))
	if !errors.Is(err, ledger.ErrChanged) {
		return err
	}
	v, broken := readVerified(c.Policy.State)
	if v.Unsound == "" {
		v.Unsound, v.UnsoundAt = err.Error(), time.Now()
		broken = errors.Join(broken, keepVerified(c.Policy.State, v))
	}
	return broken
}

// foreign looks at the whole ledger if anybody but this executor has written to it since that
// was done last: ledger.ErrChanged if it is not what it was.
func (c *Custody) foreign(ctx context.Context, keys []note.Verifier) error {
	c.unread.Lock()
	defer c.unread.Unlock()
	written, err := c.journal.Foreign(ctx)
	if err != nil {
		return err
	}
	if c.unread.foreign = c.unread.foreign || written; !c.unread.foreign {
		return nil
	}
	c.Log.Warn("somebody else has written to the ledger; all of it is looked at")
	err = c.journal.Intact(ctx)
	var report proof.Report
	if err == nil {
		report, err = c.journal.Verify(ctx, keys, nil, nil)
	}
	if errors.Is(err, ledger.ErrDamaged) {
		return fmt.Errorf("%w: %w", ledger.ErrChanged, err)
	}
	if err != nil {
		return fmt.Errorf("somebody else has written to the ledger, and it could not be looked at: %w", err)
	}
	c.unread.foreign = false
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
func (c *Custody) doubtAll(err error) error {
	c.mu.Lock()
	c.doubt = err.Error()
	known := c.distrusted[c.doubt]
	c.distrusted[c.doubt] = true
	c.mu.Unlock()
	if !known {
		c.Alarm("", notice.LedgerNotTrusted.Of(), err.Error())
	}
	return err
}

// TakeVerified keeps what a person's look at the whole ledger found, so that an executor
// opens no door by one that was changed, until it was found sound again.
func TakeVerified(state state.Folder, r proof.Report, damage error) error {
	v, err := readVerified(state)
	if err != nil {
		v = verified{} // it is written anew
	}
	if v.Unsound = altered(r); damage != nil {
		v.Unsound = damage.Error()
	}
	switch {
	case v.Unsound != "":
		v.UnsoundAt = time.Now()
	case r.Sound():
		v = verified{At: time.Now(), Entries: r.Entries, Root: r.Root}
	}
	return keepVerified(state, v)
}

// Recheck has the executor look again at what is known of the ledger.
func (c *Custody) Recheck(ctx context.Context) {
	if err := c.Trust(ctx); err != nil {
		c.Log.Error("the ledger is not trusted", "error", err)
	}
}
