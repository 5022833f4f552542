package ledger

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"time"

	"airlock/ledger/proof"

	"golang.org/x/mod/sumdb/note"
)

// verifyPage is how many entries are read and checked together.
const verifyPage = 1024

// Verify looks at the whole ledger, as it stands when it begins: SQLite's own structure,
// every entry and what its hash was when it was written, every head, by one of keys, and
// whether what the entries tell can have happened. outside are heads that were kept
// elsewhere, whose signatures the caller has checked: without them, who can write to the
// file and has the key could have made all of it anew. progress, which may be nil, is
// told how many entries were checked. The error is about the looking, and ErrDamaged if
// SQLite itself cannot make sense of the file; what is wrong with the ledger otherwise
// stands in the report.
func (r *Reader) Verify(ctx context.Context, keys []note.Verifier, outside []proof.Head, progress func(done, of int64)) (proof.Report, error) {
	n, err := r.verifiable(ctx)
	if err != nil {
		return proof.Report{}, err
	}
	archived, err := r.archivedWhole(ctx)
	if err != nil {
		return proof.Report{}, err
	}
	// SQLite's look at its structure takes as long as ours at the entries, beside it.
	structure := make(chan error, 1)
	go func() { structure <- r.integrity(ctx) }()
	report, err := r.audit(ctx, proof.NewAudit(keys, outside...), archived, n, progress)
	if damage := <-structure; damage != nil && (err == nil || errors.Is(damage, ErrDamaged)) {
		return report, damage
	}
	if err != nil {
		return report, explain(r.path, err)
	}
	extra, err := r.odd(ctx, archivedTo(archived), n)
	for _, f := range extra {
		report.Findings, report.Grave = append(report.Findings, f), report.Grave+1
	}
	return report, err
}

// audit looks at the entries up to n, and the heads.
func (r *Reader) audit(ctx context.Context, a *proof.Audit, archived []Archive, n int64, progress func(done, of int64)) (proof.Report, error) {
	err := a.Run(ctx, r.parts(ctx, archived, n), func(done int64) {
		if progress != nil {
			progress(done, n)
		}
	})
	a.Until(time.Now())
	return a.End(), err
}

// integrity has SQLite look at its structure and its indexes.
func (r *Reader) integrity(ctx context.Context) error {
	var finding string
	if err := r.db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&finding); err != nil {
		return explain(r.path, err)
	}
	if finding != "ok" {
		return damaged(r.path, errors.New(finding))
	}
	return nil
}

// verifiable is the greatest number that an entry, or the hash of one, has.
func (r *Reader) verifiable(ctx context.Context) (n int64, err error) {
	err = r.db.QueryRowContext(ctx, "SELECT max((SELECT ifnull(max(seq), 0) FROM entry), (SELECT ifnull(max(seq), 0) FROM tree))").Scan(&n)
	if err != nil {
		return 0, explain(r.path, err)
	}
	return n, nil
}

// archivedWhole are the archives, unless hashes of what is in there are missing: then
// the entries are, too.
func (r *Reader) archivedWhole(ctx context.Context) ([]Archive, error) {
	all, err := r.Archives(ctx)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	var rows int64
	if err := r.db.QueryRowContext(ctx, "SELECT count(*) FROM tree WHERE seq BETWEEN 1 AND ?", archivedTo(all)).Scan(&rows); err != nil {
		return nil, explain(r.path, err)
	}
	if rows != archivedTo(all) {
		return nil, nil
	}
	return all, nil
}

// parts are the entries up to n, page by page, and the heads among them; first those
// that are archived.
func (r *Reader) parts(ctx context.Context, archived []Archive, n int64) iter.Seq2[func() []proof.Item, error] {
	return func(yield func(func() []proof.Item, error) bool) {
		cuts, err := r.cuts(ctx, n)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, a := range archived {
			if cuts, err = r.archivedParts(ctx, a, cuts, yield); err != nil {
				return
			}
		}
		for low := archivedTo(archived); low < n || len(cuts) > 0; {
			if low, err = r.skip(ctx, low, n); err != nil {
				yield(nil, err)
				return
			}
			var here []head
			from, to := low, min(low+verifyPage, n)
			to, here, cuts = cut(from, to, cuts)
			if !yield(func() []proof.Item { return r.items(ctx, from, to, here) }, nil) {
				return
			}
			low = to
		}
	}
}

