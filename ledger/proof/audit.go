package proof

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"
)

// Finding is something that an audit found.
type Finding struct {
	Seq   int64  `json:"seq,omitempty"` // the entry that it is about; 0: the ledger as a whole
	Rule  string `json:"rule"`          // what was not kept: form, number, tree, head, time, door, window, exposure, …
	Grave bool   `json:"grave"`         // the ledger does not prove what it should; otherwise it is a person's to explain
	Text  string `json:"text"`
}

// String is the finding as a line.
func (f Finding) String() string {
	where := "the ledger"
	if f.Seq > 0 {
		where = fmt.Sprintf("entry %d", f.Seq)
	}
	return fmt.Sprintf("%s: %s: %s", where, f.Rule, f.Text)
}

// MostFindings is how many findings a Report lists; the others are only counted.
const MostFindings = 1000

// Report is what an audit came to.
type Report struct {
	After    int64          `json:"after,omitempty"`  // entries that came before, of which this is the part behind
	Entries  int64          `json:"entries"`          // in the tree, behind those
	Unread   int64          `json:"unread,omitempty"` // of them, whose hashes alone were there
	First    time.Time      `json:"first,omitzero"`   // when the first entry was recorded
	Last     time.Time      `json:"last,omitzero"`
	Root     Hash           `json:"root"` // of the whole tree
	Kinds    map[Kind]int64 `json:"kinds"`
	Heads    int            `json:"heads"`              // that are signed, and fit
	Signed   int64          `json:"signed"`             // entries under the last of them
	Outside  int64          `json:"outside"`            // entries under the last head kept elsewhere that fits
	Receipts int64          `json:"receipts"`           // of vaults' hosts, whose signatures hold
	Vouchers []string       `json:"vouchers,omitempty"` // the keys that signed those, as the ledger has them
	Windows  int64          `json:"windows"`
	Openings int64          `json:"openings"`
	// Bounded is how many of the openings nobody measured, so that they count for as long as
	// they may have lasted; Unexplained, how many no window of airlock's made.
	Bounded     int64 `json:"bounded,omitempty"`
	Unexplained int64 `json:"unexplained,omitempty"`
	// Exposure is the sum over all openings, Longest the longest of them.
	Exposure time.Duration `json:"exposure_ns"`
	Longest  time.Duration `json:"longest_ns"`
	Findings []Finding     `json:"findings"`
	More     int           `json:"more,omitempty"`  // findings that are not listed
	Grave    int           `json:"grave,omitempty"` // findings that are, of all
}

// Sound reports whether nothing grave was found.
func (r Report) Sound() bool { return r.Grave == 0 }

// Audit judges a ledger, entry by entry: the form, the tree, the heads, and whether
// what the entries tell can have happened. The zero Audit is not usable.
type Audit struct {
	keys      []note.Verifier
	outside   []Head // by size
	report    Report
	edge      Edge
	next      int64  // the number that the next entry should have
	gap       bool   // it did not, so that nothing above the leaves can fit
	fits      int64  // size of the last head that fitted
	fitted    []Head // all of the ledger's own that did, by size; no more of them than their size and root
	clocks    clocks
	story     story
	strangers map[string]*stranger // by their keys' beginnings
	// openings are told one by one, for a ledger may have millions.
	openings Openings
	until    time.Time
}

// NewAudit begins an audit. Heads have to be signed by one of keys; outside are heads
// that were kept elsewhere, whose signatures the caller has checked.
func NewAudit(keys []note.Verifier, outside ...Head) *Audit {
	a := &Audit{keys: keys, outside: slices.Clone(outside), report: Report{Kinds: map[Kind]int64{}, Findings: []Finding{}}}
	slices.SortFunc(a.outside, func(x, y Head) int { return cmp.Compare(x.Size, y.Size) })
	a.story = newStory(a.found)
	a.clocks.found = a.found
	a.openings.emit = a.opened
	a.compareOutside()
	return a
}

// Until says when the ledger was read, or its export made: a door that nothing proves shut
// counts as open up to then, or to the newest entry, whichever is later.
func (a *Audit) Until(t time.Time) { a.until = t }

// Begin has the audit go on from a tree, whose entries are not there: an export that is
// a part begins so. It comes before all items. What a tree of that size should be is
// shown by the next head that fits.
func (a *Audit) Begin(edge Edge) {
	a.edge, a.next, a.report.After = edge, edge.size, edge.size
	a.unseen(edge.size)
	for len(a.outside) > 0 && a.outside[0].Size < edge.size {
		a.found(0, false, "outside head", "a head of %d entries is about such as came before this part", a.outside[0].Size)
		a.outside = a.outside[1:]
	}
	a.compareOutside()
}

