package custody

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
)

// Archive moves the ledger's entries from before a time into a sealed file, which key
// verifies; by says who wants it, and why. Whoever calls has the site's lock, so that nobody
// else writes meanwhile.
func Archive(ctx context.Context, state string, before time.Time, by ledger.Entry, h proof.Header, key string) (made ledger.Archive, err error) {
	signer, err := Signer(state)
	if err != nil {
		return made, err
	}
	l, err := ledger.Open(ctx, filepath.Join(state, LedgerFile), ledger.Options{Signer: signer})
	if err != nil {
		return made, err
	}
	made, err = l.Archive(ctx, before, by, h, key)
	return made, errors.Join(err, l.Close())
}