// cut ends a page where a head belongs, and takes those heads off.
func cut(low, high int64, heads []head) (int64, []head, []head) {
	n := 0
	if len(heads) > 0 && heads[0].size <= high {
		high = max(heads[0].size, low)
		for n < len(heads) && heads[n].size <= high {
			n++
		}
	}
	return high, heads[:n], heads[n:]
}

// skip is the number before the next entry after low, if there is none on the next
// page: in a ledger that was tampered with, it may be far away.
func (r *Reader) skip(ctx context.Context, low, n int64) (int64, error) {
	var next int64
	err := r.db.QueryRowContext(ctx, "SELECT ifnull(min(seq) - 1, ?2) FROM entry WHERE seq > ?1", low, n).Scan(&next)
	if err != nil || next-low < verifyPage {
		return low, err
	}
	return next, nil
}

// head is a row of the table of heads.
type head struct {
	size int64
	note []byte
}

// cuts are the heads by size; one of more than n entries is put at the end, where an
// audit finds it out of place.
func (r *Reader) cuts(ctx context.Context, n int64) ([]head, error) {
	rows, err := r.db.QueryContext(ctx, "SELECT min(size, ?), CAST(note AS BLOB) FROM head WHERE size <= ? OR size > (SELECT ifnull(max(seq), 0) FROM entry) ORDER BY 1, number", n, n)
	if err != nil {
		return nil, err
	}
	var all []head
	for rows.Next() {
		var h head
		if err := rows.Scan(&h.size, &h.note); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		all = append(all, h)
	}
	return all, errors.Join(rows.Err(), rows.Close())
}

// errEnough says that whoever was given parts wants no more.
var errEnough = errors.New("enough")

// archivedParts are the entries of an archive. Of those that the file does not give, the
// stored hashes have to do.
func (r *Reader) archivedParts(ctx context.Context, a Archive, heads []head, yield func(func() []proof.Item, error) bool) ([]head, error) {
	next, stop := iter.Pull2(a.leaves(ArchiveDir(r.path)))
	defer stop()
	var trouble error
	for low := a.First - 1; low < a.Last; {
		var here []head
		from, to := low, min(low+verifyPage, a.Last)
		to, here, heads = cut(from, to, heads)
		var leaves [][]byte
		for trouble == nil && int64(len(leaves)) < to-from {
			leaf, err, more := next()
			if trouble = err; err == nil && more {
				leaves = append(leaves, leaf)
			} else if err == nil {
				trouble = errSealed
			}
		}
		if !yield(func() []proof.Item { return r.archivedItems(ctx, from, to, leaves, here) }, nil) {
			return nil, errEnough
		}
		low = to
	}
	if trouble == nil {
		_, trouble, _ = next()
	}
	if trouble != nil && !yield(func() []proof.Item { return []proof.Item{proof.ItemFound(a.finding(trouble))} }, nil) {
		return nil, errEnough
	}
	return heads, nil
}

// finding says what is wrong with an archive.
func (a Archive) finding(trouble error) proof.Finding {
	if errors.Is(trouble, fs.ErrNotExist) {
		return proof.Finding{Seq: a.Last, Rule: "archive", Text: fmt.Sprintf("entries %d to %d are in the archive %s, which is not there: their hashes were checked, and what they say was not read again", a.First, a.Last, a.File)}
	}
	return proof.Finding{Seq: a.Last, Rule: "archive", Grave: true, Text: fmt.Sprintf("entries %d to %d are in an archive that cannot be believed: %v", a.First, a.Last, trouble)}
}

// archivedItems are the entries with low < Seq ≤ high, of which only hashes are stored;
// leaves are the first of them, out of the archive.
func (r *Reader) archivedItems(ctx context.Context, low, high int64, leaves [][]byte, heads []head) []proof.Item {
	items := make([]proof.Item, 0, int(high-low)+len(heads))
	rows, err := r.db.QueryContext(ctx, "SELECT seq, hashes FROM tree WHERE seq > ? AND seq <= ? ORDER BY seq", low, high)
	if err != nil {
		return []proof.Item{proof.ItemFault(err)}
	}
	for rows.Next() {
		var seq int64
		var stored []byte
		if err = rows.Scan(&seq, &stored); err != nil {
			break
		}
		if at := seq - low - 1; at < int64(len(leaves)) {
			items = append(items, proof.ItemOfStoredLeaf(leaves[at], stored))
		} else {
			items = append(items, proof.ItemOfHashes(seq, stored))
		}
	}
	if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return []proof.Item{proof.ItemFault(err)}
	}
	for _, h := range heads {
		items = append(items, proof.ItemOfHead(h.note))
	}
	return items
}

