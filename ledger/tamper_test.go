package ledger

import (
	"database/sql"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"airlock/ledger/proof"
	"airlock/ledger/proof/notetest"
)

// exhaustive has the tests below try every bit and every place of a ledger of 300
// entries, and those of faults every system call: make exhaustive. Otherwise they try
// a selection, in a ledger that is shorter and has every kind of entry all the same.
func exhaustive() bool { return os.Getenv("AIRLOCK_EXHAUSTIVE") != "" }

// among is how many entries the ledger has that is tampered with.
func among() int {
	if exhaustive() {
		return 300
	}
	return 60
}

// manyStatements keeps Verify's statements prepared: compiling them is most of the time
// that it takes of a short ledger.
const manyStatements = "_stmt_cache_size=64&"

// columns of an entry that a person or a program gave it.
func columns() []string {
	return []string{"seq", "time", "recorded", "late", "kind", "actor", "reason", "door", `"window"`, "system", "vault", `"from"`, `"to"`, "detail", "v", "run", "mono", "clock", "clock_error"}
}

// changed is a value of the database as it is, and the values it is changed to.
type changed struct {
	is     any
	others []any
}

// flips are the values that a stored one becomes by one bit: by every bit of it if
// stride is 1, by one of each byte if it is 8, of every third byte of a text if it is 24.
func flips(is any, stride int) changed {
	c := changed{is: is}
	switch is := is.(type) {
	case int64:
		for bit := range 64 {
			if stride == 1 || bit%8 == bit/8 {
				c.others = append(c.others, is^1<<bit)
			}
		}
	case []byte: // a text or a blob
		for bit := range 8 * len(is) {
			if stride == 1 || bit%stride == bit/8%8 {
				flipped := slices.Clone(is)
				flipped[bit/8] ^= 1 << (bit % 8)
				c.others = append(c.others, flipped)
			}
		}
	case nil:
		c.others = []any{[]byte{}}
	}
	return c
}

