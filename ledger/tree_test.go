package ledger

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"airlock/ledger/proof"
	"airlock/ledger/proof/notetest"
)

// S11: the tree stands in the ledger with its entries, whoever wrote them and however
// many at a time, and every head is one of it.
func TestTree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	signer, verifier := notetest.Keys(t, "kitano")
	var heads []proof.Head
	for run := range 3 {
		l, err := Open(t.Context(), path, Options{Signer: signer})
		if err != nil {
			t.Fatal(err)
		}
		other, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 40 {
			l.Note(at(n))
			if n%7 == run {
				mustAppend(t, other, at(n))
				mustAppend(t, l, at(n))
			}
			if n%9 == 0 {
				h, err := l.Checkpoint(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				heads = append(heads, h)
			}
		}
		if _, err := other.Checkpoint(t.Context()); !errors.Is(err, ErrNoKey) {
			t.Errorf("a head without a key: %v", err)
		}
		if err := errors.Join(l.Close(), other.Close()); err != nil {
			t.Fatal(err)
		}
	}
	l := open(t, path)
	var edge proof.Edge
	roots := []proof.Hash{edge.Root()}
	leaves := [][]byte{nil}
	for _, e := range list(t, &l.Reader, Filter{}) {
		leaf, err := proof.AppendLeaf(nil, &e)
		if err != nil {
			t.Fatal(err)
		}
		edge.Add(proof.LeafHash(leaf))
		roots, leaves = append(roots, edge.Root()), append(leaves, leaf)
	}
	kept, err := l.Heads(t.Context())
	if err != nil || fmt.Sprint(kept) != fmt.Sprint(heads) {
		t.Fatalf("the ledger keeps the heads %v, %v\nwant %v", kept, err, heads)
	}
	last, ok, err := l.LastHead(t.Context())
	if err != nil || !ok || last != heads[len(heads)-1] {
		t.Errorf("the last head is %v, %v, %v", last, ok, err)
	}
	newest := int64(len(roots) - 1)
	for _, h := range heads {
		if got, err := proof.OpenHead([]byte(h.Note), verifier); err != nil || got != h || h.Root != roots[h.Size] {
			t.Errorf("head %+v is read as %+v, %v; want the root %s", h, got, err, roots[h.Size])
		}
		if err := l.Against(t.Context(), h); err != nil {
			t.Error(err)
		}
		c, err := l.Proof(t.Context(), h.Size, newest)
		if err != nil || c.Check(h.Root, roots[newest]) != nil {
			t.Errorf("no proof from %d to %d: %v", h.Size, newest, err)
		}
		i, err := l.Inclusion(t.Context(), h.Size, newest)
		if err != nil || i.Check(roots[newest], leaves[h.Size]) != nil {
			t.Errorf("no proof of entry %d: %v", h.Size, err)
		}
	}
	fork := heads[2]
	fork.Root[0] ^= 1
	ahead := heads[2]
	ahead.Size = newest + 5
	for want, h := range map[string]proof.Head{"are others than": fork, "entries were removed": ahead} {
		var c *proof.Conflict
		if err := l.Against(t.Context(), h); !errors.As(err, &c) || !strings.Contains(c.Error(), want) {
			t.Errorf("against a head that is not its own: %v; want %q", err, want)
		}
	}
	if _, err := l.Proof(t.Context(), 1, newest+1); err == nil {
		t.Error("a proof of more entries than there are")
	}
	if _, err := l.Inclusion(t.Context(), 1, newest+1); err == nil {
		t.Error("a proof in more entries than there are")
	}
}

func TestCheckpointRepeated(t *testing.T) {
	signer, _ := notetest.Keys(t, "kitano")
	l, err := Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), Options{Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	for n := range 3 {
		for range 2 {
			h, err := l.Checkpoint(t.Context())
			if err != nil || h.Size != int64(n) {
				t.Errorf("a head of %d entries, %v; want %d", h.Size, err, n)
			}
		}
		l.Note(at(n)) // the head waits for it
	}
	if heads, err := l.Heads(t.Context()); err != nil || len(heads) != 3 {
		t.Errorf("%d heads, %v; want 3", len(heads), err)
	}
}

