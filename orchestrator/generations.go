package orchestrator

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"airlock/ledger"
)

// KnownGeneration is a generation as the ledger knows it, from the window that made it.
// The vault may have dropped it since, by its retention: that only an open door shows.
type KnownGeneration struct {
	Number int64     `json:"generation"`
	Hash   string    `json:"sha256"` // of its file
	Vault  string    `json:"vault"`
	Window string    `json:"window"`
	Time   time.Time `json:"time"` // when the window ended
	Result string    `json:"result"`
	Blobs  int       `json:"blobs"` // that it consists of
	Sent   int64     `json:"bytes"` // that the window sent
	Lacks  int       `json:"lacks"` // blobs that belong to it and are not in the vault
	// Receipt tells whether the vault's host vouched for it.
	Receipt bool `json:"receipt"`
	// Gone tells that it had to stand in the vault when somebody looked last, and did not.
	Gone bool `json:"gone,omitempty"`
}

// Generations are those that windows of a vault have made, oldest first. No door is
// opened for it.
func Generations(ctx context.Context, r *ledger.Reader, vaultName string) ([]KnownGeneration, error) {
	var all []KnownGeneration
	var lost losses
	var numbers []int64
	for e, err := range r.Entries(ctx, ledger.Filter{Kind: ledger.KindWindow, Vault: vaultName}) {
		if err != nil {
			return nil, err
		}
		var w WindowRecord
		if err := json.Unmarshal(e.Detail, &w); err != nil {
			return nil, fmt.Errorf("ledger entry %d: %w", e.Seq, err)
		}
		if e.From == copying {
			lost.take(w, numbers)
		}
		lost.seen(w)
		if e.From != copying || w.Generation == 0 {
			continue
		}
		numbers = append(numbers, w.Generation)
		all = append(all, KnownGeneration{
			Number: w.Generation, Hash: w.Hash, Vault: vaultName, Window: w.ID, Time: e.Time, Result: e.To,
			Blobs: w.Held + w.Blobs, Sent: w.Bytes, Lacks: max(w.Lacking, len(w.Lacks)), Receipt: w.Receipt != nil && w.Receipt.Whole(),
		})
	}
	for i := range all {
		all[i].Gone = lost.has(all[i].Number)
	}
	slices.SortStableFunc(all, func(a, b KnownGeneration) int { return cmp.Compare(a.Number, b.Number) })
	return all, nil
}
