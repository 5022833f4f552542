package custody

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/ledger/proof/notetest"
	"airlock/notice"
	"airlock/policies"
	"airlock/state"
)

// site is a state folder with a key, and who was called.
type site struct {
	*testing.T
	state state.Folder
	key   notetest.Pair

	mu     sync.Mutex
	called []string
	raised chan struct{} // has one for each alarm, up to its room
}

func newSite(t *testing.T) *site {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "state [a]") // no pattern
	s := &site{T: t, state: state.Folder(folder), key: notetest.New(t, "hospital.example"), raised: make(chan struct{}, 100)}
	s.write("keys/site.key", s.key.Private+"\n")
	s.write("keys/site.pub", s.key.Public+"\n")
	return s
}

func (s *site) write(name, text string) {
	s.Helper()
	name = filepath.Join(string(s.state), name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
		s.Fatal(err)
	}
}

// file is the ledger.
func (s *site) file() string { return s.state.Ledger() }

func (s *site) alarms() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.called)
}

func (s *site) config() Config {
	return Config{
		Policy: policies.Policy{Site: "hospital.example", State: s.state, Timezone: policies.Zone{Location: time.UTC}},
		Log:    slog.New(slog.DiscardHandler), Begun: time.Now(), Busy: func() bool { return false },
		Alarm: func(vault string, n notice.Notice, why string) {
			s.mu.Lock()
			s.called = append(s.called, fmt.Sprintf("%s|%s|%s", vault, n.In("en"), why))
			s.mu.Unlock()
			s.raised <- struct{}{}
		},
	}
}

// within is a run of an executor.
func (s *site) within(c Config, run func(*Custody, *Journal)) {
	s.Helper()
	key, err := Signer(s.state)
	if err != nil {
		s.Fatal(err)
	}
	j := OpenJournal(s.Context(), s.file(), key)
	run(New(c, j), j)
	if err := j.Close(); err != nil {
		s.Error(err)
	}
}

// signed appends so many entries, and is the head over them.
func (s *site) signed(c *Custody, j *Journal, entries int) string {
	s.Helper()
	for range entries {
		if _, err := j.Append(s.Context(), ledger.Entry{Time: time.Now(), Kind: ledger.KindUpkeep, Actor: "airlock", To: "done"}); err != nil {
			s.Fatal(err)
		}
	}
	head := c.SignedHead(s.Context())
	if head == "" {
		s.Fatal("no head")
	}
	return head
}

