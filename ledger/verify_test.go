package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/ledger/proof"

	"golang.org/x/mod/sumdb/note"
)

// teller writes what can have happened, with the evidence of it.
type teller struct {
	now     time.Time
	entries []Entry
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
		Kind: KindDoor, Door: name, Vault: "secondary", Window: window, From: from, To: to,
		Detail: fmt.Appendf(nil, `{"reading":{"at":%q,"index":3,"admin":%d,"oper":2,"in_octets":18446744073709551615}%s}`, s.now.Format(time.RFC3339Nano), admin, more),
	})
}

// start tells how an executor begins.
func (s *teller) start() {
	s.tell(Entry{Kind: KindStart, Detail: []byte(`{"pid":7}`)})
	s.door("", "vault-door", "unknown", "shut", "")
	s.door("", "inner-door", "unknown", "open", `,"side":"inner"`)
}

// night tells of one window, and of all that there is around it.
func (s *teller) night(n int) {
	const inner = `,"side":"inner"`
	id := fmt.Sprintf("w%d", n)
	s.tell(Entry{Kind: KindGather, System: "imaging", To: "done", Detail: []byte(`{"files":11478,"text":"\\ \" \u2028"}`)})
	s.tell(Entry{Kind: KindWindow, Vault: "secondary", Window: id, To: "copying", Detail: []byte(`{"plan":{}}`)})
	s.door(id, "inner-door", "open", "shutting", inner)
	s.door(id, "inner-door", "shutting", "shut", inner)
	s.door(id, "vault-door", "shut", "opening", "")
	opened := s.now.Add(100 * time.Millisecond)
	s.tell(Entry{Kind: KindTimer, Door: "vault-door", Vault: "secondary", Window: id, To: "armed"})
	s.tell(Entry{Kind: KindSession, Detail: []byte(`{"sha256":"00"}`)})
	s.door(id, "vault-door", "opening", "open", "")
	s.door(id, "vault-door", "open", "shutting", "")
	s.door(id, "vault-door", "shutting", "shut", `,"exposure_seconds":3.6,"probe":"silent"`)
	s.tell(Entry{Kind: KindWindow, Vault: "secondary", Window: id, From: "copying", To: "done",
		Detail: fmt.Appendf(nil, `{"opened_at":%q,"proven_at":%q,"exposure_seconds":3.6}`, opened.Format(time.RFC3339Nano), s.now.Format(time.RFC3339Nano))})
	s.door(id, "inner-door", "shut", "opening", inner)
	s.door(id, "inner-door", "opening", "open", inner)
	for _, k := range Kinds() {
		switch k {
		case KindStart, KindDoor, KindWindow, KindGather, KindTimer, KindSession:
		default:
			s.tell(Entry{Kind: k, Actor: "user root", Reason: "for the test", System: "imaging"})
		}
	}
}