// field reads a value, a text as its bytes.
func field(t testing.TB, db *sql.DB, table, column, where string) (is any) {
	t.Helper()
	err := db.QueryRow("SELECT CASE typeof(" + column + ") WHEN 'text' THEN CAST(" + column + " AS BLOB) ELSE " + column + " END FROM " + table + where).Scan(&is)
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// setter changes a value, behind the back of the triggers.
func setter(t testing.TB, db *sql.DB, table, column, where string) func(any) {
	t.Helper()
	value := "CASE typeof(?1) WHEN 'blob' THEN CAST(?1 AS TEXT) ELSE ?1 END"
	switch column {
	case "hashes":
		value = "?1"
	case "time", "recorded", "late", "v", "mono", "clock_error", "seq", "size":
		value = "CASE typeof(?1) WHEN 'blob' THEN 1 ELSE ?1 END"
	}
	set, err := db.Prepare("UPDATE " + table + " SET " + column + " = " + value + where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return func(v any) {
		t.Helper()
		if _, err := set.Exec(v); err != nil {
			t.Fatal(err)
		}
	}
}

// unlock takes the triggers and checks away that hold the rows.
func unlock(t testing.TB, db *sql.DB) {
	t.Helper()
	drop := "PRAGMA ignore_check_constraints = ON; PRAGMA synchronous = OFF"
	for _, table := range []string{"entry", "tree", "head", "span"} {
		drop += "; DROP TRIGGER " + table + "_stays"
	}
	if _, err := db.Exec(drop); err != nil {
		t.Fatal(err)
	}
}

// S11: A changed entry is found by Verify, without a head from elsewhere: every bit of
// every byte that is stored of it. Each entry stands in a ledger of its own in memory,
// so that there is nothing else to look at; since its story has no beginning there, only
// findings about bytes count.
func TestEveryBitOfAnEntry(t *testing.T) {
	entries := newSubject(t, among()).entries
	seen := map[Kind]int{}
	var changes atomic.Int64
	t.Run("of", func(t *testing.T) {
		for _, e := range entries {
			if seen[e.Kind]++; exhaustive() || seen[e.Kind] == 1 {
				t.Run(fmt.Sprintf("%d-%s", e.Seq, e.Kind), func(t *testing.T) {
					t.Parallel()
					changes.Add(flipEntry(t, e))
				})
			}
		}
	})
	t.Logf("%d changes of %d entries", changes.Load(), len(entries))
	if len(seen) != len(Kinds()) {
		t.Errorf("there are entries of the kinds %v only", seen)
	}
}

// flipEntry tries to change e, and returns in how many ways.
func flipEntry(t *testing.T, e Entry) (changes int64) {
	t.Helper()
	r, db := alone(t, e)
	found := func() bool {
		t.Helper()
		report, err := r.Verify(t.Context(), nil, nil, nil)
		return err != nil || slices.ContainsFunc(report.Findings, func(f proof.Finding) bool {
			return f.Grave && slices.Contains([]string{"form", "number", "tree", "file"}, f.Rule)
		})
	}
	if found() {
		t.Fatal("before anything is changed, something is found")
	}
	stride := 24
	if exhaustive() {
		stride = 1
	}
	for table, names := range map[string][]string{"entry": columns(), "tree": {"seq", "hashes"}} {
		for _, column := range names {
			c := flips(field(t, db, table, column, ""), stride)
			set := setter(t, db, table, column, "")
			changes += int64(len(c.others))
			for n, other := range c.others {
				if set(other); !found() {
					t.Errorf("%s is %q instead of %q (change %d), and nothing is found", column, other, c.is, n)
				}
			}
			set(c.is)
		}
	}
	if found() {
		t.Error("after all was put back, something is found")
	}
	return changes
}

// alone makes a ledger of one entry, in memory.
func alone(t testing.TB, e Entry) (*Reader, *sql.DB) {
	t.Helper()
	db, err := connect(":memory:", manyStatements+forWriting)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := migrate(t.Context(), db, 0); err != nil {
		t.Fatal(err)
	}
	hangRows(t, db, []Entry{e})
	unlock(t, db)
	return &Reader{path: "memory", db: db}, db
}

// S11: A changed row is found in the file itself, by Verify: one bit of each entry, in
// each column in turn, each byte of hashes and heads, and of the times that find entries.
func TestChangedRows(t *testing.T) {
	s := newSubject(t, among())
	chance := rand.New(rand.NewPCG(3, 4))
	db, err := connect(s.path, manyStatements+forWriting)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	unlock(t, db)
	r := &Reader{path: s.path, db: db}
	sound := func() bool {
		t.Helper()
		report, err := r.Verify(t.Context(), s.keys, nil, nil)
		return err == nil && report.Sound()
	}
	if !sound() {
		t.Fatal("before anything is changed, it is not sound")
	}
	// try changes a value to some of what it can be flipped to; 0: all.
	try := func(table, key string, number int, column string, some int) {
		t.Helper()
		where := fmt.Sprintf(" WHERE %s = %d", key, number)
		c := flips(field(t, db, table, column, where), 8)
		if len(c.others) > some && some > 0 {
			chance.Shuffle(len(c.others), func(i, j int) { c.others[i], c.others[j] = c.others[j], c.others[i] })
			c.others = c.others[:some]
		}
		set := setter(t, db, table, column, where)
		for _, other := range c.others {
			if set(other); sound() {
				t.Errorf("%s %d: %s was %v and is %v, and nothing is found", table, number, column, c.is, other)
			}
		}
		set(c.is)
	}
	some := 1
	if exhaustive() {
		some = 0
	}
	for i := range s.entries {
		try("entry", "seq", i+1, columns()[1+i%18], 1)
		try("tree", "seq", i+1, "hashes", some)
	}
	for i := range s.heads {
		try("head", "number", i+1, "note", 10*some)
		try("head", "number", i+1, "size", 0)
	}
	if !sound() {
		t.Fatal("after all was put back, it is not sound")
	}
}

// S11: A removed, inserted, changed, swapped or cut off entry is found, at every place,
// also when the numbers and the tree were made anew; when the heads were signed anew
// with the site's own key, by a head that was kept elsewhere, and only by that.
func TestForgeries(t *testing.T) {
	s := newSubject(t, among())
	n := len(s.entries)
	for name, c := range map[string]struct {
		places int
		forged func(at int) []Entry
	}{
		"removal":   {n, func(at int) []Entry { return slices.Delete(slices.Clone(s.entries), at, at+1) }},
		"insertion": {n + 1, func(at int) []Entry { return slices.Insert(slices.Clone(s.entries), at, s.entries[7]) }},
		"change": {n, func(at int) []Entry {
			all := slices.Clone(s.entries)
			all[at].Reason += " "
			return all
		}},
		"truncation": {n, func(at int) []Entry { return s.entries[:at] }},
		"swap": {n - 1, func(at int) []Entry {
			all := slices.Clone(s.entries)
			all[at], all[at+1] = all[at+1], all[at]
			return all
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := range c.places {
				if exhaustive() || at%5 == 0 {
					forgeAt(t, s, name, at, c.forged(at))
				}
			}
		})
	}
}

// forgeAt tries the forgery with every way to sign it; some also as a file.
func forgeAt(t *testing.T, s subject, name string, at int, forged []Entry) {
	t.Helper()
	stranger, _ := notetest.Keys(t, "kitano")
	leaves := leavesOf(t, forged)
	items := itemsOf(leaves)
	fitting := slices.DeleteFunc(slices.Clone(s.heads), func(h proof.Head) bool { return h.Size > int64(len(forged)) })
	for how, heads := range map[string][]proof.Head{
		"heads kept":             s.heads,
		"heads that fit kept":    fitting,
		"signed with own key":    resign(t, leaves, fitting, s.signer),
		"signed with a stranger": resign(t, leaves, fitting, stranger),
	} {
		byItself, withHead := s.judge(t, items, heads)
		if at%100 == 50 {
			path := filepath.Join(t.TempDir(), "ledger.db")
			forge(t, path, forged, heads)
			if a, w := s.verdict(t, path); a != byItself || w != withHead {
				t.Errorf("%s at %d, %s: the file is judged %v, %v, and its entries %v, %v", name, at, how, a, w, byItself, withHead)
			}
		}
		if !withHead {
			t.Errorf("%s at %d, %s: not found", name, at, how)
		}
		if (how == "heads kept" || how == "signed with a stranger" && len(fitting) > 0) && !byItself {
			t.Errorf("%s at %d, %s: found only by the head from elsewhere", name, at, how)
		}
		// A story that is as good as the true one needs the head from elsewhere.
		if how == "signed with own key" && name == "change" && byItself {
			t.Errorf("%s at %d, %s: found without the head from elsewhere", name, at, how)
		}
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