// unseen says that entries up to seq exist and cannot be read.
func (a *Audit) unseen(seq int64) {
	a.clocks.told, a.clocks.run, a.clocks.recorded = seq, "", time.Time{}
	a.story.unseen(seq)
}

// Item is a part of a ledger, made ready for an audit.
type Item struct {
	entry    Entry
	leaf     Hash
	evidence *evidence
	stored   []byte // the entry's row of hashes in the ledger, if hasRow
	hasRow   bool
	head     []byte // instead of an entry
	unread   bool   // only the row is there
	finding  *Finding
	begin    *Edge // the tree before a part
	bad      error // what stands in an entry's place is none
	fault    error // nothing could be read
}

// ItemOfLeaf is an entry by its canonical form. What is none, is found.
func ItemOfLeaf(leaf []byte) Item {
	e, err := ParseLeaf(leaf)
	return Item{entry: e, bad: err, leaf: LeafHash(leaf), evidence: evidenceOf(&e)}
}

// ItemOfStoredLeaf is an entry by its canonical form, with the hashes that are stored
// with it.
func ItemOfStoredLeaf(leaf, stored []byte) Item {
	i := ItemOfLeaf(leaf)
	i.stored, i.hasRow = stored, true
	return i
}

// ItemOfHashes is an entry of which only the stored hashes are there.
func ItemOfHashes(seq int64, stored []byte) Item {
	i := Item{entry: Entry{Seq: seq}, unread: true, stored: stored, hasRow: true}
	copy(i.leaf[:], stored)
	return i
}

// ItemFound is a finding of whoever reads the ledger.
func ItemFound(f Finding) Item { return Item{finding: &f} }

// ItemOfEntry is an entry, with the hashes that are stored with it, which it keeps.
func ItemOfEntry(e Entry, stored []byte) Item {
	var scratch [2 << 10]byte
	leaf, err := AppendLeaf(scratch[:0], &e)
	return Item{entry: e, bad: err, leaf: LeafHash(leaf), evidence: evidenceOf(&e), stored: stored, hasRow: true}
}

// ItemOfHead is a signed head. It belongs after the last entry that it is about.
func ItemOfHead(signed []byte) Item { return Item{head: signed} }

// ItemBad is an entry that could not be read, and why.
func ItemBad(seq int64, why error) Item { return Item{entry: Entry{Seq: seq}, bad: why} }

// ItemFault ends the audit with an error.
func ItemFault(err error) Item { return Item{fault: err} }

