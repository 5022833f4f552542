package orchestrator

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof/notetest"
	"airlock/ledger/stamp"
	"airlock/ledger/stamp/stamptest"
	"airlock/policies"
)

// Serve has the ledger's head stamped at once if it never was, and not again before the
// next is due.
func TestHeadsAreStamped(t *testing.T) {
	h := newHospital(t)
	key := notetest.New(t, h.policy.Site)
	keys := h.policy.State.Keys()
	if err := os.MkdirAll(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"site.key": key.Private, "site.pub": key.Public} {
		if err := os.WriteFile(filepath.Join(keys, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	authority := stamptest.New(t)
	h.policy.Ledger.Timestamps = &policies.Timestamps{URL: authority.URL, CA: authority.CA, Every: policies.Duration(24 * time.Hour)}
	serve := func(until ledger.Filter) {
		h.within(func(s *Site) {
			ctx, cancel := context.WithCancel(t.Context())
			served := make(chan error, 1)
			go func() { served <- s.Serve(ctx) }()
			for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
				if _, ok := s.journal.Newest(ctx, until); ok {
					break
				}
				if time.Since(began) > 30*time.Second {
					t.Error("no head was stamped")
					break
				}
			}
			cancel()
			<-served
		})
	}
	serve(ledger.Filter{Kind: ledger.KindLedger, To: "stamped"})
	serve(ledger.Filter{Kind: ledger.KindStart})
	if t.Failed() {
		return
	}
	r, err := OpenLedger(t.Context(), h.policy.State)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all, err := r.Stamps(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%d time-stamps, %v", len(all), err)
	}
	roots, err := stamp.Authorities(authority.CA)
	if err != nil {
		t.Fatal(err)
	}
	if at, err := stamp.Check(all[0].Token, all[0].Head, roots); err != nil || !at.Equal(all[0].At) {
		t.Errorf("the token says %v, %v; kept is %v", at, err, all[0].At)
	}
	if err := r.Against(t.Context(), all[0].Head); err != nil {
		t.Error(err)
	}
}
