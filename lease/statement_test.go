package lease

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"airlock/ledger/proof/notetest"
	"airlock/state"
)

const nonce = "0123456789ABCDEFabcdef"

func TestStatementLeavesOutWhatIsNoLease(t *testing.T) {
	f, l := issued(t)
	of := state.Folder(filepath.Dir(string(f)))
	for name, text := range map[string]string{"torn.json": `{"door":"to`, "other.json": `{"door":"v"}`, "v.json.new": "{}"} {
		if err := os.WriteFile(filepath.Join(string(f), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := State(of, nonce, at(time.Hour))
	if err != nil || len(s.Leases) != 1 || s.Leases[0].Boot != l.Boot || s.Lockdown != nil {
		t.Fatalf("%+v, %v", s, err)
	}
	for _, bad := range []string{"", "short", strings.Repeat("x", 65), "0123456789abcdef\n", "0123456789abcde "} {
		if _, err := State(of, bad, at(time.Hour)); !errors.Is(err, ErrNonce) {
			t.Errorf("nonce %q: %v", bad, err)
		}
	}
	if s, err := State(state.Folder(t.TempDir()), nonce, at(0)); err != nil || len(s.Leases) != 0 {
		t.Errorf("where no lease ever was: %+v, %v", s, err)
	}
	if err := os.WriteFile(of.Lockdown(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := State(of, nonce, at(time.Hour)); err != nil || s.Lockdown != nil || len(s.Leases) > 0 || s.Doubt == "" {
		t.Errorf("S15: with a damaged lockdown no lease is told, and no lockdown either: %+v, %v", s, err)
	}
}

func TestStatementIsReadAsItWasSigned(t *testing.T) {
	f, _ := issued(t)
	signer, verifier := notetest.Keys(t, "site")
	if err := Lock(state.Folder(filepath.Dir(string(f))), Lockdown{At: time.Now().UTC().Round(0), By: "人\x00\xff", Reason: "a\nb"}); err != nil {
		t.Fatal(err)
	}
	s, err := State(state.Folder(filepath.Dir(string(f))), nonce, at(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	data, err := s.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenStatement(data, verifier, nonce)
	if err != nil || !reflect.DeepEqual(got.Leases[0].Boot, s.Leases[0].Boot) || *got.Lockdown != *s.Lockdown || got.Now != s.Now {
		t.Errorf("read %+v, %v; signed was %+v", got, err, s)
	}
	if _, err := OpenStatement(data, verifier, nonce+"x"); err == nil {
		t.Error("it was read as an answer to another question")
	}
}

// S4: on another clock a lease is never longer than where it was issued, whatever the
// two clocks show and however long the answer takes.
func TestLeaseOnAnotherClock(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		duration := func(label string, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, label))
		}
		f, here := Folder(dir), at(duration("the executor's clock", 100*time.Hour))
		l, err := f.Issue("v", "w", here, ttl, time.Nanosecond+duration("longest", time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		asked := Instant{"the guard's", duration("the guard's clock", 100*time.Hour)}
		there, back := duration("the way there", time.Second), duration("the way back", 20*time.Second)
		here.Since += duration("age", 20*time.Second) + there
		s := Statement{Now: here, Leases: []Lease{l}}
		moved, err := s.Lease("v", asked)
		if err != nil {
			t.Fatal(err)
		}
		life := ttl - duration("the guard's measure", 10*time.Second)
		mine, whyNotMine := l.Left("v", Instant{here.Boot, here.Since + back}, life)
		theirs, whyNot := moved.Left("v", Instant{asked.Boot, asked.Since + there + back}, life)
		if whyNot == nil && (whyNotMine != nil || theirs > mine) {
			t.Fatalf("%s left where it was issued (%v), %s where it was asked for", mine, whyNotMine, theirs)
		}
		if whyNotMine == nil && whyNot != nil && mine > there {
			t.Fatalf("%s left where it was issued, and none where it was asked for: %v", mine, whyNot)
		}
	})
}

func TestGuardIsReadAsItWasWritten(t *testing.T) {
	file := GuardFile(filepath.Join(t.TempDir(), "ledger.db"))
	if _, err := ReadGuard(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nobody ever wrote it: %v", err)
	}
	g := Guard{PID: 7, Version: "v1", At: time.Now().UTC().Round(0), Clock: at(time.Hour), Doors: map[string]Look{"v": {State: "shut", Way: "core", Since: time.Hour}}}
	if err := g.Write(file); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadGuard(file); err != nil || !reflect.DeepEqual(got, g) {
		t.Errorf("read %+v, %v; written was %+v", got, err, g)
	}
	if err := os.WriteFile(file, []byte(`{"pid":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadGuard(file); err == nil {
		t.Error("a torn file was read")
	}
}
