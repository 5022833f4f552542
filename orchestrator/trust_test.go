package orchestrator

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/ledger/proof/notetest"
	"airlock/switchctl/switchtest/snmpswitch"
	"airlock/vault"
	vaultlocal "airlock/vault/local"

	"golang.org/x/mod/sumdb/note"
)

// keys gives the site its key, and returns the public half.
func (h *hospital) keys() note.Verifier {
	h.Helper()
	key := notetest.New(h, h.policy.Site)
	dir := h.policy.State.Keys()
	err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "site.key"), []byte(key.Private+"\n"), 0o600), os.WriteFile(filepath.Join(dir, "site.pub"), []byte(key.Public+"\n"), 0o600))
	if err != nil {
		h.Fatal(err)
	}
	return key.Verifier
}

// window holds one, in a run of its own.
func (h *hospital) window() (record WindowRecord, err error) {
	h.Helper()
	h.within(func(s *Site) { record, err = s.Window(h.Context(), "secondary", byTest, silent) })
	return record, err
}

// copied copies what lies in one folder into another, in place of what was there.
func (h *hospital) copied(from, to string) {
	h.Helper()
	if err := errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(from))); err != nil {
		h.Fatal(err)
	}
}

// newest is the vault's newest generation, by the vault itself.
func (h *hospital) newest() *vault.Generation {
	h.Helper()
	store, err := vaultlocal.Open(filepath.Join(h.dir, "vault"))
	if err != nil {
		h.Fatal(err)
	}
	g, err := vault.Load(h.Context(), store, 0)
	if err := errors.Join(err, store.Close()); err != nil {
		h.Fatal(err)
	}
	return g
}

// proofs are the proofs of contradictions, opened by nothing but the public key.
func (h *hospital) proofs(key note.Verifier) []proof.Contradiction {
	h.Helper()
	files, err := filepath.Glob(filepath.Join(string(h.policy.State), "proofs", "*"))
	if err != nil {
		h.Fatal(err)
	}
	var all []proof.Contradiction
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			h.Fatal(err)
		}
		c, err := proof.OpenContradiction(text, key)
		if err != nil {
			h.Errorf("%s: %v\n%s", file, err, text)
		}
		all = append(all, c)
	}
	return all
}

// refuses wants a window that is refused because the ledger is not trusted, and no port
// that moved.
func (h *hospital) refuses(why string) {
	h.Helper()
	before := len(h.moved())
	h.within(func(s *Site) {
		if _, err := s.Window(h.Context(), "secondary", byTest, silent); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), why) {
			h.Errorf("a window by this ledger: %v; want it refused: %s", err, why)
		}
		st, err := s.Status(h.Context())
		if err != nil || !strings.Contains(st.Ledger.Doubt, why) {
			h.Errorf("the status says %q, %v", st.Ledger.Doubt, err)
		}
		if !slices.ContainsFunc(st.Alarms, func(a Alarm) bool { return strings.HasPrefix(a.What, "the ledger cannot be trusted") }) {
			h.Errorf("no alarm: %v", st.Alarms)
		}
		// S2: what this ledger is worth keeps no door from being shut.
		if err := h.sw.Edit(3, func(p *snmpswitch.Port) { p.Up = true }); err != nil {
			h.Error(err)
		}
		if err := s.Shut(h.Context(), nil, byTest); err != nil || h.sw.Up(3) {
			h.Errorf("shutting: %v, the port is up: %t", err, h.sw.Up(3))
		}
	})
	if i := slices.Index(h.moved()[before:], "p3 up"); i >= 0 {
		h.Errorf("the vault's port was opened: %v", h.moved()[before:])
	}
}

// Each generation names the newest head, the site keeps it beside its ledger, and after
// every window and gathering all that the ledger holds is signed.
func TestHeadsLeaveTheMachine(t *testing.T) {
	h := newHospital(t)
	key := h.keys()
	h.within(func(s *Site) {
		s.Gather(t.Context(), []string{"accounting"}, byTest, silent)
		signed := func(after ledger.Kind) proof.Head { // other entries, as of a clock, may have come since
			t.Helper()
			head, ok, err := s.journal.LastHead(t.Context())
			e, found, err2 := s.journal.Last(t.Context(), ledger.Filter{Kind: after})
			if err := errors.Join(err, err2); err != nil || !ok || !found || head.Size < e.Seq {
				t.Errorf("the last head is of %d entries, and entry %d tells of a %s, %v", head.Size, e.Seq, after, err)
			}
			return head
		}
		first := signed(ledger.KindGather)
		if _, err := s.Window(t.Context(), "secondary", byTest, silent); err != nil {
			t.Fatal(err)
		}
		last := signed(ledger.KindWindow)
		g := h.newest()
		named, err := proof.OpenHead([]byte(g.Ledger), key)
		if err != nil || named.Size < first.Size || named.Size > last.Size {
			t.Errorf("the generation names a head of %d entries, %v; before it were %d, after it %d", named.Size, err, first.Size, last.Size)
		}
		held, err := os.ReadFile(filepath.Join(string(h.policy.State), "vaults", "secondary", "head.note"))
		if err != nil || string(held) != g.Ledger {
			t.Errorf("kept of it: %q, %v", held, err)
		}
		st, err := s.Status(t.Context())
		if err != nil || st.Ledger.Head != last.Note || !strings.HasPrefix(st.Ledger.Key, h.policy.Site+"+") || st.Ledger.Doubt != "" {
			t.Errorf("the status says %+v, %v", st.Ledger, err)
		}
	})
}

