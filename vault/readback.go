package vault

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// ReadBack is what was found of a generation in a vault that gives no receipts. Names
// are sorted.
type ReadBack struct {
	Blobs   int      `json:"blobs"` // whose sizes were compared: all of the generation
	Read    int      `json:"read"`  // of these, read back and hashed
	Bytes   int64    `json:"bytes"` // that were read back
	Seconds float64  `json:"seconds"`
	Missing []string `json:"missing,omitempty"`
	Resized []string `json:"resized,omitempty"` // of another size
	Damaged []string `json:"damaged,omitempty"` // of the right size and other bytes
}

// Amiss are the blobs that are not as they were sent.
func (r ReadBack) Amiss() []string { return slices.Concat(r.Missing, r.Resized, r.Damaged) }

// String is the result in some words.
func (r ReadBack) String() string {
	text := fmt.Sprintf("%d sizes compared, %d blobs read back", r.Blobs, r.Read)
	if n := len(r.Amiss()); n > 0 {
		text += fmt.Sprintf(", %d of them AMISS", n)
	}
	return text
}

// Sample chooses, by a random number that nobody can foretell, which blobs of the plan's
// generation shall be read back: whole ones, of no more than so many bytes together, but
// one of those that are sent now and one of those that were sent before in any case. A
// budget of 0 chooses none.
func (p *Plan) Sample(budget int64) ([]string, error) {
	if budget <= 0 {
		return nil, nil
	}
	var seed [32]byte
	if _, err := crand.Read(seed[:]); err != nil {
		return nil, err
	}
	dice := rand.New(rand.NewChaCha8(seed))
	var chosen []string
	take := func(name string, size int64) {
		chosen = append(chosen, name)
		budget -= size
	}
	for i := range oneOf(dice, len(p.Lacking)) {
		take(p.Lacking[i].Name, p.Lacking[i].Size)
	}
	for i := range oneOf(dice, len(p.work.kept)) {
		take(p.work.kept[i].Name, p.work.kept[i].Size)
	}
	all := p.sealed.Blobs
	for _, i := range dice.Perm(len(all)) {
		if all[i].Size <= budget && !slices.Contains(chosen, all[i].Name) {
			take(all[i].Name, all[i].Size)
		}
		if budget <= 0 || len(chosen) == maxSample {
			break
		}
	}
	return chosen, nil
}

// maxSample bounds the round trips of a sample of small blobs.
const maxSample = 64

// oneOf draws one of n, and none of none.
func oneOf(dice *rand.Rand, n int) map[int]bool {
	if n == 0 {
		return nil
	}
	return map[int]bool{dice.IntN(n): true}
}

// CheckBack lists every folder in which the generation has blobs, compares all sizes, and
// reads back and hashes those that sample names. What is wrong with the blobs is in the
// report; the error is for what kept CheckBack from its work.
func CheckBack(ctx context.Context, store Store, g *Generation, sample []string) (ReadBack, error) {
	begun := time.Now()
	c := &lookingBack{store: store, report: ReadBack{Blobs: len(g.Blobs)}}
	wanted := map[string][]Entry{} // by folder
	for _, e := range g.Blobs {
		dir := path.Dir(e.At())
		wanted[dir] = append(wanted[dir], e)
	}
	looking, working := errgroup.WithContext(ctx)
	looking.SetLimit(2 * defaultWorkers)
	for _, name := range sample { // first: what takes longest
		if e, ok := g.Blob(name); ok {
			looking.Go(func() error { return c.read(working, e) })
		}
	}
	for dir, entries := range wanted {
		if working.Err() != nil {
			break
		}
		looking.Go(func() error { return c.compare(working, dir, entries) })
	}
	err := looking.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	c.report.Seconds = time.Since(begun).Seconds()
	for _, names := range []*[]string{&c.report.Missing, &c.report.Resized, &c.report.Damaged} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	if err != nil {
		return c.report, fmt.Errorf("read generation %d back: %w", g.Number, err)
	}
	return c.report, nil
}

type lookingBack struct {
	store  Store
	mu     sync.Mutex
	report ReadBack
}

// compare looks for entries in their folder.
func (c *lookingBack) compare(ctx context.Context, dir string, entries []Entry) error {
	infos, err := c.store.List(ctx, dir)
	if err != nil {
		return err
	}
	sizes := make(map[string]int64, len(infos))
	for _, i := range infos {
		if !i.IsDir() {
			sizes[i.Name()] = i.Size()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range entries {
		switch size, there := sizes[path.Base(e.At())]; {
		case !there:
			c.report.Missing = append(c.report.Missing, e.Name)
		case size != e.Size:
			c.report.Resized = append(c.report.Resized, e.Name)
		}
	}
	return nil
}

// read reads a blob back. One that is missing, or of another size, is found by its
// folder's listing.
func (c *lookingBack) read(ctx context.Context, e Entry) error {
	r, err := c.store.Open(ctx, e.At(), 0, e.Size+1)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("blob %s: %w", e.Name, err)
	}
	p := newProof(r, e, func(int64) {})
	_, err = io.Copy(io.Discard, p)
	err = errors.Join(err, r.Close())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Read++
	c.report.Bytes += p.count
	switch {
	case errors.Is(err, errDamaged) && p.count == e.Size:
		c.report.Damaged = append(c.report.Damaged, e.Name)
	case err != nil && !errors.Is(err, errDamaged):
		return fmt.Errorf("blob %s: %w", e.Name, err)
	}
	return nil
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
