package orchestrator

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"airlock/ledger"
	"airlock/vault"
)

// What is gone from a vault is told as gone until somebody sees it there again: the next
// window, or a reading back.

// see notes which generations stand in the vault.
func (r *WindowRecord) see(ctx context.Context, store vault.Store) error {
	infos, err := vault.Generations(ctx, store)
	for _, i := range infos {
		r.Seen = append(r.Seen, i.Number)
	}
	return err
}

// mended says whether all that was amiss at the last window was put right since.
func (v VaultStatus) mended() bool { return v.LastWindow != nil && v.LastWindow.Mended }

// backAgain takes out of a window's record what was gone then and was seen to stand there
// again by a later one. after is the record's entry.
func (r *WindowRecord) backAgain(ctx context.Context, l *ledger.Reader, after int64) error {
	if r.Result != resultInPart || r.missing() == "" {
		return nil // a window that met another vault failed, and brought nothing
	}
	sentence := r.missing()
	for e, err := range l.Entries(ctx, ledger.Filter{Kind: ledger.KindWindow, Vault: r.Vault, AfterSeq: after}) {
		if err != nil {
			return err
		}
		var later WindowRecord
		if err := json.Unmarshal(e.Detail, &later); err != nil {
			return fmt.Errorf("ledger entry %d: %w", e.Seq, err)
		}
		r.Gone = slices.DeleteFunc(r.Gone, func(n int64) bool { return slices.Contains(later.Seen, n) })
	}
	r.Error = strings.Replace(r.Error, sentence, r.missing(), 1)
	r.Mended = !r.damaged()
	return nil
}
