package custody

import (
	"context"
	"errors"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/state"
)

// Archive moves the ledger's entries from before a time into a sealed file, which key
// verifies; by says who wants it, and why. Whoever calls has the site's lock, so that nobody
// else writes meanwhile.
func Archive(ctx context.Context, state state.Folder, before time.Time, by ledger.Entry, h proof.Header, key string) (made ledger.Archive, err error) {
	signer, err := Signer(state)
	if err != nil {
		return made, err
	}
	l, err := ledger.Open(ctx, state.Ledger(), ledger.Options{Signer: signer})
	if err != nil {
		return made, err
	}
	made, err = l.Archive(ctx, before, by, h, key)
	return made, errors.Join(err, l.Close())
}
