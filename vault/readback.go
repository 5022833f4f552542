package vault

import (
	"bufio"
	"context"
	crand "crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"airlock/blob"
)

// ReadBack is what was found of a generation in a vault that gives no receipts. Names
// are sorted.
type ReadBack struct {
	Blobs   int      `json:"blobs"`            // whose sizes were compared: all of the generation
	Read    int      `json:"read"`             // of these, read back, whole or in part, and hashed
	Ranges  int      `json:"ranges,omitempty"` // that were read of those that were not read whole
	Bytes   int64    `json:"bytes"`            // that were read back
	Seconds float64  `json:"seconds"`          // that it took after the sending
	Missing []string `json:"missing,omitempty"`
	Resized []string `json:"resized,omitempty"` // of another size
	Damaged []string `json:"damaged,omitempty"` // of the right size and other bytes
}

// Amiss are the blobs that are not as they were sent.
func (r ReadBack) Amiss() []string { return slices.Concat(r.Missing, r.Resized, r.Damaged) }

// String is the result in some words.
func (r ReadBack) String() string {
	text := fmt.Sprintf("%d sizes compared, bytes of %d blobs read back", r.Blobs, r.Read)
	if n := len(r.Amiss()); n > 0 {
		text += fmt.Sprintf(", %d blobs AMISS", n)
	}
	return text
}

// Sample is which bytes a window reads back, chosen with the doors shut.
type Sample struct {
	// Amiss are blobs of the vault that the repository, as it turned out, cannot give as
	// they once were.
	Amiss []blob.Fault

	extents map[string][]extent // by the blob's name
	held    []Entry             // what the vault had before the window
}

// extent is some of a blob's bytes, and the hash that they must have.
type extent struct {
	off, n int64
	sum    blob.Sum
}

const (
	provers   = 2         // blobs of the repository that are read at once; some storages hold each whole
	maxSample = 64        // blobs; bounds the round trips
	leastPart = 256 << 10 // bytes that are read of a blob that has so many
	rangesOf  = 4         // a blob that is not read whole
)

// Sample chooses, by a random number that nobody can foretell, what shall be read back of
// the plan's generation: so many bytes at the most, of blobs that are sent now as well as
// of those that were sent before. Of a blob that has more than its share, it takes ranges
// from all over it. The vault's copy is held to what origin has now of these, once that
// is proven to be the blob by the catalogue's hash of all of it; a blob that origin cannot
// give is read whole or not at all. A budget of 0 chooses nothing.
func (p *Plan) Sample(ctx context.Context, origin Origin, budget int64) (*Sample, error) {
	s := &Sample{extents: map[string][]extent{}, held: p.work.kept}
	var seed [32]byte
	if _, err := crand.Read(seed[:]); err != nil {
		return nil, err
	}
	dice := rand.New(rand.NewChaCha8(seed))
	var partly []Entry
	part := min(max(leastPart, budget/maxSample), (budget+1)/2)
	for _, e := range p.candidates(dice) {
		if budget <= 0 || len(s.extents) == maxSample {
			break
		}
		if s.extents[e.Name] != nil {
			continue
		}
		n := min(part, budget, e.Size)
		s.extents[e.Name] = spots(dice, e, n)
		budget -= n
		if n < e.Size {
			partly = append(partly, e)
		}
	}
	return s, s.prove(ctx, origin, partly, p.in.Amiss, budget)
}

// candidates are the generation's blobs in random order, but one that is sent now, and one
// that was sent before, first.
func (p *Plan) candidates(dice *rand.Rand) []Entry {
	var order []Entry
	if n := len(p.Lacking); n > 0 {
		e, _ := p.work.place(p.Lacking[dice.IntN(n)])
		order = append(order, e)
	}
	if n := len(p.work.kept); n > 0 {
		order = append(order, p.work.kept[dice.IntN(n)])
	}
	all := p.sealed.Blobs
	for _, i := range dice.Perm(len(all)) {
		order = append(order, all[i])
	}
	return order
}

