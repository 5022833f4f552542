package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"airlock/blob"
)

// Past is what a site knows of the windows that it held at a vault: by it, a generation
// that bears the site's signature is told from one that somebody else has made with the
// site's key.
type Past struct {
	// Made are the hashes of the generations that windows made. Where there are none, the
	// site has no past to compare with, and every generation that it has signed is its own.
	Made map[blob.Sum]bool
	// Begun are the windows by their IDs, and the generation that each made: 0 for one that
	// was cut, of which nobody knows.
	Begun map[string]int64
	// First is the lowest number that a window gave: what came before that was made by a
	// machine, or under a ledger, whose place this one took.
	First int64
}

// made says whether a window is known to have made the generation with this hash.
func (p *Past) made(sum blob.Sum) bool { return p != nil && p.Made[sum] }

// explains says whether a window of the site has made a generation, or may have: one that
// was cut after that, or that had to seal once more.
func (p *Past) explains(g *Generation, sum blob.Sum) bool {
	if p == nil || len(p.Made) == 0 || p.Made[sum] || g.Number < p.First {
		return true
	}
	number, begun := p.Begun[g.Window]
	return begun && (number == 0 || g.Number < number)
}

// ErrOthers says that a vault of which nothing is remembered has generations, and that
// somebody else has signed them.
var ErrOthers = errors.New("nothing was sent, for the vault holds generations that are signed by no key of this site")

// Bounds of what is read, and told, of generations that are not to be followed.
const (
	strangers  = 8         // that are read
	passesOver = 4         // times that a place is taken under a window's hands
	entryBytes = 640       // that one blob takes in a manifest at the most
	headBytes  = 256 << 10 // and all else, unless very much lacks
)

// latest is the generation that the next one follows: the newest that the site has signed
// and made, unless the memory knows of a later one. The numbers never go back. blobs is how
// many lie in the vault: a manifest that is longer than their list is none of the site's.
func (s *sending) latest(ctx context.Context, blobs int) (*Generation, []byte, error) {
	shelf, err := listShelf(ctx, s.store)
	if err != nil {
		return nil, nil, err
	}
	s.taken = shelf.taken
	after := int64(0)
	if last := s.known.last; last != nil {
		after = last.Number
		if err := s.compareLast(ctx, shelf); err != nil {
			return nil, nil, err
		}
	}
	if shelf.void, err = s.finish(ctx, shelf, after); err != nil {
		return nil, nil, err
	}
	found, err := shelf.seals(ctx, s.store, after, s.plan.in.Trust)
	if err != nil {
		return nil, nil, err
	}
	for _, why := range shelf.unsigned(after, found) {
		if after > 0 || found.others == 0 {
			s.conflict("%s; look at them on the vault's host", why)
		}
	}
	g, file, err := s.follow(ctx, found.seals, int64(blobs)*entryBytes+headBytes)
	if err == nil && g == nil && found.others > 0 && after == 0 {
		err = fmt.Errorf("%w (generation %d); if they are another site's, give this vault a folder of its own", ErrOthers, found.others)
	}
	if g == nil && err == nil {
		g, file = s.known.last, s.known.file
	}
	return g, file, err
}

// compareLast looks whether the generation that the memory knows stands there as it was put.
func (s *sending) compareLast(ctx context.Context, there shelf) error {
	number := s.known.last.Number
	if _, listed := there.manifests[number]; !listed {
		newest := int64(0)
		for n := range there.manifests {
			newest = max(newest, n)
		}
		s.report.Relisted += fmt.Sprintf("; its last generation is %d", newest)
		return nil
	}
	file, err := s.peek(ctx, GenerationPath(number), 0, int64(len(s.known.file))+1)
	if err == nil && !bytes.Equal(file, s.known.file) {
		s.conflict("%s is not as airlock put it there", GenerationPath(number))
	}
	return err
}

// follow finds the newest of the generations with the site's signature that a window of the
// site made; nil for none. The others are conflicts.
func (s *sending) follow(ctx context.Context, seals []seal, longest int64) (*Generation, []byte, error) {
	in := s.plan.in
	var foreign error
	strange := 0
	for _, one := range seals {
		if own := in.Past.made(one.sum); !own && (strange == strangers || one.size > longest) {
			s.conflict("%s, of %d bytes, is signed by this site, is of no window that its ledger knows, and was not read", GenerationPath(one.number), one.size)
			continue
		}
		g, file, err := loadSealed(ctx, s.store, one)
		if ctx.Err() != nil {
			return nil, nil, err
		}
		if err != nil {
			s.conflict("%s is not followed: %v", GenerationPath(one.number), err)
			continue
		}
		if err := belongs(g, in); err != nil {
			s.conflict("%s is not followed: %v", GenerationPath(one.number), err)
			foreign = err
			continue
		}
		if in.Past.explains(g, one.sum) {
			return g, file, nil
		}
		if in.Met != nil { // it may be that this site's ledger, and not the vault, is another
			if err := in.Met(g); err != nil {
				return nil, nil, err
			}
		}
		strange++
		s.strange(one.number)
	}
	if s.known.last != nil {
		foreign = nil
	}
	return nil, nil, foreign
}

// strange notes a generation that somebody else has made with the site's key.
func (s *sending) strange(number int64) {
	why := StrangeGeneration(number)
	s.conflict("%s", why)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Strange = append(s.report.Strange, why)
}

// StrangeGeneration says what is known of a generation that the site has signed, and that no
// window of it made.
func StrangeGeneration(number int64) string {
	return fmt.Sprintf("generation %d in the vault bears this site's signature, and no window in its ledger made it: somebody else has the site's key", number)
}

// passOver takes the next free number, after somebody has taken the place of a generation
// while the door was open. If what stands there is what the site has signed, it is an error:
// then it is another window's. A signature alone, over other bytes, may be this window's own,
// which was put at the same time as the manifest that found its place taken.
func (s *sending) passOver(ctx context.Context, number int64) error {
	shelf, err := listShelf(ctx, s.store)
	if err != nil {
		return err
	}
	found, err := shelf.seals(ctx, s.store, number-1, s.plan.in.Trust)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(found.seals, func(one seal) bool { return one.number == number }); i >= 0 {
		switch _, err := readSealed(ctx, s.store, found.seals[i]); {
		case err == nil:
			return fmt.Errorf("%s is in the vault already, and this window has not put it there: another window sends to the same folder, or the switch let it through late; try again", GenerationPath(number))
		case !errors.Is(err, ErrUntrusted):
			return err
		}
	}
	s.taken = shelf.taken
	s.taken[number] = true
	s.conflict("%s was taken while the door was open, and not by this site: look at it on the vault's host", GenerationPath(number))
	s.deviate()
	return nil
}