const selectVerified = selectFields + `, v, ifnull(run, ''), mono, ifnull(clock, ''), clock_error, tree.hashes
FROM entry LEFT JOIN tree USING (seq) WHERE seq > ? AND seq <= ? ORDER BY seq`

// items reads the entries with low < Seq ≤ high, and puts heads behind them.
func (r *Reader) items(ctx context.Context, low, high int64, heads []head) []proof.Item {
	items, err := r.read(ctx, low, high)
	if err != nil && ctx.Err() == nil && high-low > 1 { // one of them: which?
		items = nil
		for seq := low + 1; seq <= high; seq++ {
			one, err := r.read(ctx, seq-1, seq)
			if err != nil {
				one = []proof.Item{proof.ItemBad(seq, err)}
			}
			items = append(items, one...)
		}
	} else if err != nil && ctx.Err() == nil {
		items = []proof.Item{proof.ItemBad(high, err)}
	} else if err != nil {
		items = []proof.Item{proof.ItemFault(err)}
	}
	for _, h := range heads {
		items = append(items, proof.ItemOfHead(h.note))
	}
	return items
}

func (r *Reader) read(ctx context.Context, low, high int64) ([]proof.Item, error) {
	if low == high {
		return nil, nil
	}
	items := make([]proof.Item, 0, min(high-low, verifyPage))
	err := r.each(ctx, selectVerified, []driver.NamedValue{{Ordinal: 1, Value: low}, {Ordinal: 2, Value: high}}, func(v *values) {
		e := v.entry()
		items = append(items, proof.ItemOfEntry(e, v.bytes(19)))
	})
	return items, err
}

// odd finds what the entries do not show: rows that belong to no entry, and values that
// read like another.
func (r *Reader) odd(ctx context.Context, archived, n int64) ([]proof.Finding, error) {
	var found []proof.Finding
	for _, c := range []struct{ query, text string }{
		{`SELECT seq FROM entry WHERE seq BETWEEN ?1 AND ?2 AND (door = '' OR "window" = '' OR system = '' OR vault = '' OR "from" = '' OR "to" = '' OR detail = '' OR run = '' OR clock = ''
			OR typeof(late) <> 'integer' OR v > 1 AND clock IS NULL OR v = 1 AND clock IS NOT NULL)`,
			"a field is empty that should not be there at all"},
		{"SELECT seq FROM tree WHERE seq > ?1 AND seq <= ?2 AND seq NOT IN (SELECT seq FROM entry)", "there is a hash of it, and no entry"},
		{"SELECT seq FROM entry WHERE seq < 1 OR seq <= ?1 AND ?2 >= 0", "it has a number below 1, or one that is in an archive"},
		{`SELECT number * 1024 FROM span WHERE number <= ?2 / 1024 AND (number - 1) * 1024 >= ?1 AND (earliest, latest) IS NOT
			(SELECT min(time), max(time) FROM entry WHERE seq > (number - 1) * 1024 AND seq <= number * 1024)`,
			"the times by which entries up to it are found are others than theirs"},
		{`SELECT number * 1024 FROM span WHERE number <= ?2 / 1024 AND number * 1024 > ?1 AND EXISTS
			(SELECT 1 FROM entry WHERE seq > (number - 1) * 1024 AND seq <= number * 1024 AND (time < earliest OR time > latest))`,
			"the times by which entries up to it are found leave some out"},
		{"SELECT ?2 / 1024 * 1024 WHERE ?1 >= 0 AND ?2 / 1024 > (SELECT ifnull(max(number), 0) FROM span) OR (SELECT count(*) <> ifnull(max(number), 0) FROM span)",
			"times by which entries are found are missing"},
		{"SELECT size FROM head WHERE ?1 >= 0 AND ?2 >= 0 AND (size < 0 OR instr(note, char(10) || size || char(10)) = 0 OR number <> (SELECT count(*) FROM head h WHERE h.number <= head.number))",
			"a head is kept under another size than it has, or one is missing before it"},
	} {
		rows, err := r.db.QueryContext(ctx, c.query+" LIMIT 100", archived, n)
		if err != nil {
			return found, explain(r.path, err)
		}
		for rows.Next() {
			var seq int64
			if err := rows.Scan(&seq); err != nil {
				return found, errors.Join(explain(r.path, err), rows.Close())
			}
			found = append(found, proof.Finding{Seq: seq, Rule: "file", Grave: true, Text: c.text})
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return found, explain(r.path, err)
		}
	}
	return found, nil
}