// Run judges what source yields. Each part of it is a function that makes some items
// ready; they are called beside one another, and judged in their order. progress, which
// may be nil, is told how many entries were judged. An error is the source's or ctx's;
// what is wrong with the ledger is no error but a finding.
func (a *Audit) Run(ctx context.Context, source iter.Seq2[func() []Item, error], progress func(entries int64)) error {
	type job struct {
		ready func() []Item
		items chan []Item
	}
	hands := min(runtime.GOMAXPROCS(0), 8)
	jobs, order := make(chan job), make(chan job, hands+2)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(jobs)
		defer close(order)
		for ready, err := range source {
			if err != nil {
				return err
			}
			j := job{ready, make(chan []Item, 1)}
			for _, to := range []chan job{order, jobs} {
				select {
				case to <- j:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		}
		return nil
	})
	for range hands {
		g.Go(func() error {
			for j := range jobs {
				j.items <- j.ready()
			}
			return nil
		})
	}
	g.Go(func() error {
		for j := range order {
			select {
			case items := <-j.items:
				for i := range items {
					if err := a.take(&items[i]); err != nil {
						return err
					}
				}
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if progress != nil {
				progress(a.report.Entries)
			}
		}
		return nil
	})
	return g.Wait()
}

func (a *Audit) take(i *Item) error {
	switch {
	case i.fault != nil:
		return i.fault
	case i.head != nil:
		a.head(i.head)
	case i.begin != nil:
		a.Begin(*i.begin)
	case i.finding != nil:
		a.found(i.finding.Seq, i.finding.Grave, i.finding.Rule, "%s", i.finding.Text)
	default:
		a.entry(i)
	}
	return nil
}

func (a *Audit) found(seq int64, grave bool, rule, format string, args ...any) {
	if grave {
		a.report.Grave++
	}
	if len(a.report.Findings) == MostFindings { // in a hostile export there are millions
		a.report.More++
		return
	}
	a.report.Findings = append(a.report.Findings, Finding{Seq: seq, Rule: rule, Grave: grave, Text: fmt.Sprintf(format, args...)})
}

func (a *Audit) entry(i *Item) {
	e := &i.entry
	a.report.Entries++
	switch a.next++; {
	case i.bad != nil:
		e.Seq = max(e.Seq, a.next)
		a.found(e.Seq, true, "form", "%s", clip(i.bad.Error()))
	case e.Seq != a.next:
		a.found(e.Seq, true, "number", "it stands where entry %d belongs", a.next)
		a.next, a.gap = e.Seq, true
	}
	a.hang(i)
	a.compareOutside()
	if i.unread {
		a.report.Unread++
		a.unseen(e.Seq)
	}
	if i.bad != nil || i.unread {
		return
	}
	kind := e.Kind
	if !kind.Known() { // of a newer airlock; they may be many
		kind = "others"
	}
	if a.report.Kinds[kind]++; a.report.First.IsZero() {
		a.report.First = e.Recorded
	}
	a.report.Last = e.Recorded
	a.clocks.take(e)
	a.story.take(e, i.evidence)
	a.openings.take(e, i.evidence)
}

// hang adds the entry to the tree, and compares it with the hashes that are stored.
func (a *Audit) hang(i *Item) {
	hashes := a.edge.Add(i.leaf)
	switch {
	case !i.hasRow:
	case len(i.stored) < len(i.leaf) || !bytes.Equal(i.stored[:len(i.leaf)], i.leaf[:]):
		a.found(i.entry.Seq, true, "tree", "it is not the entry that was written: its stored hash is another")
	case !a.gap && !holds(i.stored, hashes):
		a.found(i.entry.Seq, true, "tree", "the stored hashes of the tree above it are others")
	}
}

// holds reports whether row is just those hashes.
func holds(row []byte, hashes []Hash) bool {
	for _, h := range hashes {
		rest, ok := bytes.CutPrefix(row, h[:])
		if !ok {
			return false
		}
		row = rest
	}
	return len(row) == 0
}

// head judges a head that the ledger keeps itself.
func (a *Audit) head(signed []byte) {
	size, root := a.edge.Size(), a.edge.Root()
	h, err := ReadHead(signed)
	if err == nil && h.Size == size && h.Root == root && len(a.fitted) < mostFitted {
		a.fitted = append(a.fitted, Head{Size: size, Root: root})
	}
	if err == nil && len(a.keys) > 0 {
		_, err = OpenHead(signed, a.keys...)
	}
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unverified):
		a.foreign(signers(unverified.Note.UnverifiedSigs), size)
	case err != nil:
		a.found(size, true, "signature", "%s", clip(err.Error()))
	case h.Size != size:
		a.found(size, true, "head", "a head of %d entries stands after %d", h.Size, size)
	case h.Root != root:
		a.found(size, true, "head", "the first %d entries are others than when this head was signed; up to entry %d they are the same", size, a.fits)
	default:
		a.report.Heads++
		a.report.Signed, a.fits = size, size
	}
}

// stranger is a key that signed heads and is none of those given.
type stranger struct{ heads, first int64 }

// foreign counts a head that a stranger signed: of a whole ledger, all of them may be, and
// that is one finding.
func (a *Audit) foreign(by string, size int64) {
	if a.strangers == nil {
		a.strangers = map[string]*stranger{}
	}
	if len(a.strangers) >= mostSigners { // of a hostile export
		by = "many others"
	}
	if a.strangers[by] == nil {
		a.strangers[by] = &stranger{first: size}
	}
	a.strangers[by].heads++
}

// mostSigners is how many keys are told apart that are none of those given.
const mostSigners = 16

// mostFitted bounds the heads that are kept to be compared with stamped ones: as many as
// a busy site signs in twenty years.
const mostFitted = 1 << 19

// compareStamped looks for a head, that an authority has stamped, among the ledger's own:
// somebody who has the site's key can put a true token beside entries that he made anew.
func (a *Audit) compareStamped(h Head) {
	at, _ := slices.BinarySearchFunc(a.fitted, h.Size, func(own Head, size int64) int { return cmp.Compare(own.Size, size) })
	for ; at < len(a.fitted) && a.fitted[at].Size == h.Size; at++ {
		if a.fitted[at].Root == h.Root {
			return
		}
	}
	if h.Size < a.report.After {
		a.found(0, false, "time-stamp", "a stamped head of %d entries is about such as came before this part", h.Size)
		return
	}
	a.found(min(h.Size, a.edge.Size()), true, "time-stamp", "a head of %d entries was stamped that is none of this ledger's: entries up to there are others than they were", h.Size)
}