// oldLedger makes a ledger of schema version 1 with n entries.
func oldLedger(t testing.TB, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	rawSetup(t, path, func(db *sql.DB) error {
		if _, err := db.Exec("PRAGMA journal_mode = WAL; " + migrations()[0].schema +
			fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = 1", applicationID)); err != nil {
			return err
		}
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		for i := range n {
			e := canonical(at(i))
			columns := append([]any{i + 1, e.Time.UnixNano(), e.Time.UnixNano(), i%5 == 0}, words(e)...)
			if _, err := tx.Exec(`INSERT INTO entry (seq, time, recorded, late, kind, actor, reason, door, "window", system, vault, "from", "to", detail)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, columns...); err != nil {
				return errors.Join(err, tx.Rollback())
			}
		}
		return tx.Commit()
	})
	return path
}

func rawSetup(t testing.TB, path string, f func(*sql.DB) error) {
	t.Helper()
	db, err := connect(path, strings.Replace(forWriting, "mode=rw", "mode=rwc", 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f(db), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// A ledger from before there was a tree is taken over, with every entry as it was.
func TestOldLedger(t *testing.T) {
	for _, n := range []int{0, 1, 2*spanSize + 77} {
		path := oldLedger(t, n)
		if _, err := OpenReader(t.Context(), path); err == nil || !strings.Contains(err.Error(), "serve once") {
			t.Errorf("reading a ledger of version 1: %v", err)
		}
		l := open(t, path)
		mustAppend(t, l, at(n))
		var edge proof.Edge
		for i, e := range wantWhole(t, &l.Reader, n+1) {
			version := 1
			if i == n {
				version = 2
			}
			if e.Version != version || !e.Time.Equal(at(i).Time) || e.Late != (i%5 == 0 && i < n) || i < n && e.Run+string(e.Clock) != "" {
				t.Fatalf("entry %d is %+v", i+1, e)
			}
			leaf, err := proof.AppendLeaf(nil, &e)
			if err != nil {
				t.Fatal(err)
			}
			edge.Add(proof.LeafHash(leaf))
		}
		if root, err := l.Root(t.Context(), int64(n+1)); err != nil || root != edge.Root() {
			t.Errorf("the root of %d entries is %s, %v; want %s", n+1, root, err, edge.Root())
		}
		if again := list(t, &l.Reader, Filter{Since: at(n).Time}); len(again) != 1 {
			t.Errorf("%d entries since the last, want 1", len(again))
		}
	}
}

// S11: what was changed at the end of the ledger shows when it is opened.
func TestChangedEndIsRefused(t *testing.T) {
	for name, statement := range map[string]string{
		"an entry":     "DROP TRIGGER entry_stays; UPDATE entry SET reason = 'another' WHERE seq = 49; " + triggerText("entry_stays"),
		"its time":     "DROP TRIGGER entry_stays; UPDATE entry SET recorded = recorded + 1 WHERE seq = 50; " + triggerText("entry_stays"),
		"a hash":       "DROP TRIGGER tree_stays; UPDATE tree SET hashes = zeroblob(32) WHERE seq = 49; " + triggerText("tree_stays"),
		"no last hash": "DROP TRIGGER tree_is_kept; DELETE FROM tree WHERE seq = 50; " + triggerText("tree_is_kept"),
		"no last entry": "DROP TRIGGER entry_is_kept; DROP TRIGGER tree_is_kept; DELETE FROM entry WHERE seq = 50; DELETE FROM tree WHERE seq = 50; " +
			triggerText("entry_is_kept") + triggerText("tree_is_kept"),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger.db")
			signer, _ := notetest.Keys(t, "kitano")
			l, err := Open(t.Context(), path, Options{Signer: signer})
			if err != nil {
				t.Fatal(err)
			}
			for n := range 50 {
				mustAppend(t, l, at(n))
			}
			if _, err := l.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			rawExec(t, path, statement)
			wantRefused(t, path)
		})
	}
}

// fakeClock is set by hand.
type fakeClock struct {
	mu sync.Mutex
	ClockReading
}

func (c *fakeClock) Read() ClockReading {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ClockReading
}

// pass lets steady time pass, and sets the wall clock by step beside.
func (c *fakeClock) pass(steady, step time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Wall, c.Steady = c.Wall.Add(steady+step), c.Steady+steady
}

func TestClockSteps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	clock := &fakeClock{ClockReading: ClockReading{Wall: at(0).Time, Steady: time.Hour, State: proof.ClockSynced, Error: time.Millisecond}}
	var before int64
	write := func(wants ...string) {
		t.Helper()
		l, err := Open(t.Context(), path, Options{Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, step := range []time.Duration{0, 900 * time.Millisecond, -time.Hour, 0, 90 * time.Second} {
			clock.pass(48*time.Hour, step)
			l.Note(Entry{Time: clock.Read().Wall, Kind: KindAlarm, Actor: "test"})
			if err := l.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, e := range list(t, &l.Reader, Filter{AfterSeq: before}) {
			got, before = append(got, strings.TrimSpace(string(e.Kind)+" "+e.Reason)), e.Seq
			if e.Clock != proof.ClockSynced || e.ClockError != time.Millisecond || e.Mono > 10*24*time.Hour || e.Recorded != e.Time {
				t.Errorf("stamped: %+v", e)
			}
		}
		if strings.Join(got, "\n") != strings.Join(wants, "\n") {
			t.Errorf("the ledger says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(wants, "\n"))
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	const back, forth = "clock the wall clock was stepped by -3600.000 s", "clock the wall clock was stepped by +90.000 s"
	write("alarm", "alarm", back, "alarm", "alarm", forth, "alarm")
	clock.pass(0, -20*time.Second)
	write("clock the wall clock is behind the last entry of the run before by -20.000 s", "alarm", "alarm", back, "alarm", "alarm", forth, "alarm")
}
