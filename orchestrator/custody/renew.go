package custody

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"airlock/ledger"
	"airlock/state"
)

// Renew sets a ledger aside that cannot be trusted, and begins a new one that names it, its
// last head and those that vaults hold. It is a person's decision, for which a reason is
// needed; by has it, and who. Whoever calls has the site's lock. A ledger against which nothing
// speaks stays.
func Renew(ctx context.Context, state state.Folder, by ledger.Entry) (moved string, err error) {
	path := state.Ledger()
	why, err := untrustedFor(ctx, state, path)
	if err != nil {
		return "", err
	}
	if why == nil {
		return "", errors.New("nothing speaks against the ledger, so it stays: airlock audit verify looks at all of it")
	}
	key, err := Signer(state)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if moved, err = setAside(path, why); err != nil {
		return "", err
	}
	l, err := ledger.Open(ctx, path, ledger.Options{Signer: key})
	if err != nil {
		return moved, err
	}
	_, err = l.Append(ctx, ledger.Entry{
		Time: time.Now(), Kind: ledger.KindLedger, Actor: by.Actor, Reason: by.Reason, To: begunAnew,
		Detail: ledger.Detail(map[string]string{"file": filepath.Base(moved)}),
	})
	return moved, errors.Join(err, l.Close(), forgetVerified(state))
}

// untrustedFor is why the ledger is not to be trusted; nil for no reason.
func untrustedFor(ctx context.Context, state state.Folder, path string) (why, err error) {
	r, err := ledger.OpenReader(ctx, path)
	if errors.Is(err, ledger.ErrDamaged) {
		return err, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := doubts(ctx, state, r)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	return joined(all), nil
}

// setAside moves the ledger out of the way; the next one names the heads that vaults hold.
func setAside(path string, why error) (moved string, err error) {
	held, err := heldHeads(state.Folder(filepath.Dir(path)))
	if err != nil {
		return "", err
	}
	var notes []string
	for _, h := range held {
		notes = append(notes, h.note)
	}
	moved, _, err = ledger.SetAside(path, why, notes...)
	return moved, err
}
