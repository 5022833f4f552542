package orchestrator

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airlock/lease"
	"airlock/ledger/proof/notetest"
	"airlock/orchestrator/custody"
	"airlock/policies"

	"golang.org/x/mod/sumdb/note"
)

func TestGuardThatIsHeardOf(t *testing.T) {
	p := siteWith(t, "@daily", "") // whose guard looks every 5 s
	now, err := lease.Now()
	if err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour)
	sign := func(age, look time.Duration) *lease.Guard {
		return &lease.Guard{
			PID: 7, Version: "v1", At: time.Now().Add(-age), Clock: lease.Instant{Boot: now.Boot, Since: now.Since - age},
			Doors: map[string]lease.Look{"vault-door": {State: "shut", Since: now.Since - look}},
		}
	}
	otherBoot := sign(time.Second, time.Second)
	otherBoot.Clock.Boot = "another"
	for name, c := range map[string]struct {
		sign    *lease.Guard
		torn    bool
		last    poll
		begun   time.Time
		missing string
		from    string
	}{
		"on this machine":        {sign: sign(2*time.Second, 2*time.Second), begun: long},
		"silent":                 {sign: sign(time.Minute, time.Minute), begun: long, missing: "no guard was heard of for 1m0s"},
		"silent, and we began":   {sign: sign(time.Minute, time.Minute), begun: time.Now()},
		"never":                  {begun: long, missing: "since the machine was booted"},
		"before the boot":        {sign: otherBoot, begun: long, missing: "since the machine was booted"},
		"from the future":        {sign: sign(-time.Hour, 0), begun: long, missing: "since the machine was booted"},
		"torn":                   {torn: true, begun: long, missing: "nobody knows whether a guard runs: "},
		"does not look":          {sign: sign(time.Second, 2*time.Minute), begun: long, missing: "not looked at door vault-door for 2m"},
		"asks":                   {last: poll{at: time.Now(), from: "10.0.0.2"}, begun: long, from: "10.0.0.2"},
		"asks, silent here":      {sign: sign(time.Minute, time.Minute), last: poll{at: time.Now(), from: "10.0.0.2"}, begun: long, from: "10.0.0.2"},
		"asked once":             {last: poll{at: long, from: "10.0.0.2"}, begun: long, missing: "no guard was heard of for 1h0m", from: "10.0.0.2"},
		"asked once, lives here": {sign: sign(time.Second, time.Second), last: poll{at: long, from: "10.0.0.2"}, begun: long},
	} {
		t.Run(name, func(t *testing.T) {
			p.Guard.Ledger = filepath.Join(t.TempDir(), "ledger.db")
			file := lease.GuardFile(p.Guard.Ledger)
			var err error
			if c.torn {
				err = os.WriteFile(file, []byte(`{"pid"`), 0o600)
			} else if c.sign != nil {
				err = c.sign.Write(file)
			}
			if err != nil {
				t.Fatal(err)
			}
			st := guardStatus(*p, c.last, c.begun)
			if (st.Missing == "") != (c.missing == "") || !strings.Contains(st.Missing, c.missing) || st.From != c.from {
				t.Errorf("%+v; want it missing: %q, from %q", st, c.missing, c.from)
			}
		})
	}
	p.Doors = nil
	if st := guardStatus(*p, poll{}, long); st != nil {
		t.Errorf("there is nothing to guard: %+v", st)
	}
}

// A guard that is missing is one alarm for each time, after three of its intervals.
func TestGuardThatIsMissing(t *testing.T) {
	p := siteWith(t, "@daily", "")
	p.Guard.Ledger = filepath.Join(t.TempDir(), "ledger.db")
	none := custody.OpenJournal(t.Context(), t.TempDir(), nil) // a folder is no ledger
	if none.Err() == nil {
		t.Fatal("there is a ledger")
	}
	t.Cleanup(func() { _ = none.Close() })
	synctest.Test(t, func(t *testing.T) {
		s := &Site{policy: *p, options: Options{Log: slog.New(slog.DiscardHandler)}, begun: time.Now(), journal: none}
		alarms := func() int {
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.alarms)
		}
		ctx := t.Context()
		go s.listen(ctx)
		time.Sleep(14 * time.Second)
		if n := alarms(); n != 0 {
			t.Errorf("%d alarms before a guard could be missed", n)
		}
		time.Sleep(10 * time.Minute)
		if n := alarms(); n != 1 {
			t.Errorf("%d alarms about one silence", n)
		}
		for range 12 {
			s.guards.heard(poll{at: time.Now(), from: "10.0.0.2"})
			time.Sleep(5 * time.Second)
		}
		if n := alarms(); n != 1 {
			t.Errorf("%d alarms while a guard asks", n)
		}
		time.Sleep(time.Minute)
		if n := alarms(); n != 2 {
			t.Errorf("%d alarms about two silences", n)
		}
	})
}