// Export writes all entries and heads, as they stand when it begins, into an export, or
// those behind x.After(); archives are read where the ledger itself no longer has the
// entries. What else belongs there, and Close or Abort, are the caller's.
func (r *Reader) Export(ctx context.Context, x *proof.Writer) error {
	n, err := r.Count(ctx)
	if err != nil {
		return err
	}
	return r.ExportUpTo(ctx, x, n)
}

// ExportUpTo is Export up to the entry of that number.
func (r *Reader) ExportUpTo(ctx context.Context, x *proof.Writer, last int64) error {
	heads, err := r.Heads(ctx)
	if err != nil {
		return err
	}
	put := func(size int64) (err error) {
		for ; len(heads) > 0 && heads[0].Size <= size && err == nil; heads = heads[1:] {
			if heads[0].Size >= x.After() {
				err = x.Head(heads[0])
			}
		}
		return err
	}
	history, err := r.History(ctx)
	if err != nil {
		return err
	}
	for _, a := range history.Absent {
		if a.Last > x.After() {
			return fmt.Errorf("ledger %s: entries %d to %d are in the archive %s, which is not in %s: put it back, or export what came after", r.path, a.First, a.Last, a.File, ArchiveDir(r.path))
		}
	}
	if err := put(x.After()); err != nil {
		return err
	}
	for e, err := range history.Entries(ctx, Filter{AfterSeq: x.After()}) {
		if err != nil {
			return err
		}
		if e.Seq > last {
			break
		}
		if err := errors.Join(x.Entry(&e), put(e.Seq)); err != nil {
			return fmt.Errorf("ledger %s: %w", r.path, err)
		}
	}
	return nil
}

// Part is what an export of the times that f names consists of: the entries behind after
// up to last, where a signed head can vouch for them, or the ledger ends.
func (r *Reader) Part(ctx context.Context, f Filter) (after, last int64, err error) {
	if last, err = r.Count(ctx); err != nil {
		return 0, 0, err
	}
	h, err := r.History(ctx)
	if err != nil {
		return 0, 0, err
	}
	if !f.Since.IsZero() {
		after = last
		for e, err := range h.Entries(ctx, Filter{Since: f.Since}) {
			if err != nil {
				return 0, 0, err
			}
			after = e.Seq - 1
			break
		}
	}
	if f.Until.IsZero() {
		return after, last, nil
	}
	newest, ok, err := r.Last(ctx, Filter{Until: f.Until})
	if err != nil {
		return 0, 0, err
	}
	for _, a := range h.there {
		if !ok && a.From.Before(f.Until) {
			newest.Seq = a.Last
		}
	}
	heads, err := r.Heads(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, head := range heads {
		if head.Size >= max(newest.Seq, after, 1) {
			return after, min(last, head.Size), nil
		}
	}
	return after, last, nil
}

// Behind makes h the header of an export that begins after an entry.
func (r *Reader) Behind(ctx context.Context, h proof.Header, after int64) (proof.Header, error) {
	edge, err := proof.EdgeOf(after, hashes(ctx, r.db))
	if err != nil {
		return h, explain(r.path, err)
	}
	return h.Behind(edge), nil
}

// ExportTo writes an export of entries and heads alone. After an error, what was written
// is no export.
func (r *Reader) ExportTo(ctx context.Context, w io.Writer, h proof.Header, keys ...string) error {
	x, err := proof.NewWriter(w, h, keys...)
	if err != nil {
		return err
	}
	if err := r.Export(ctx, x); err != nil {
		return errors.Join(err, x.Abort())
	}
	return x.Close()
}