// nights is what a ledger of about n entries holds.
func nights(n int) []Entry {
	s := teller{now: time.Date(2026, 3, 1, 2, 30, 0, 0, time.UTC)}
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
	signer, verifier := newKey(t)
	s := subject{path: filepath.Join(t.TempDir(), "ledger.db"), signer: signer, keys: []note.Verifier{verifier}}
	l, err := Open(t.Context(), s.path, Options{Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range nights(n) {
		l.Note(e)
		if i%70 == 69 {
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
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		w, err := newRows(tx)
		if err != nil {
			return err
		}
		var edge proof.Edge
		for _, e := range entries {
			e.Seq = edge.Size() + 1
			if err := w.put(&e, &edge); err != nil {
				return err
			}
		}
		for i, h := range heads {
			if _, err := tx.Exec("INSERT INTO head (number, size, note) VALUES (?, ?, ?)", i+1, h.Size, h.Note); err != nil {
				return err
			}
		}
		return errors.Join(w.close(), tx.Commit())
	})
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

// columns of an entry, but for its number, with what SQLite keeps in them.
func columns() []string {
	return []string{"time", "recorded", "late", "kind", "actor", "reason", "door", `"window"`, "system", "vault", `"from"`, `"to"`, "detail", "v", "run", "mono", "clock", "clock_error", "seq"}
}

// S11: A changed entry is found: every bit of every byte that is stored of every entry,
// by the hash that is stored beside it, without a head from elsewhere.
func TestEveryBitOfARow(t *testing.T) {
	s := newSubject(t, 300)
	db, err := connect(":memory:", forWriting)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := db.Exec("CREATE TABLE entry (seq ANY, " + strings.Join(columns()[:18], " ANY, ") + " ANY) STRICT"); err != nil {
		t.Fatal(err)
	}
	flips := 0
	for i, e := range s.entries {
		if (sparse || testing.Short()) && i%10 != 0 {
			continue
		}
		leaf, err := proof.AppendLeaf(nil, &e)
		if err != nil {
			t.Fatal(err)
		}
		flips += flipRow(t, db, e, proof.LeafHash(leaf))
	}
	t.Logf("%d bits of %d entries", flips, len(s.entries))
	if !sparse && !testing.Short() && flips < 1000*len(s.entries) {
		t.Errorf("only %d bits were tried", flips)
	}
}

// flipRow tries every bit of e's row, and returns how many those are.
func flipRow(t *testing.T, db *sql.DB, e Entry, written proof.Hash) (flips int) {
	t.Helper()
	if _, err := db.Exec("DELETE FROM entry"); err != nil {
		t.Fatal(err)
	}
	values := append([]any{e.Seq, e.Time.UnixNano(), e.Recorded.UnixNano(), e.Late}, words(e)...)
	values = append(values, e.Version, null(e.Run), int64(e.Mono), string(e.Clock), int64(e.ClockError))
	if _, err := db.Exec(insertEntry, values...); err != nil {
		t.Fatal(err)
	}
	read, err := db.Prepare(selectEntry)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	same := func() bool {
		rows, err := read.Query()
		if err != nil {
			return false
		}
		got, err := collect(rows)
		if err != nil || len(got) != 1 {
			return false
		}
		leaf, err := proof.AppendLeaf(nil, &got[0])
		return err == nil && proof.LeafHash(leaf) == written
	}
	if !same() {
		t.Fatalf("entry %d is not read as it was written", e.Seq)
	}
	for _, column := range columns() {
		update, err := db.Prepare("UPDATE entry SET " + column + " = CASE typeof(?1) WHEN 'blob' THEN CAST(?1 AS TEXT) ELSE ?1 END")
		if err != nil {
			t.Fatal(err)
		}
		var is any
		if err := db.QueryRow("SELECT CASE typeof(" + column + ") WHEN 'text' THEN CAST(" + column + " AS BLOB) ELSE " + column + " END FROM entry").Scan(&is); err != nil {
			t.Fatal(err)
		}
		try := func(bit int, v any) {
			flips++
			if _, err := update.Exec(v); err != nil {
				t.Fatal(err)
			}
			if same() {
				t.Errorf("entry %d: bit %d of %s is not covered", e.Seq, bit, column)
			}
		}
		switch is := is.(type) {
		case int64:
			for bit := range 64 {
				try(bit, is^1<<bit)
			}
		case []byte:
			for bit := range 8 * len(is) {
				flipped := slices.Clone(is)
				flipped[bit/8] ^= 1 << (bit % 8)
				try(bit, flipped)
			}
		}
		if _, err := update.Exec(is); err != nil {
			t.Fatal(err)
		}
		if err := update.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return flips
}

// S11: A changed entry is found in the file itself, by Verify: one bit of each entry,
// in each column in turn, and of each row of hashes, times and heads.
func TestChangedRows(t *testing.T) {
	s := newSubject(t, 300)
	chance := rand.New(rand.NewPCG(3, 4))
	db, err := connect(s.path, forWriting)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	drop := "PRAGMA ignore_check_constraints = ON"
	for _, table := range []string{"entry", "tree", "head", "span"} {
		drop += "; DROP TRIGGER " + table + "_stays"
	}
	if _, err := db.Exec(drop); err != nil {
		t.Fatal(err)
	}
	r := &Reader{path: s.path, db: db}
	if report, err := r.Verify(t.Context(), s.keys, nil, nil); err != nil || !report.Sound() {
		t.Fatalf("before anything is changed: %+v, %v", report, err)
	}
	try := func(table, key string, seq int64, column string) {
		t.Helper()
		where := fmt.Sprintf(" WHERE %s = %d", key, seq)
		var is any
		if err := db.QueryRow("SELECT CASE typeof(" + column + ") WHEN 'text' THEN CAST(" + column + " AS BLOB) ELSE " + column + " END FROM " + table + where).Scan(&is); err != nil {
			t.Fatal(err)
		}
		var other any = ""
		switch is := is.(type) {
		case int64:
			other = is ^ 1<<chance.IntN(63)
		case []byte:
			flipped := slices.Clone(is)
			flipped[chance.IntN(len(flipped))] ^= 1 << chance.IntN(8)
			other = flipped
		}
		set := "UPDATE " + table + " SET " + column + " = CASE WHEN typeof(?1) = 'blob' AND ?2 THEN CAST(?1 AS TEXT) ELSE ?1 END" + where
		if _, err := db.Exec(set, other, column != "hashes"); err != nil {
			t.Fatal(err)
		}
		report, err := r.Verify(t.Context(), s.keys, nil, nil)
		if err == nil && report.Sound() {
			t.Errorf("%s %d: %s was %v and is %v, and nothing is found", table, seq, column, is, other)
		}
		if _, err := db.Exec(set, is, column != "hashes"); err != nil {
			t.Fatal(err)
		}
	}
	for i, e := range s.entries {
		if (sparse || testing.Short()) && i%10 != 0 {
			continue
		}
		for c := range 2 {
			try("entry", "seq", e.Seq, columns()[(2*i+c)%18])
		}
		try("tree", "seq", e.Seq, "hashes")
	}
	for i := range s.heads {
		try("head", "number", int64(i+1), "note")
		try("head", "number", int64(i+1), "size")
	}
	if report, err := r.Verify(t.Context(), s.keys, nil, nil); err != nil || !report.Sound() {
		t.Fatalf("after all was put back: %+v, %v", report, err)
	}
}

// S11: A removed, inserted, swapped or cut off entry is found, also when the numbers and
// the tree were made anew; when the heads were signed anew with the site's own key, by a
// head that was kept elsewhere, and only by that.
func TestForgeries(t *testing.T) {
	s := newSubject(t, 300)
	stranger, _ := newKey(t)
	n := len(s.entries)
	changed := func(at int) []Entry {
		all := slices.Clone(s.entries)
		all[at].Reason += " "
		return all
	}
	for name, c := range map[string]struct {
		places int
		forged func(at int) []Entry
	}{
		"removal":    {n, func(at int) []Entry { return slices.Delete(slices.Clone(s.entries), at, at+1) }},
		"insertion":  {n + 1, func(at int) []Entry { return slices.Insert(slices.Clone(s.entries), at, s.entries[7]) }},
		"change":     {n, changed},
		"truncation": {n, func(at int) []Entry { return s.entries[:at] }},
		"swap": {n - 1, func(at int) []Entry {
			all := slices.Clone(s.entries)
			all[at], all[at+1] = all[at+1], all[at]
			return all
		}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger.db")
			for at := range c.places {
				if (sparse || testing.Short()) && at%10 != 0 {
					continue
				}
				forged := c.forged(at)
				leaves := leavesOf(t, forged)
				items := itemsOf(leaves)
				fitting := slices.DeleteFunc(slices.Clone(s.heads), func(h proof.Head) bool { return h.Size > int64(len(forged)) })
				for how, heads := range map[string][]proof.Head{
					"heads kept":             s.heads,
					"heads that fit kept":    fitting,
					"signed with own key":    resign(t, leaves, fitting, s.signer),
					"signed with a stranger": resign(t, leaves, fitting, stranger),
				} {
					alone, withHead := s.judge(t, items, heads)
					if at%100 == 50 { // and as a file
						forge(t, path, forged, heads)
						if a, w := s.verdict(t, path); a != alone || w != withHead {
							t.Errorf("%s at %d, %s: the file is judged %v, %v, and its entries %v, %v", name, at, how, a, w, alone, withHead)
						}
						removeLedger(t, path)
					}
					if !withHead {
						t.Errorf("%s at %d, %s: not found", name, at, how)
					}
					if (how == "heads kept" || how == "signed with a stranger" && len(fitting) > 0) && !alone {
						t.Errorf("%s at %d, %s: found only by the head from elsewhere", name, at, how)
					}
					// A story that is as good as the true one needs the head from elsewhere.
					if how == "signed with own key" && name == "change" && alone {
						t.Errorf("%s at %d, %s: found without the head from elsewhere", name, at, how)
					}
				}
			}
		})
	}
}

// judge is verdict for entries and heads that are in no file.
func (s subject) judge(t testing.TB, entries []proof.Item, heads []proof.Head) (alone, withHead bool) {
	t.Helper()
	items := make([]proof.Item, 0, len(entries)+len(heads))
	for i := 0; ; i++ {
		for ; len(heads) > 0 && (heads[0].Size <= int64(i) || i == len(entries)); heads = heads[1:] {
			items = append(items, proof.ItemOfHead([]byte(heads[0].Note)))
		}
		if i == len(entries) {
			break
		}
		items = append(items, entries[i])
	}
	audit := proof.NewAudit(s.keys, s.outside)
	if err := audit.Run(t.Context(), oneBatch(items), nil); err != nil {
		t.Fatal(err)
	}
	report := audit.End()
	alone = slices.ContainsFunc(report.Findings, func(f proof.Finding) bool { return f.Grave && f.Rule != "outside head" })
	return alone, !report.Sound()
}

func itemsOf(leaves [][]byte) (items []proof.Item) {
	for _, leaf := range leaves {
		items = append(items, proof.ItemOfLeaf(leaf))
	}
	return items
}

func oneBatch(items []proof.Item) iter.Seq2[func() []proof.Item, error] {
	return func(yield func(func() []proof.Item, error) bool) { yield(func() []proof.Item { return items }, nil) }
}

func removeLedger(t testing.TB, path string) {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
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
	rawExec(t, s.path, "DROP TRIGGER entry_stays; PRAGMA ignore_check_constraints = ON; UPDATE entry SET late = 3 WHERE seq = 5; "+trigger("entry_stays"))
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