// spots spreads n bytes over a blob: an equal part of them lies anywhere in each equal
// part of it.
func spots(dice *rand.Rand, e Entry, n int64) []extent {
	if n == e.Size {
		return []extent{{0, n, e.SHA256}}
	}
	count := min(rangesOf, n)
	extents := make([]extent, count)
	for i := range count {
		from, to := e.Size*i/count, e.Size*(i+1)/count
		size := n / count
		extents[i] = extent{off: from + dice.Int64N(to-from-size+1), n: size}
	}
	return extents
}

// prove takes the hashes of ranges from what origin has. left is what a blob may have that
// origin cannot give; of those that are known to be amiss nobody is told again.
func (s *Sample) prove(ctx context.Context, origin Origin, partly []Entry, amiss map[string]string, left int64) error {
	var mu sync.Mutex
	var proving errgroup.Group
	proving.SetLimit(provers)
	chosen := maps.Clone(s.extents)
	for _, e := range partly {
		proving.Go(func() error {
			err := digest(ctx, origin, e, chosen[e.Name])
			if err == nil || ctx.Err() != nil {
				return context.Cause(ctx)
			}
			mu.Lock()
			defer mu.Unlock()
			if _, known := amiss[e.Name]; !known {
				s.Amiss = append(s.Amiss, blob.Fault{Name: e.Name, Why: err.Error()})
			}
			for _, x := range chosen[e.Name] {
				left += x.n
			}
			if delete(s.extents, e.Name); e.Size <= left {
				s.extents[e.Name] = []extent{{0, e.Size, e.SHA256}}
				left -= e.Size
			}
			return nil
		})
	}
	return proving.Wait()
}