// compareOutside compares the heads from elsewhere that are about the entries so far.
func (a *Audit) compareOutside() {
	for len(a.outside) > 0 && a.outside[0].Size <= a.edge.Size() {
		h := a.outside[0]
		a.outside = a.outside[1:]
		if err := h.Against(a.edge.Size(), a.edge.Root()); err != nil {
			a.found(h.Size, true, "outside head", "%s; up to entry %d a head says that they are the same%s", err, a.fits, a.replaced(h))
			continue
		}
		a.report.Outside, a.fits = h.Size, h.Size
	}
}

// replaced says that a head is of the ledger in whose place this one stands, if so.
func (a *Audit) replaced(h Head) string {
	if before := a.story.before; before.Head != h.Note && !slices.Contains(before.Held, h.Note) {
		return ""
	}
	return fmt.Sprintf("; it is a head of the ledger that was set aside as %q: check that one by it", clip(a.story.before.File))
}

// End judges what only the end can tell, and returns the report.
func (a *Audit) End() Report {
	for _, h := range a.outside {
		a.found(0, true, "outside head", "%s%s", h.Against(a.edge.Size(), a.edge.Root()), a.replaced(h))
	}
	a.outside = nil
	a.clocks.end()
	a.story.end()
	for _, by := range slices.Sorted(maps.Keys(a.strangers)) {
		is := a.strangers[by]
		a.found(is.first, true, "signature", "%d heads, this the first, are signed by %s, and not by the key given", is.heads, clip(by))
	}
	for _, o := range a.openings.End() {
		a.opened(o)
	}
	if len(a.keys) == 0 {
		a.found(0, false, "signature", "no key was given, so the signatures of heads were not looked at")
	}
	if a.report.Signed < a.edge.Size() {
		a.found(0, false, "head", "no head is there for the entries after number %d", a.report.Signed)
	}
	r := a.report
	r.Root = a.edge.Root()
	r.Receipts, r.Vouchers = a.story.receipts, slices.Sorted(maps.Keys(a.story.vouchers))
	r.Windows = a.story.windowCount
	return r
}

// opened adds an opening up.
func (a *Audit) opened(o Opening) {
	r := &a.report
	lasted := o.Lasted(later(r.Last, a.until))
	r.Openings++
	r.Exposure += min(lasted, math.MaxInt64-r.Exposure) // of a hostile ledger
	r.Longest = max(r.Longest, lasted)
	if o.AtMost {
		r.Bounded++
		if o.Over() {
			a.found(o.Seq, false, "exposure", "nobody measured how long door %s stood open: at most %.3f s", o.Door, lasted.Seconds())
		}
	}
	if o.Unexplained {
		r.Unexplained++
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// evidence is what an audit reads of a detail.
type evidence struct {
	Side     string    `json:"side"` // of a door: "inner", or the vault's own
	Reading  *status   `json:"reading"`
	Probe    string    `json:"probe"`
	Exposure float64   `json:"exposure_seconds"`
	AtMost   bool      `json:"exposure_at_most"` // nobody measured it
	ShutBy   string    `json:"shut_by"`
	OpenedAt time.Time `json:"opened_at"`
	ProvenAt time.Time `json:"proven_at"`
	Now      *status   `json:"now"`       // of a patrol
	ShutSeen time.Time `json:"shut_seen"` // of a patrol, or the guard
	Changed  time.Time `json:"changed"`   // of a patrol
	vouched
	replaced replaced
}

// replaced is of a ledger that was set aside.
type replaced struct {
	File string   `json:"file"`
	Head string   `json:"head"`
	Held []string `json:"held"` // heads of it that were kept elsewhere
}

// evidenceOf reads the details of the kinds that are judged by them; nil if there is
// nothing to read.
func evidenceOf(e *Entry) *evidence {
	if len(e.Detail) == 0 || e.Kind != KindDoor && e.Kind != KindWindow && e.Kind != KindPatrol && e.Kind != KindLedger {
		return nil
	}
	var d evidence
	into := any(&d)
	if e.Kind == KindLedger {
		into = &d.replaced
	}
	if json.Unmarshal(e.Detail, into) != nil {
		return nil
	}
	d.check()
	return &d
}

// ErrKey says that a text is no public key.
var ErrKey = errors.New("no public key of a site")

// ReadKeys reads public keys as airlock init prints them, one on a line.
func ReadKeys(text string) ([]note.Verifier, error) {
	var keys []note.Verifier
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, err := note.NewVerifier(line)
		if err != nil {
			return nil, fmt.Errorf("%w: %q; it stands in keys/site.pub in the state folder", ErrKey, clip(line))
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: the text is empty", ErrKey)
	}
	return keys, nil
}
