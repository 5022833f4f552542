package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"airlock/blob"
	"airlock/ledger"
	"airlock/notice"
	"airlock/orchestrator/custody"
	"airlock/vault"

	"golang.org/x/mod/sumdb/note"
)

// own is by what a window knows the site's own generations in a vault: the keys that sign
// them, and the windows of the ledger. It is worked out with the doors shut.
func (s *Site) own(ctx context.Context, vaultName string) ([]note.Verifier, *vault.Past, error) {
	trust, err := custody.Verifiers(s.policy.State)
	if errors.Is(err, fs.ErrNotExist) { // it signs none
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	past := &vault.Past{Made: map[blob.Sum]bool{}, Begun: map[string]int64{}}
	for e, err := range s.journal.Ledger.Entries(ctx, ledger.Filter{Kind: ledger.KindWindow, Vault: vaultName}) {
		if err != nil {
			return nil, nil, err
		}
		if e.To != copying && e.From != copying {
			continue
		}
		past.Begun[e.Window] = max(0, past.Begun[e.Window])
		if e.From != copying {
			continue
		}
		var w WindowRecord
		if err := json.Unmarshal(e.Detail, &w); err != nil {
			return nil, nil, fmt.Errorf("ledger entry %d: %w", e.Seq, err)
		}
		var sum blob.Sum
		if w.Generation > 0 && sum.UnmarshalText([]byte(w.Hash)) == nil {
			past.Made[sum], past.Begun[e.Window] = true, w.Generation
			if past.First == 0 || w.Generation < past.First {
				past.First = w.Generation
			}
		}
	}
	return trust, past, nil
}

// warnOfStrangers calls a person if a vault has generations that somebody else has made with
// the site's key (S17).
func (s *Site) warnOfStrangers(r *WindowRecord) {
	all := slices.Clone(r.strange)
	if r.Retention != nil {
		all = append(all, r.Retention.Strange...)
	}
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	all = slices.Compact(all)
	more := ""
	if n := len(all) - namedInLedger; n > 0 {
		all, more = all[:namedInLedger], fmt.Sprintf("; and %d more", n)
	}
	s.alarm(Alarm{At: time.Now(), Vault: r.Vault, Notice: notice.SiteKeyUsed.Of(), Why: strings.Join(all, "; ") + more + "; shut the vault's door out of reach (airlock lockdown), find out who, and give the site a new key"})
}