// digest hashes ranges of a blob, and proves the whole of it on the way.
func digest(ctx context.Context, origin Origin, e Entry, extents []extent) (err error) {
	body, err := origin.Open(ctx, e.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	r := bufio.NewReaderSize(blob.Verify(body, e.Size, e.SHA256, nil), 256<<10)
	var at int64
	for i, x := range extents {
		if _, err := io.CopyN(io.Discard, r, x.off-at); err != nil {
			return err
		}
		hash := sha256.New()
		if _, err := io.CopyN(hash, r, x.n); err != nil {
			return err
		}
		hash.Sum(extents[i].sum[:0])
		at = x.off + x.n
	}
	_, err = io.Copy(io.Discard, r)
	return err
}

// Looking is the reading back of one window.
type Looking struct {
	store  Store
	sample *Sample
	cancel context.CancelFunc
	early  chan struct{} // closed once done with what was there before
	failed error         // of that

	mu     sync.Mutex
	report ReadBack
	opened map[string]bool // blobs that were read
}

// Begin compares and reads, beside the sending, what the vault had before it: the other
// way of the wire is idle. Finish does the rest; whoever does not come to that calls Stop.
func (s *Sample) Begin(ctx context.Context, store Store) *Looking {
	ctx, cancel := context.WithCancel(ctx)
	l := &Looking{store: store, sample: s, cancel: cancel, early: make(chan struct{}), opened: map[string]bool{}}
	go func() {
		defer close(l.early)
		l.failed = l.look(ctx, s.held)
	}()
	return l
}

// Stop ends it, and returns once nothing is read any more.
func (l *Looking) Stop() {
	l.cancel()
	<-l.early
}

// Finish looks at the blobs of the generation that came with this window, and again at
// those that were amiss before it, which it may have brought anew. What is wrong with the
// blobs is in the report; the error is for what kept it from its work.
func (l *Looking) Finish(ctx context.Context, g *Generation) (ReadBack, error) {
	begun := time.Now()
	<-l.early
	sound := map[string]Entry{}
	if l.failed == nil { // otherwise it may have been the moment: all is looked at again
		for _, e := range l.sample.held {
			sound[e.Name] = e
		}
	}
	for _, name := range l.report.Amiss() {
		delete(sound, name)
	}
	l.report.Missing, l.report.Resized, l.report.Damaged = nil, nil, nil
	rest := slices.DeleteFunc(slices.Clone(g.Blobs), func(e Entry) bool { return sound[e.Name] == e })
	err := l.look(ctx, rest)
	r := &l.report
	r.Blobs, r.Read, r.Seconds = len(g.Blobs), len(l.opened), time.Since(begun).Seconds()
	r.Damaged = slices.DeleteFunc(r.Damaged, func(name string) bool { return slices.Contains(r.Resized, name) })
	for _, names := range [][]string{r.Missing, r.Resized, r.Damaged} {
		slices.Sort(names)
	}
	if err != nil {
		return *r, fmt.Errorf("read generation %d back: %w", g.Number, err)
	}
	return *r, nil
}

// CheckBack compares the sizes of all blobs of a generation, and reads those that are
// named whole.
func CheckBack(ctx context.Context, store Store, g *Generation, names []string) (ReadBack, error) {
	s := &Sample{extents: map[string][]extent{}}
	for _, name := range names {
		if e, listed := g.Blob(name); listed {
			s.extents[name] = []extent{{0, e.Size, e.SHA256}}
		}
	}
	l := s.Begin(ctx, store)
	defer l.Stop()
	return l.Finish(ctx, g)
}

// look lists every folder in which one of the entries lies, compares their sizes, and reads
// what the sample has of them.
func (l *Looking) look(ctx context.Context, entries []Entry) error {
	folders := map[string][]Entry{}
	looking, working := errgroup.WithContext(ctx)
	looking.SetLimit(2 * defaultWorkers)
	for _, e := range entries { // the sample first: it takes longest
		dir := path.Dir(e.At())
		folders[dir] = append(folders[dir], e)
		if extents := l.sample.extents[e.Name]; extents != nil {
			looking.Go(func() error { return l.read(working, e, extents) })
		}
	}
	for dir, entries := range folders {
		if working.Err() != nil {
			break
		}
		looking.Go(func() error { return l.compare(working, dir, entries) })
	}
	if err := looking.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// compare looks for entries in their folder.
func (l *Looking) compare(ctx context.Context, dir string, entries []Entry) error {
	infos, err := l.store.List(ctx, dir)
	if err != nil {
		return err
	}
	sizes := make(map[string]int64, len(infos))
	for _, i := range infos {
		if !i.IsDir() {
			sizes[i.Name()] = i.Size()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		switch size, there := sizes[path.Base(e.At())]; {
		case !there:
			l.report.Missing = append(l.report.Missing, e.Name)
		case size != e.Size:
			l.report.Resized = append(l.report.Resized, e.Name)
		}
	}
	return nil
}

// read reads a blob's extents back. A blob that is missing, or of another size, is found by
// its folder's listing.
func (l *Looking) read(ctx context.Context, e Entry, extents []extent) error {
	var read int64
	damaged, whole := false, extents[0].n == e.Size
	for _, x := range extents {
		n, sum, err := l.hash(ctx, e, x)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("blob %s: %w", e.Name, err)
		}
		read += n
		damaged = damaged || n == x.n && sum != x.sum
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened[e.Name] = true
	l.report.Bytes += read
	if !whole {
		l.report.Ranges += len(extents)
	}
	if damaged {
		l.report.Damaged = append(l.report.Damaged, e.Name)
	}
	return nil
}

// hash reads an extent of a file in the vault, as far as there is one.
func (l *Looking) hash(ctx context.Context, e Entry, x extent) (n int64, sum blob.Sum, err error) {
	r, err := l.store.Open(ctx, e.At(), x.off, x.n)
	if err != nil {
		return 0, sum, err
	}
	h := sha256.New()
	n, err = io.Copy(h, r)
	h.Sum(sum[:0])
	return n, sum, errors.Join(err, r.Close())
}

// Mend has the plan forget that the vault holds these blobs of the last generation, and
// sends them again. What lies in their places stays; they land as versions beside it,
// and a further generation lists them there.
func (p *Plan) Mend(ctx context.Context, store Store, origin Origin, names []string, progress func(Progress)) (Report, error) {
	known := p.in.Memory.recall()
	if known.last == nil {
		return Report{}, fmt.Errorf("no generation is known that blobs could be missing from")
	}
	held := slices.DeleteFunc(slices.Clone(known.last.Blobs), func(e Entry) bool { return slices.Contains(names, e.Name) })
	if err := p.in.Memory.rewrite(known.last, known.file, held); err != nil {
		return Report{}, fmt.Errorf("forget what the vault has lost: %w", err)
	}
	return p.Send(ctx, store, origin, progress)
}

// Sealed is the last generation that landed; nil for none.
func (p *Plan) Sealed() *Generation { return p.in.Memory.Last() }
