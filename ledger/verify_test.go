package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"airlock/ledger/proof"
	"airlock/ledger/proof/notetest"

	"golang.org/x/mod/sumdb/note"
)

// teller writes what can have happened, with the evidence of it.
type teller struct {
	now     time.Time
	entries []Entry
	vault   string // whose door it is about
	system  string
}

// newTeller tells of one vault and one system.
func newTeller() *teller {
	return &teller{now: time.Date(2026, 3, 1, 2, 30, 0, 0, time.UTC), vault: "secondary", system: "imaging"}
}

func (s *teller) tell(e Entry) {
	s.now = s.now.Add(1100 * time.Millisecond)
	e.Time = s.now
	if e.Actor == "" {
		e.Actor, e.Reason = "schedule", `schedule "30 2 * * *" 夜間`
	}
	s.entries = append(s.entries, e)
}

func (s *teller) door(window, name, from, to, more string) {
	admin := 2
	if to == "open" {
		admin = 1
	}
	s.tell(Entry{
		Kind: KindDoor, Door: name, Vault: s.vault, Window: window, From: from, To: to,
		Detail: fmt.Appendf(nil, `{"reading":{"at":%q,"index":3,"admin":%d,"oper":2,"in_octets":18446744073709551615}%s}`, s.now.Format(time.RFC3339Nano), admin, more),
	})
}

func (s *teller) vaultDoor() string { return s.vault + "-door" }
func (s *teller) innerDoor() string { return s.vault + "-inner" }

// start tells how an executor begins.
func (s *teller) start() {
	s.tell(Entry{Kind: KindStart, Detail: []byte(`{"pid":7}`)})
	s.doors()
}

// doors tells how they are found.
func (s *teller) doors() {
	s.door("", s.vaultDoor(), "unknown", "shut", "")
	s.door("", s.innerDoor(), "unknown", "open", `,"side":"inner"`)
}

// night tells of one window, and of all that there is around it.
func (s *teller) night(n int) {
	const inner = `,"side":"inner"`
	id := fmt.Sprintf("w%d", n)
	s.tell(Entry{Kind: KindGather, System: s.system, To: "done", Detail: []byte(`{"files":11478,"text":"\\ \" \u2028"}`)})
	s.tell(Entry{Kind: KindWindow, Vault: s.vault, Window: id, To: "copying", Detail: []byte(`{"plan":{}}`)})
	s.door(id, s.innerDoor(), "open", "shutting", inner)
	s.door(id, s.innerDoor(), "shutting", "shut", inner)
	s.door(id, s.vaultDoor(), "shut", "opening", "")
	opened := s.now.Add(100 * time.Millisecond)
	s.tell(Entry{Kind: KindTimer, Door: s.vaultDoor(), Vault: s.vault, Window: id, To: "armed"})
	s.tell(Entry{Kind: KindSession, Detail: []byte(`{"sha256":"00"}`)})
	s.door(id, s.vaultDoor(), "opening", "open", "")
	s.door(id, s.vaultDoor(), "open", "shutting", "")
	s.door(id, s.vaultDoor(), "shutting", "shut", `,"exposure_seconds":3.6,"probe":"silent"`)
	s.tell(Entry{Kind: KindWindow, Vault: s.vault, Window: id, From: "copying", To: "done",
		Detail: fmt.Appendf(nil, `{"opened_at":%q,"proven_at":%q,"exposure_seconds":3.6}`, opened.Format(time.RFC3339Nano), s.now.Format(time.RFC3339Nano))})
	s.door(id, s.innerDoor(), "shut", "opening", inner)
	s.door(id, s.innerDoor(), "opening", "open", inner)
	for _, k := range Kinds() {
		switch k {
		case KindStart, KindDoor, KindWindow, KindGather, KindTimer, KindSession:
		case KindArchive:
			s.tell(Entry{Kind: k, Actor: "user root", Reason: "for the test", Detail: []byte(`{"archives":[]}`)})
		default:
			s.tell(Entry{Kind: k, Actor: "user root", Reason: "for the test", System: s.system})
		}
	}
}