// S1, S11: an older copy of the ledger that was put back contradicts the head that a vault
// holds: no leave to open a door, an alarm once in a run, a proof that stands by itself, and a
// doubt until a person renews the ledger, which keeps the old one.
func TestOlderCopy(t *testing.T) {
	s := newSite(t)
	s.within(s.config(), func(c *Custody, j *Journal) { s.signed(c, j, 2) })
	old, err := os.ReadFile(s.file())
	if err != nil {
		t.Fatal(err)
	}
	s.within(s.config(), func(c *Custody, j *Journal) {
		if err := KeepHead(s.state, "secondary", s.signed(c, j, 3)); err != nil {
			t.Fatal(err)
		}
		if err := c.Trust(t.Context()); err != nil || c.Doubt() != "" {
			t.Errorf("it is the ledger that it was, and %v, %q", err, c.Doubt())
		}
	})
	if err := os.WriteFile(s.file(), old, 0o600); err != nil {
		t.Fatal(err)
	}
	s.within(s.config(), func(c *Custody, _ *Journal) {
		for range 2 {
			if err := c.Trust(t.Context()); err == nil || !strings.Contains(err.Error(), "airlock audit renew") {
				t.Errorf("an older copy is trusted: %v", err)
			}
		}
		if !strings.Contains(c.Doubt(), "contradicts the head that vault secondary holds") {
			t.Errorf("the doubt is %q", c.Doubt())
		}
	})
	if all := s.alarms(); len(all) != 1 || !strings.HasPrefix(all[0], "secondary|") {
		t.Errorf("the alarms are %q; want one", all)
	}
	files, _ := os.ReadDir(s.state.Proofs())
	if len(files) != 1 {
		t.Fatalf("the proofs are %v", files)
	}
	if text, err := os.ReadFile(filepath.Join(s.state.Proofs(), files[0].Name())); err != nil {
		t.Error(err)
	} else if c, err := proof.OpenContradiction(text, s.key.Verifier); err != nil || c.KeptBy != "vault secondary" {
		t.Errorf("the proof is %+v, %v", c, err)
	}
	moved, err := Renew(t.Context(), s.state, ledger.Entry{Actor: "a person", Reason: "found who it was"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(moved); err != nil {
		t.Errorf("S17: the old ledger is gone: %v", err)
	}
	s.within(s.config(), func(c *Custody, _ *Journal) {
		if err := c.Trust(t.Context()); err != nil {
			t.Errorf("the new ledger: %v", err)
		}
	})
	if _, err := Renew(t.Context(), s.state, ledger.Entry{}); err == nil {
		t.Error("a sound ledger was set aside")
	}
}

// S17: what a vault's newest generation names ends the window where it is another ledger's. A
// head that no key of the site has signed pushes out nothing that is known; one of the site's
// own that is contradicted is kept, and is a doubt from then on (S11).
func TestMet(t *testing.T) {
	s, other := newSite(t), newSite(t)
	var foreign, own string
	other.within(other.config(), func(c *Custody, j *Journal) { foreign = other.signed(c, j, 1) })
	s.within(s.config(), func(c *Custody, j *Journal) { own = s.signed(c, j, 5) })
	if err := os.Rename(s.file(), s.file()+".away"); err != nil {
		t.Fatal(err)
	}
	s.within(s.config(), func(c *Custody, j *Journal) {
		mine := s.signed(c, j, 1)
		if err := KeepHead(s.state, "secondary", mine); err != nil {
			t.Fatal(err)
		}
		held := func() string {
			text, err := os.ReadFile(s.state.Head("secondary"))
			if err != nil {
				t.Error(err)
			}
			return string(text)
		}
		for _, head := range []string{"", mine} {
			if err := c.Met(t.Context(), "secondary", 7, head); err != nil {
				t.Errorf("%q: %v", head, err)
			}
		}
		err := c.Met(t.Context(), "secondary", 7, foreign)
		if !errors.Is(err, errForeignHead) || held() != mine || c.Doubt() != "" {
			t.Errorf("another's head: %v; kept is %q, the doubt %q", err, held(), c.Doubt())
		}
		err = c.Met(t.Context(), "secondary", 7, own)
		if err == nil || !strings.Contains(err.Error(), "generation 7 names another ledger") || held() != own || c.Doubt() == "" {
			t.Errorf("a head of the ledger that was: %v; kept is %q, the doubt %q", err, held(), c.Doubt())
		}
	})
}

// S15: a question that had no answer is no doubt, and no leave either.
func TestUnanswered(t *testing.T) {
	s := newSite(t)
	s.within(s.config(), func(c *Custody, j *Journal) {
		if err := KeepHead(s.state, "secondary", s.signed(c, j, 1)); err != nil {
			t.Fatal(err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Trust(gone); !errors.Is(err, context.Canceled) || c.Doubt() != "" {
			t.Errorf("broken off: %v, the doubt is %q", err, c.Doubt())
		}
		s.write("vaults/secondary/head.note", "torn")
		if err := c.Trust(t.Context()); err == nil || c.Doubt() != "" {
			t.Errorf("a torn head: %v, the doubt is %q", err, c.Doubt())
		}
	})
	if all := s.alarms(); len(all) > 0 {
		t.Errorf("the alarms are %q", all)
	}
}

// S1, S2: without a ledger nothing can be appended; what happens all the same is kept, and the
// next ledger takes it in.
func TestNoLedger(t *testing.T) {
	s := newSite(t)
	if err := os.Mkdir(s.file(), 0o700); err != nil {
		t.Fatal(err)
	}
	s.within(s.config(), func(c *Custody, j *Journal) {
		if j.Err() == nil {
			t.Fatal("a folder is a ledger")
		}
		if _, err := j.Append(t.Context(), ledger.Entry{}); !errors.Is(err, j.Err()) {
			t.Errorf("an entry is durable nowhere, and %v", err)
		}
		if _, err := c.Head(t.Context()); !errors.Is(err, j.Err()) {
			t.Errorf("a head of nothing: %v", err)
		}
		j.Note(ledger.Entry{Time: time.Now(), Kind: ledger.KindDoor, Actor: "airlock", Reason: "a test", Door: "vault-door", From: "shutting", To: "shut"})
	})
	if err := os.Remove(s.file()); err != nil {
		t.Fatal(err)
	}
	s.within(s.config(), func(_ *Custody, j *Journal) {
		if err := j.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if e, ok := j.Newest(t.Context(), ledger.Filter{Kind: ledger.KindDoor}); !ok || e.Door != "vault-door" {
			t.Errorf("of what happened is left %+v", e)
		}
	})
}

// S11: the whole is verified, which the description tells; what a person's own look found is a
// doubt, until it was found sound again.
func TestVerify(t *testing.T) {
	s := newSite(t)
	s.within(s.config(), func(c *Custody, j *Journal) {
		s.signed(c, j, 3)
		if err := c.Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
		d, err := Describe(t.Context(), s.state, &j.Ledger.Reader)
		if err != nil || d.VerifiedAt.IsZero() || d.Entries < 3 || d.Head == "" || d.Key != s.key.Public {
			t.Errorf("it is described as %+v, %v", d, err)
		}
		if err := TakeVerified(s.state, proof.Report{}, errors.New("entry 2 is damaged")); err != nil {
			t.Fatal(err)
		}
		if err := c.Trust(t.Context()); err == nil || !strings.Contains(c.Doubt(), "entry 2 is damaged") {
			t.Errorf("what a person found: %v, the doubt is %q", err, c.Doubt())
		}
		if err := errors.Join(c.Verify(t.Context()), c.Trust(t.Context())); err != nil || c.Doubt() != "" {
			t.Errorf("found sound again: %v, the doubt is %q", err, c.Doubt())
		}
	})
}

// S15: a verification that was broken off has found nothing, and says nothing.
func TestVerifyBrokenOff(t *testing.T) {
	s := newSite(t)
	s.within(s.config(), func(c *Custody, j *Journal) {
		s.signed(c, j, 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Verify(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("broken off: %v", err)
		}
		if d, err := Describe(t.Context(), s.state, &j.Ledger.Reader); err != nil || !d.VerifiedAt.IsZero() {
			t.Errorf("it is described as verified: %+v, %v", d, err)
		}
	})
	if all := s.alarms(); len(all) > 0 {
		t.Errorf("the alarms are %q", all)
	}
}

// An authority that cannot be asked costs nothing but a line in the log, until it is
// missing for too long.
func TestAuthorityIsAway(t *testing.T) {
	s := newSite(t)
	conf := s.config()
	conf.Begun = time.Now().Add(-3 * time.Hour)
	s.within(conf, func(c *Custody, _ *Journal) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan struct{})
		go func() {
			c.Stamp(ctx, policies.Timestamps{URL: "http://127.0.0.1:1", CA: filepath.Join(string(s.state), "none.pem"), Every: policies.Duration(time.Hour)})
			close(done)
		}()
		select {
		case <-s.raised:
		case <-time.After(30 * time.Second):
			t.Error("no alarm")
		}
		cancel()
		<-done
	})
	if all := s.alarms(); len(all) != 1 || !strings.Contains(all[0], "time-stamped") {
		t.Errorf("the alarms are %q", all)
	}
}
