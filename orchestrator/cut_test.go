package orchestrator

import (
	"encoding/json"
	"math"
	"testing"

	"airlock/ledger"
)

// An executor that died after it had written down how long the vault's door was open knows
// that better than the next start does.
func TestCutAfterTheProof(t *testing.T) {
	h := newHospital(t)
	h.died(
		ledger.Entry{Kind: ledger.KindWindow, Vault: "secondary", Window: "w1", To: copying, Detail: json.RawMessage(`{"id":"w1","vault":"secondary","purpose":"copying"}`)},
		ledger.Entry{Kind: ledger.KindDoor, Door: "vault-door", Window: "w1", From: "shut", To: "opening"},
		ledger.Entry{Kind: ledger.KindDoor, Door: "vault-door", Window: "w1", From: "open", To: "shutting"},
		ledger.Entry{Kind: ledger.KindDoor, Door: "vault-door", Window: "w1", From: "shutting", To: "shut", Detail: json.RawMessage(`{"exposure_seconds":0.25}`)},
	)
	h.within(func(*Site) {})
	h.within(func(s *Site) {
		st, err := s.Status(t.Context())
		w := st.Vaults["secondary"].LastWindow
		if err != nil || w == nil || w.Result != resultCut || math.Abs(w.Exposure-0.25) > 0.001 || w.AtMost || w.ShutBy != "" {
			t.Errorf("the window that was cut: %+v, %v", w, err)
		}
	})
}