// nights is what a ledger of about n entries holds.
func nights(n int) []Entry {
	s := newTeller()
	s.start()
	for night := 1; len(s.entries) < n; night++ {
		s.night(night)
		if night%4 == 0 {
			s.start()
		}
	}
	return s.entries
}

// subject is a ledger of every kind of entry with some heads, closed, as an attacker
// finds it.
type subject struct {
	path    string
	entries []Entry
	heads   []proof.Head
	outside proof.Head // the last
	signer  note.Signer
	keys    []note.Verifier
}

func newSubject(t testing.TB, n int) subject {
	t.Helper()
	signer, verifier := notetest.Keys(t, "kitano")
	s := subject{path: filepath.Join(t.TempDir(), "ledger.db"), signer: signer, keys: []note.Verifier{verifier}}
	l, err := Open(t.Context(), s.path, Options{Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range nights(n) {
		l.Note(e)
		if i%(n/4) == n/4-1 {
			if _, err := l.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s.outside, err = l.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.entries = list(t, &l.Reader, Filter{})
	if s.heads, err = l.Heads(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

// forge makes a ledger anew, as somebody would who can write to the file: the numbers
// run, and the tree is that of the entries.
func forge(t testing.TB, path string, entries []Entry, heads []proof.Head) {
	t.Helper()
	if err := create(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	rawSetup(t, path, func(db *sql.DB) error {
		hangRows(t, db, entries)
		for i, h := range heads {
			if _, err := db.Exec("INSERT INTO head (number, size, note) VALUES (?, ?, ?)", i+1, h.Size, h.Note); err != nil {
				return err
			}
		}
		return nil
	})
}

// hangRows writes entries with the tree over them, under the numbers that come next.
func hangRows(t testing.TB, db *sql.DB, entries []Entry) {
	t.Helper()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	w, err := newRows(tx)
	if err != nil {
		t.Fatal(err)
	}
	var edge proof.Edge
	for _, e := range entries {
		e.Seq = edge.Size() + 1
		if err := w.put(&e, &edge); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.close(), tx.Commit()); err != nil {
		t.Fatal(err)
	}
}

// leavesOf are the canonical forms of entries, under the numbers that belong there.
func leavesOf(t testing.TB, entries []Entry) (leaves [][]byte) {
	t.Helper()
	for i, e := range entries {
		e.Seq = int64(i + 1)
		leaf, err := proof.AppendLeaf(nil, &e)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leaf)
	}
	return leaves
}

// resign signs anew what entries have become.
func resign(t testing.TB, leaves [][]byte, heads []proof.Head, key note.Signer) []proof.Head {
	t.Helper()
	var edge proof.Edge
	var signed []proof.Head
	for _, h := range heads {
		for edge.Size() < h.Size {
			edge.Add(proof.LeafHash(leaves[edge.Size()]))
		}
		h, err := proof.SignHead(edge.Size(), edge.Root(), key)
		if err != nil {
			t.Fatal(err)
		}
		signed = append(signed, h)
	}
	return signed
}

// verdict is what verifying a ledger comes to: by itself, and by a head kept elsewhere.
func (s subject) verdict(t testing.TB, path string) (alone, withHead bool) {
	t.Helper()
	for _, outside := range [][]proof.Head{nil, {s.outside}} {
		r, err := OpenReader(t.Context(), path)
		found := err != nil
		if err == nil {
			report, err := r.Verify(t.Context(), s.keys, outside, nil)
			found = err != nil || !report.Sound()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if outside == nil {
			alone = found
		} else {
			withHead = found
		}
	}
	return alone, withHead
}

func (s subject) export(t testing.TB) []byte {
	t.Helper()
	r, err := OpenReader(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	err = r.ExportTo(t.Context(), &file, proof.Header{Site: "kitano", Made: time.Now(), By: "test"}, "kitano+key")
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestSoundLedgerVerifies(t *testing.T) {
	s := newSubject(t, 300)
	r, err := OpenReader(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	report, err := r.Verify(t.Context(), s.keys, []proof.Head{s.outside, s.heads[0]}, nil)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	exported, fromExport, err := proof.VerifyExport(t.Context(), bytes.NewReader(s.export(t)), proof.Options{Keys: s.keys, Outside: []proof.Head{s.outside, s.heads[0]}})
	if err != nil || exported.Header.Site != "kitano" || len(exported.Keys) != 1 {
		t.Errorf("the export is %+v, %v", exported, err)
	}
	n := int64(len(s.entries))
	for _, got := range []proof.Report{report, fromExport} {
		if !got.Sound() || got.Entries != n || got.Signed != n || got.Outside != n || got.Heads != len(s.heads) || got.Root != s.outside.Root {
			t.Errorf("verified: %+v", got)
		}
		if got.Windows < 10 || got.Openings != got.Windows || got.Exposure != time.Duration(got.Openings)*3600*time.Millisecond {
			t.Errorf("%d windows, %d openings, %s open", got.Windows, got.Openings, got.Exposure)
		}
		if len(got.Kinds) != len(Kinds()) {
			t.Errorf("not every kind is there: %v", got.Kinds)
		}
	}
	a, b := asJSON(t, report), asJSON(t, fromExport)
	if a != b {
		t.Errorf("the ledger comes to\n%s\nand its export to\n%s", a, b)
	}
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// S11: An older copy of the ledger that was put back is found by a head that was kept
// elsewhere, and only by that.
func TestReplay(t *testing.T) {
	s := newSubject(t, 300)
	l := open(t, s.path)
	mustAppend(t, l, nights(300)[3:40]...)
	later, err := l.Root(t.Context(), int64(len(s.entries)+37))
	if err != nil {
		t.Fatal(err)
	}
	now, err := proof.SignHead(int64(len(s.entries)+37), later, s.signer)
	if err != nil {
		t.Fatal(err)
	}
	older := filepath.Join(t.TempDir(), "ledger.db")
	forge(t, older, s.entries, s.heads)
	if alone, withHead := s.verdict(t, older); alone || withHead {
		t.Error("the older copy is not sound by its own heads")
	}
	s.outside = now
	if alone, withHead := s.verdict(t, older); alone || !withHead {
		t.Errorf("found alone: %v, by the newer head: %v; want false and true", alone, withHead)
	}
	r, err := OpenReader(t.Context(), older)
	if err != nil {
		t.Fatal(err)
	}
	var c *proof.Conflict
	if err := r.Against(t.Context(), now); !errors.As(err, &c) {
		t.Errorf("against the newer head: %v, want a conflict", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// One entry that cannot be read is a finding, beside which all others are checked.
func TestUnreadable(t *testing.T) {
	s := newSubject(t, 100)
	rawExec(t, s.path, "DROP TRIGGER entry_stays; PRAGMA ignore_check_constraints = ON; UPDATE entry SET late = 3 WHERE seq = 5; "+triggerText("entry_stays"))
	r, err := OpenReader(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if report, err := r.Verify(t.Context(), s.keys, nil, nil); err == nil && report.Sound() {
		t.Error("a value that the schema does not allow is not found")
	}
	items := r.items(t.Context(), 0, 10, nil)
	audit := proof.NewAudit(s.keys)
	err = audit.Run(t.Context(), oneBatch(items), nil)
	if report := audit.End(); err != nil || report.Entries != 10 || len(report.Findings) == 0 || report.Findings[0].Seq != 5 || report.Findings[0].Rule != "form" {
		t.Errorf("with an entry that cannot be read: %+v, %v", report, err)
	}
}

func TestVerifyIsCancelled(t *testing.T) {
	s := newSubject(t, 50)
	r, err := OpenReader(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := r.Verify(ctx, s.keys, nil, func(done, of int64) { cancel() }); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := r.Verify(ctx, s.keys, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
}