// The answer to a guard is signed with the key that init made.
func TestLeasesForAGuardElsewhere(t *testing.T) {
	h := newHospital(t)
	public, _, err := siteKey(h.policy)
	if err != nil {
		t.Fatal(err)
	}
	key, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	const nonce = "0123456789abcdef"
	h.within(func(s *Site) {
		now, err := lease.Now()
		if err != nil {
			t.Fatal(err)
		}
		// Not that of the policy's doors, which the start shuts, and takes the leases of.
		if _, err := lease.In(h.policy.State).Issue("other-door", "w", now, time.Minute, time.Hour); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Leases(Question{Nonce: nonce}); !errors.Is(err, ErrNoGuard) {
			t.Errorf("where the policy names no guard elsewhere: %v", err)
		}
		s.policy.Guard.Leases = &policies.Leases{}
		answer, err := s.Leases(Question{Nonce: nonce, From: "10.0.0.2", Program: "airlock-guard/v1"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := lease.OpenStatement(answer, key, nonce)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := got.Lease("other-door", now); err != nil {
			t.Error(err)
		}
		st, err := s.Status(t.Context())
		if err != nil || st.Guard == nil || st.Guard.From != "10.0.0.2" || st.Guard.Missing != "" || time.Since(st.Guard.HeardAt) > time.Minute {
			t.Errorf("the status tells of the guard %+v, %v", st.Guard, err)
		}
		if _, err := s.Leases(Question{}); !errors.Is(err, lease.ErrNonce) {
			t.Errorf("no nonce: %v", err)
		}
		file := h.policy.State.SiteKey()
		private, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, private[:len(private)-9], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Leases(Question{Nonce: nonce}); err == nil || strings.Contains(err.Error(), string(private[len(private)/2:len(private)-9])) {
			t.Errorf("a damaged key: %v", err)
		}
	})
}

// A stranger's question is no guard's: where the policy has the guard's key, only what that
// signed counts, and only once, within its time.
func TestQuestionsOfStrangers(t *testing.T) {
	guard := notetest.New(t, "guard")
	own, public, stranger := guard.Signer, guard.Public, notetest.New(t, "guard").Signer
	sign := func(nonce string, at time.Time, key note.Signer) string {
		signed, err := lease.SignQuestion(nonce, at, key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	now := time.Now()
	const nonce, other = "0123456789abcdef", "0123456789abcdeF"
	for name, c := range map[string]struct {
		q     Question
		heard bool
	}{
		"the guard's":         {Question{Nonce: nonce, Signed: sign(nonce, now, own)}, true},
		"its clock is off":    {Question{Nonce: nonce, Signed: sign(nonce, now.Add(-9*time.Minute), own)}, true},
		"unsigned":            {Question{Nonce: nonce}, false},
		"a stranger's":        {Question{Nonce: nonce, Signed: sign(nonce, now, stranger)}, false},
		"of another question": {Question{Nonce: other, Signed: sign(nonce, now, own)}, false},
		"overheard long ago":  {Question{Nonce: nonce, Signed: sign(nonce, now.Add(-time.Hour), own)}, false},
		"nonsense":            {Question{Nonce: nonce, Signed: "nonsense"}, false},
	} {
		var g guards
		g.asked(c.q, public, now)
		if heard := !g.latest().at.IsZero(); heard != c.heard {
			t.Errorf("%s: heard %t, want %t", name, heard, c.heard)
		}
	}
	var g guards
	g.asked(Question{Nonce: nonce, Signed: sign(nonce, now, own)}, public, now)
	g.asked(Question{Nonce: nonce, Signed: sign(nonce, now, own)}, public, now.Add(time.Minute))
	if at := g.latest().at; !at.Equal(now) {
		t.Errorf("what was overheard counted once more, at %s", at.Sub(now))
	}
}