// An older copy of the ledger that was put back is found when an executor starts, proven,
// and opens no vault's door, until a person has begun a new ledger.
func TestLedgerThatWasPutBack(t *testing.T) {
	h := newHospital(t)
	key := h.keys()
	file := h.policy.State.Ledger()
	if _, err := h.window(); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.window(); err != nil {
		t.Fatal(err)
	}
	head := h.newest().Ledger
	if err := os.WriteFile(file, old, 0o600); err != nil {
		t.Fatal(err)
	}
	h.refuses("contradicts the head that vault secondary holds")
	h.refuses("contradicts the head that vault secondary holds") // the proof of the first time stays
	if all := h.proofs(key); len(all) != 1 || all[0].Kept.Note != head || all[0].KeptBy != "vault secondary" {
		t.Errorf("the proofs are %+v", all)
	}
	moved, err := Renew(t.Context(), h.policy, byTest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.window(); err != nil {
		t.Errorf("a window with the new ledger: %v", err)
	}
	if _, err := Renew(t.Context(), h.policy, byTest); err == nil {
		t.Error("a sound ledger was set aside")
	}
	all := h.entries(ledger.Filter{Kind: ledger.KindLedger})
	if len(all) != 2 || all[0].Seq != 1 || !strings.Contains(string(all[0].Detail), filepath.Base(moved)) || all[1].To != "renewed" || all[1].Actor != byTest.Actor || all[1].Reason != byTest.Reason {
		t.Errorf("the new ledger says of the old one %+v", all)
	}
	if len(h.proofs(key)) != 1 {
		t.Error("the proof is gone")
	}
}

// With the whole state folder put back, as by a snapshot of the machine, only the vault
// knows better: the first window sees it, before it sends anything.
func TestMachineThatWasPutBack(t *testing.T) {
	h := newHospital(t)
	key := h.keys()
	if _, err := h.window(); err != nil {
		t.Fatal(err)
	}
	h.copied(string(h.policy.State), string(h.policy.State)+".snapshot")
	if _, err := h.window(); err != nil {
		t.Fatal(err)
	}
	before := h.newest()
	h.copied(string(h.policy.State)+".snapshot", string(h.policy.State))
	h.write("accounting/new.dump", "what the next generation would have")
	h.within(func(s *Site) {
		if st, err := s.Status(t.Context()); err != nil || st.Ledger.Doubt != "" {
			t.Errorf("with the door shut nobody can know: %q, %v", st.Ledger.Doubt, err)
		}
		s.Gather(t.Context(), []string{"accounting"}, byTest, silent)
		r, err := s.Window(t.Context(), "secondary", byTest, silent)
		if err == nil || !strings.Contains(err.Error(), "generation 2 names another ledger") || r.Blobs != 0 || r.ProvenAt.IsZero() {
			t.Errorf("%s: %v", r, err)
		}
	})
	if now := h.newest(); now.Number != before.Number {
		t.Errorf("generation %d was sent", now.Number)
	}
	if all := h.proofs(key); len(all) != 1 || all[0].Kept.Note != before.Ledger {
		t.Errorf("the proofs are %+v", all)
	}
	h.refuses("contradicts the head that vault secondary holds")
}

// Damage in the middle, which no opening of the ledger looks at, is found by the daily
// verification: an alarm, and no vault's door is opened, not even by the next run.
func TestDamageThatVerificationFinds(t *testing.T) {
	h := newHospital(t)
	h.keys()
	if _, err := h.window(); err != nil {
		t.Fatal(err)
	}
	h.died(slices.Repeat([]ledger.Entry{{Kind: ledger.KindPatrol}}, 100)...) // opening looks at the last entries
	file := h.policy.State.Ledger()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.ReplaceAll(data, []byte(byTest.Reason), []byte("A TEST")), 0o600); err != nil {
		t.Fatal(err)
	}
	h.within(func(s *Site) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.custody.Verify(ctx); err != nil {
			t.Fatal(err)
		}
		if err := s.journal.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if e, ok := s.journal.Newest(ctx, ledger.Filter{Kind: ledger.KindLedger, To: "unsound"}); !ok || !strings.Contains(string(e.Detail), "it is not the entry that was written") {
			t.Errorf("the ledger says of itself %+v", e)
		}
	})
	h.refuses("was found changed or damaged")
	if _, err := Renew(t.Context(), h.policy, byTest); err != nil {
		t.Fatal(err)
	}
	if _, err := h.window(); err != nil {
		t.Errorf("a window with the new ledger: %v", err)
	}
	h.within(func(s *Site) {
		if err := s.custody.Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st, err := s.Status(t.Context()); err != nil || st.Ledger.VerifiedAt == nil || st.Ledger.Doubt != "" {
			t.Errorf("verified at %v, doubt %q, %v", st.Ledger.VerifiedAt, st.Ledger.Doubt, err)
		}
	})
}
