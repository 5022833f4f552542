package vault

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"

	"airlock/blob"
)

// A generation counts by its signature alone. So a signature is read before the manifest
// that it is of, and what bears none is not read at all: whatever else lies in the place of
// generations, however many files and however large, costs a window no more than a listing.

// seal is what a signature of the site says: which generation it made, and the hash of its
// file.
type seal struct {
	number int64
	sum    blob.Sum
	size   int64 // of the file in the generation's place, as it is listed
}

// shelf is what a listing tells of the place of generations.
type shelf struct {
	manifests  map[int64]int64 // their sizes, by number
	signatures map[int64]int64
	taken      map[int64]bool // the numbers that anything bears, be it a folder
	void       map[int64]bool // those of the site's signatures whose manifests a cut kept away
}

// listShelf lists the place of generations. What is not a regular file only takes a number.
func listShelf(ctx context.Context, store Store) (shelf, error) {
	files, err := store.List(ctx, generationsDir)
	if err != nil {
		return shelf{}, fmt.Errorf("list the generations: %w", err)
	}
	s := shelf{manifests: map[int64]int64{}, signatures: map[int64]int64{}, taken: map[int64]bool{}}
	for _, f := range files {
		name := path.Join(generationsDir, f.Name())
		manifest, signature := GenerationOf(name), SignedOf(name)
		s.taken[max(manifest, signature)] = true
		switch {
		case !f.Mode().IsRegular():
		case manifest > 0:
			s.manifests[manifest] = f.Size()
		case signature > 0:
			s.signatures[signature] = f.Size()
		}
	}
	delete(s.taken, 0)
	return s, nil
}

// sealed is what was found of signatures.
type sealed struct {
	seals  []seal // by the site, the newest first
	others int64  // the first generation that somebody else's key has signed; 0 for none
	unseen int    // signatures for which there was no time
}

// Bounds of the looking for signatures.
const (
	looksAlways = 32                     // of signatures, however long each takes
	looksWithin = 500 * time.Millisecond // of more
	looksAtOnce = 16
)

// Farthest is how far a generation's number may be beyond the last one before it.
const Farthest = 1_000_000

// seals reads the signatures of the manifests after a number. The lowest and the highest
// come first, so that no number of others hides the site's own. A number that is too far
// beyond the one before it counts no more than if it were not signed: nothing may bring
// the numbers to their end.
func (s shelf) seals(ctx context.Context, store Store, after int64, trust []note.Verifier) (found sealed, err error) {
	var mu sync.Mutex
	looking, ctx := errgroup.WithContext(ctx)
	looking.SetLimit(looksAtOnce)
	soon, cancel := context.WithTimeout(ctx, looksWithin)
	defer cancel()
	for i, n := range s.candidates(after) {
		within := soon
		if i < looksAlways {
			within = ctx
		}
		looking.Go(func() error {
			sum, err := s.look(within, store, n, trust)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case err == nil:
				found.seals = append(found.seals, seal{n, sum, s.manifests[n]})
			case errors.Is(err, errOtherKey) && (found.others == 0 || n < found.others):
				found.others = n
			case within.Err() != nil:
				found.unseen++
			}
			return nil
		})
	}
	if err := looking.Wait(); err != nil {
		return sealed{}, err
	}
	slices.SortFunc(found.seals, func(a, b seal) int { return cmp.Compare(a.number, b.number) })
	last := after
	for i, one := range found.seals {
		if one.number-last > Farthest {
			found.seals = found.seals[:i]
			break
		}
		last = one.number
	}
	slices.Reverse(found.seals)
	return found, nil
}

// candidates are the numbers with a manifest and what may be a signature, from both ends
// inwards.
func (s shelf) candidates(after int64) []int64 {
	var sorted []int64
	for n := range s.manifests {
		if size, signed := s.signatures[n]; signed && n > after && size > 0 && size <= maxSignature {
			sorted = append(sorted, n)
		}
	}
	slices.Sort(sorted)
	order := make([]int64, 0, len(sorted))
	for low, high := 0, len(sorted)-1; low <= high; low, high = low+1, high-1 {
		order = append(order, sorted[high])
		if low < high {
			order = append(order, sorted[low])
		}
	}
	return order
}

// look reads one signature. One that cannot be read is none.
func (s shelf) look(ctx context.Context, store Store, number int64, trust []note.Verifier) (blob.Sum, error) {
	if ctx.Err() != nil {
		return blob.Sum{}, context.Cause(ctx)
	}
	signature, err := readSmall(ctx, store, SignaturePath(number))
	if err != nil {
		return blob.Sum{}, err
	}
	return OpenSignature(signature, number, trust...)
}

// errOtherKey says that something is a generation's signature, by a key that is not the
// site's.
var errOtherKey = errors.New("signed by another key")

// OpenSignature gives the hash that a generation's file must have by its signature, which
// must be by one of the site's keys and of this number: ErrUntrusted otherwise.
func OpenSignature(signature []byte, number int64, site ...note.Verifier) (sum blob.Sum, err error) {
	n, err := note.Open(signature, note.VerifierList(site...))
	if err != nil {
		if other, ok := errors.AsType[*note.UnverifiedNoteError](err); ok && sealOf(other.Note.Text, number, &sum) {
			err = fmt.Errorf("%w: %w", errOtherKey, err)
		}
		return blob.Sum{}, fmt.Errorf("%w: generation %d: %w", ErrUntrusted, number, err)
	}
	if !sealOf(n.Text, number, &sum) {
		return blob.Sum{}, fmt.Errorf("%w: the signature of generation %d is of something else", ErrUntrusted, number)
	}
	return sum, nil
}

