package orchestrator

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/policies"
)

// ArchiveLedger moves the ledger's entries from before a time into a sealed file, which
// key verifies. It takes the site, so that nobody else writes meanwhile: ErrBusy while
// an executor runs.
func ArchiveLedger(ctx context.Context, p policies.Policy, before time.Time, by Caller, h proof.Header, key string) (made ledger.Archive, err error) {
	lock, err := takeLock(p.State)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	signer, err := siteSigner(p.State)
	if err != nil {
		return made, err
	}
	l, err := ledger.Open(ctx, filepath.Join(p.State, ledgerFile), ledger.Options{Signer: signer})
	if err != nil {
		return made, err
	}
	made, err = l.Archive(ctx, before, ledger.Entry{Actor: by.Actor, Reason: by.Reason}, h, key)
	return made, errors.Join(err, l.Close())
}