// sealOf reads the text of a signature, and says whether it is one of that generation.
func sealOf(text string, number int64, sum *blob.Sum) bool {
	digits, ok := strings.CutPrefix(text, fmt.Sprintf("airlock generation %d\n", number))
	return ok && strings.HasSuffix(digits, "\n") && sum.UnmarshalText([]byte(strings.TrimSuffix(digits, "\n"))) == nil
}

// keptWhileHashed is how much of a manifest is kept while it is not known whether it is the
// one that was signed, in bytes: a hundred thousand blobs. A larger one is read twice.
const keptWhileHashed = 16 << 20

// readSealed reads the manifest that a seal is of: ErrUntrusted if other bytes lie there.
func readSealed(ctx context.Context, store Store, s seal) ([]byte, error) {
	other := fmt.Errorf("%w: %s has other bytes than those that were signed", ErrUntrusted, GenerationPath(s.number))
	if s.size > maxGeneration {
		return nil, other
	}
	r, err := store.Open(ctx, GenerationPath(s.number), 0, s.size+1)
	if err != nil {
		return nil, fmt.Errorf("generation %d: %w", s.number, err)
	}
	var kept bytes.Buffer
	hash := sha256.New()
	_, err = io.Copy(hash, io.TeeReader(io.LimitReader(r, keptWhileHashed), &kept))
	if err == nil {
		_, err = io.Copy(hash, r)
	}
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("generation %d: %w", s.number, err)
	}
	if blob.Sum(hash.Sum(nil)) != s.sum {
		return nil, other
	}
	file := kept.Bytes()
	if len(file) == keptWhileHashed {
		if file, err = readGeneration(ctx, store, s.number); err != nil {
			return nil, err
		}
	}
	if sha256.Sum256(file) != s.sum { // they changed between two readings
		return nil, other
	}
	return file, nil
}

// loadSealed loads the generation that a seal is of.
func loadSealed(ctx context.Context, store Store, s seal) (*Generation, []byte, error) {
	file, err := readSealed(ctx, store, s)
	if err != nil {
		return nil, nil, err
	}
	g, err := Decode(file)
	if err == nil && g.Number != s.number {
		err = fmt.Errorf("it says that it is generation %d", g.Number)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", GenerationPath(s.number), err)
	}
	return g, file, nil
}

// LoadSigned loads a generation that the site must have signed. One that it has not, or
// with another key, is ErrUntrusted, and none of it is read.
func LoadSigned(ctx context.Context, store Store, number int64, site ...note.Verifier) (*Generation, error) {
	s, err := sealAt(ctx, store, number, site)
	if err != nil {
		return nil, err
	}
	g, _, err := loadSealed(ctx, store, s)
	return g, err
}

// sealAt reads the seal of one generation. fs.ErrNotExist if there is no such generation.
func sealAt(ctx context.Context, store Store, number int64, site []note.Verifier) (seal, error) {
	r, err := store.Open(ctx, GenerationPath(number), 0, 1)
	if err == nil {
		err = r.Close()
	}
	if err != nil {
		return seal{}, fmt.Errorf("generation %d: %w", number, err)
	}
	signature, err := readSmall(ctx, store, SignaturePath(number))
	if errors.Is(err, fs.ErrNotExist) {
		return seal{}, fmt.Errorf("%w: generation %d has no signature: its window was cut just then, or it is not airlock's", ErrUntrusted, number)
	}
	if err != nil {
		return seal{}, err
	}
	sum, err := OpenSignature(signature, number, site...)
	return seal{number, sum, maxGeneration}, err
}

// Newest loads the newest generation that the site has signed. fs.ErrNotExist if there
// is none; passed tells of what was passed over.
func Newest(ctx context.Context, store Store, site ...note.Verifier) (g *Generation, passed []string, err error) {
	s, err := listShelf(ctx, store)
	if err != nil {
		return nil, nil, err
	}
	found, err := s.seals(ctx, store, 0, site)
	if err != nil {
		return nil, nil, err
	}
	var refused []error
	for _, one := range found.seals {
		g, _, err := loadSealed(ctx, store, one)
		if err == nil {
			return g, append(passed, s.unsigned(g.Number, found)...), nil
		}
		if ctx.Err() != nil {
			return nil, passed, err
		}
		passed, refused = append(passed, err.Error()), append(refused, err)
	}
	switch {
	case len(s.manifests) == 0:
		return nil, nil, fmt.Errorf("the vault has no generation yet: no window has ended: %w", fs.ErrNotExist)
	case found.others > 0:
		refused = append(refused, fmt.Errorf("%w: generation %d is signed by another key", ErrUntrusted, found.others))
	}
	for _, why := range s.unsigned(0, found) {
		refused = append(refused, fmt.Errorf("%w: %s", ErrUntrusted, why))
	}
	return nil, passed, fmt.Errorf("the vault has no generation that can be trusted: %w", errors.Join(refused...))
}

// unsigned tells, in a sentence, of what lies in the place of generations after a number
// and bears no signature of the site.
func (s shelf) unsigned(after int64, found sealed) []string {
	signed := make(map[int64]bool, len(found.seals))
	for _, one := range found.seals {
		signed[one.number] = true
	}
	first, n := int64(0), 0
	for number := range s.taken {
		if number <= after || signed[number] || s.void[number] {
			continue
		}
		if n++; first == 0 || number < first {
			first = number
		}
	}
	if n == 0 {
		return nil
	}
	name := GenerationPath(first)
	if _, there := s.signatures[first]; there && s.manifests[first] == 0 {
		name = SignaturePath(first)
	}
	return []string{fmt.Sprintf("generations that this site has not signed: %d, %s first; they count for nothing, and are not read", n, name)}
}
