package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"airlock/blob"
)

// Progress is how far a window has come.
type Progress struct {
	Blobs, BlobsTotal int
	Bytes, BytesTotal int64
}

// Report is what a window did, be it whole, in part or cut.
type Report struct {
	Generation int64    // the number of the generation that landed; 0 for none
	Hash       blob.Sum // of its file
	Blobs      int      // that were sent
	Bytes      int64
	Held       int // blobs that the vault held already
	// Damaged names the blobs that the repository cannot give as they once were:
	// the generation lacks them, and the window was done in part.
	Damaged []blob.Fault
	// Conflicts says, a sentence each, what the vault holds that it should not:
	// another blob under a name that never changes, a manifest that cannot be read.
	// It stays untouched and the generation is complete without it; a person must look.
	Conflicts []string
	// Strange are generations in the vault, a sentence each, that bear the site's signature
	// and that no window of the site made: somebody else has its key. Each is a conflict too.
	Strange []string
	// Relisted says why the vault had to be listed with the door open; "" if it
	// was as remembered.
	Relisted string
	// Gone are the generations that had to stand in the vault and do not; Another says that
	// those are all of them.
	Gone    []int64
	Another bool
	// There are the generations that were seen to stand in the vault; nil where nobody listed
	// them.
	There []int64
	// Receipt is what the vault's host vouches for; nil where none was asked for or
	// none came. What it still lacks has been sent again already, as far as it could be.
	Receipt *Receipt
	Resent  int // blobs that the receipt lacked and that were sent again
	// Sent is when the last blob had landed, Sealed when the generation had.
	Sent, Sealed time.Time
}

// maxUnreadable is how many blobs may turn out to be damaged or unreadable before the
// window ends: it is the repository then that fails, not a blob. Those that the plan
// knew of cost the window nothing, and do not count.
const maxUnreadable = 16

// Send brings the vault all that it lacks, and then the generation. No blob of a
// class is sent before every one of the class before has landed (S10). The bytes are
// hashed on their way, and a blob that is no longer what the catalogue says does not
// land. progress may be nil; it is called often, by one goroutine at a time, and must
// not block.
//
// After an error, or once ctx is done, what has landed is in the memory and is not
// sent again; the report tells of it.
func (p *Plan) Send(ctx context.Context, store Store, origin Origin, progress func(Progress)) (Report, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	s := &sending{plan: p, store: store, origin: prompt{origin, end}, tell: progress, known: p.in.Memory.recall(), work: p.work}
	if p.known.changes != s.known.changes { // an earlier try has come some way
		s.learn(s.known)
	}
	err := s.run(ctx)
	if err = errors.Join(err, p.in.Memory.sync()); err != nil {
		return s.report, fmt.Errorf("send to vault %s: %w", p.in.Vault, err)
	}
	return s.report, nil
}

// sending is one run of a plan.
type sending struct {
	plan   *Plan
	store  Store
	origin Origin
	known  recollection // made true by meet
	work   work
	turns  *turns
	noted  func() error // waits until what is about to be put as a generation is noted
	// unknown are the names that were found in the vault, with their sizes, and of
	// whose bytes nothing is known.
	unknown map[string]int64
	taken   map[int64]bool // numbers of generations that something in the vault has; nil unless it was listed
	// standing are the generations that the vault had when it was met, where that was asked;
	// recognised says that the last one is as it was left there.
	standing   map[int64]bool
	recognised bool

	mu       sync.Mutex
	report   Report
	progress Progress
	tell     func(Progress)
	landings []Entry
	// deviated is set once the manifest that was made with the doors shut is no
	// longer what will lie in the vault.
	deviated bool
}

// learn divides the work anew.
func (s *sending) learn(known recollection) {
	s.known, s.work, s.deviated = known, s.plan.divide(known), true
}

func (s *sending) run(ctx context.Context) error {
	s.noted = s.intend(s.plan.sealed.Number, s.plan.file) // while other things are waited for
	defer func() { _ = s.noted() }()                      // which counts before the seal only
	if err := s.meet(ctx); err != nil {
		return err
	}
	if in := s.plan.in; in.Met != nil && s.known.last != nil {
		if err := in.Met(s.known.last); err != nil {
			return err
		}
	}
	s.report.Held, s.report.Damaged = len(s.work.kept), slices.Clone(s.work.lacks)
	for _, blobs := range s.work.lacking {
		s.progress.BlobsTotal += len(blobs)
		for _, b := range blobs {
			s.progress.BytesTotal += b.Size
		}
	}
	s.tell(s.progress)
	if err := s.sendAll(ctx); err != nil {
		return err
	}
	s.report.Sent = time.Now()
	return s.seal(ctx)
}

// smallBlob is a blob that takes more asking than bytes; of such ones, smallAtOnce are on
// their way where one larger would be.
const (
	smallBlob   = 1 << 20
	smallAtOnce = 4
)

// sendAll sends what lacks, in its order. Those that wait for their turn to land wait for
// none that was begun later.
func (s *sending) sendAll(ctx context.Context) error {
	s.turns = newTurns(s.work.lacking)
	places := semaphore.NewWeighted(int64(smallAtOnce * s.plan.in.Workers))
	workers, working := errgroup.WithContext(ctx)
	for c, blobs := range s.work.lacking {
		for _, b := range blobs {
			needs := int64(smallAtOnce)
			if b.Size < smallBlob {
				needs = 1
			}
			if places.Acquire(working, needs) != nil {
				break // why is told by a worker, or by ctx
			}
			workers.Go(func() error {
				defer places.Release(needs)
				if err := s.bring(working, b); err != nil {
					return fmt.Errorf("%s blobs: %w", class(c), err)
				}
				s.turns.landed(class(c))
				return nil
			})
		}
	}
	if err := workers.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// bring has one blob land: under its name if that is free, or as a version of it.
func (s *sending) bring(ctx context.Context, b blob.Blob) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	e, _ := s.work.place(b)
	if e.Path == "" {
		done, err := s.bringFirst(ctx, b, e)
		if done || err != nil {
			return err
		}
		s.deviate()
	}
	if !versioned(b.Name) {
		s.conflict("the vault holds other bytes under the name of blob %s; they stay, and ours lie in %s", b.Name, versionPath(b.Name, b.SHA256))
	}
	e.Path = versionPath(b.Name, b.SHA256)
	err := s.put(ctx, b, e)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	same, err := s.same(ctx, e)
	if err != nil {
		return err
	}
	if same {
		return s.landed(e, false)
	}
	s.conflict("%s in the vault does not have the bytes of its name", e.Path)
	return s.lack(b, "its place in the vault holds damaged bytes")
}

// bringFirst puts a blob under its own name. It is done unless other bytes lie there.
func (s *sending) bringFirst(ctx context.Context, b blob.Blob, e Entry) (done bool, err error) {
	size, there := s.unknown[b.Name]
	if !there {
		if err := s.put(ctx, b, e); !errors.Is(err, fs.ErrExist) {
			return true, err
		}
		size = b.Size
	}
	if size != b.Size {
		return false, nil
	}
	same, err := s.same(ctx, e)
	if err != nil || !same {
		return false, err
	}
	return true, s.landed(e, false)
}

// put sends a blob's bytes to where e lies. fs.ErrExist if a file is there already.
// A blob that the origin cannot give is noted as lacking, without an error.
func (s *sending) put(ctx context.Context, b blob.Blob, e Entry) error {
	body, err := s.origin.Open(ctx, b.Name)
	if err != nil {
		return s.unreadable(ctx, b, err)
	}
	r := blob.Verify(body, e.Size, e.SHA256, s.sent)
	err = s.land(ctx, e, r)
	closing := body.Close()
	switch {
	case err == nil:
		return errors.Join(closing, s.landed(e, true))
	case r.Err() != nil:
		s.sent(-r.Count())
		return s.unreadable(ctx, b, r.Err())
	case errors.Is(err, fs.ErrExist):
		s.sent(-r.Count())
		return fs.ErrExist
	}
	return errors.Join(fmt.Errorf("blob %s: %w", b.Name, err), closing)
}

// land puts a file once it is its blob's turn.
func (s *sending) land(ctx context.Context, e Entry, r io.Reader) error {
	stager, ok := s.store.(Stager)
	if !ok {
		if err := s.turns.wait(ctx, classOf(e.Name)); err != nil {
			return err
		}
		return s.store.Put(ctx, e.At(), e.Size, r)
	}
	staged, err := stager.Stage(ctx, e.At(), e.Size, r)
	if err != nil {
		return err
	}
	if err := s.turns.wait(ctx, classOf(e.Name)); err != nil {
		staged.Abandon()
		return err
	}
	return staged.Publish(ctx)
}

// unreadable notes a blob that the repository does not give as it once was.
func (s *sending) unreadable(ctx context.Context, b blob.Blob, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return s.lack(b, "the repository no longer has it")
	}
	return s.lack(b, strings.ToValidUTF8(err.Error(), "?"))
}

func (s *sending) deviate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deviated = true
}

func (s *sending) lack(b blob.Blob, why string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deviated = true
	s.report.Damaged = append(s.report.Damaged, blob.Fault{Name: b.Name, Why: why})
	if found := len(s.report.Damaged) - len(s.work.lacks); found > maxUnreadable {
		return fmt.Errorf("%d blobs of the repository cannot be brought, the last of them %s (%s): verify the repository", found, b.Name, why)
	}
	return nil
}

func (s *sending) conflict(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Conflicts = append(s.report.Conflicts, fmt.Sprintf(format, args...))
}

// same reads a file of the vault back and compares it with what should lie there.
func (s *sending) same(ctx context.Context, e Entry) (bool, error) {
	r, err := s.store.Open(ctx, e.At(), 0, e.Size+1)
	if err != nil {
		return false, fmt.Errorf("read back %s: %w", e.At(), err)
	}
	p := blob.Verify(r, e.Size, e.SHA256, nil)
	_, err = io.Copy(io.Discard, p)
	err = errors.Join(err, r.Close())
	if errors.Is(err, blob.ErrDamaged) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read back %s: %w", e.At(), err)
	}
	return true, nil
}

func (s *sending) sent(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.Bytes += n
	s.tell(s.progress)
}

// landed notes a blob that lies in the vault for certain.
func (s *sending) landed(e Entry, sent bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.Blobs++
	if sent {
		s.report.Blobs++
		s.report.Bytes += e.Size
	} else {
		s.report.Held++
		s.progress.Bytes += e.Size
	}
	s.tell(s.progress)
	s.landings = append(s.landings, e)
	return s.plan.in.Memory.confirm(e)
}

// seal puts the generation, the last of all, and its signature, and has the vault's
// host vouch for it.
func (s *sending) seal(ctx context.Context) error {
	g, file := s.plan.sealed, s.plan.file
	for try := 0; ; try++ {
		if s.deviated {
			number, previous := s.next()
			g = s.plan.generation(number, previous, slices.Concat(s.work.kept, s.landings), s.report.Damaged)
			var err error
			if file, err = g.Encode(); err != nil {
				return err
			}
			s.noted = s.intend(number, file)
		}
		if err := s.noted(); err != nil {
			return err
		}
		err := s.putBoth(ctx, g.Number, file)
		if errors.Is(err, fs.ErrExist) && try < passesOver {
			err = s.passOver(ctx, g.Number)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("generation %d: %w", g.Number, err)
		}
		break
	}
	sum := blob.Sum(sha256.Sum256(file))
	s.report.Generation, s.report.Hash, s.report.Sealed = g.Number, sum, time.Now()
	if err := s.plan.in.Memory.seal(g, file); err != nil {
		return fmt.Errorf("generation %d is in the vault, but cannot be remembered: %w", g.Number, err)
	}
	if s.plan.in.HostKey == nil {
		return nil
	}
	if err := s.vouch(ctx, g, file, sum); err != nil {
		return fmt.Errorf("generation %d is in the vault, but its host does not vouch for it: %w", g.Number, err)
	}
	return nil
}

func (s *sending) putBoth(ctx context.Context, number int64, file []byte) error {
	putting, both := errgroup.WithContext(ctx)
	putting.Go(func() error { return s.putNew(both, GenerationPath(number), file) })
	putting.Go(func() error { return s.putSignature(both, number, sha256.Sum256(file)) })
	return putting.Wait()
}

func (s *sending) putSignature(ctx context.Context, number int64, sum blob.Sum) error {
	if s.plan.in.SiteKey == nil {
		return nil
	}
	signature, err := SignGeneration(number, sum, s.plan.in.SiteKey)
	if err != nil {
		return err
	}
	return s.putNew(ctx, SignaturePath(number), signature)
}

// putNew puts a file that nobody else can have put. fs.ErrExist if somebody has.
func (s *sending) putNew(ctx context.Context, name string, file []byte) error {
	err := s.store.Put(ctx, name, int64(len(file)), bytes.NewReader(file))
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is in the vault already, and this window has not put it there: another window sends to the same folder, or the switch let it through late; try again: %w", name, fs.ErrExist)
	}
	return err
}

// vouch fetches the receipt, and sends what it lacks.
func (s *sending) vouch(ctx context.Context, g *Generation, file []byte, sum blob.Sum) error {
	r, err := fetchReceipt(ctx, s.store, g.Number, sum, g.Ledger, s.plan.in.HostKey)
	if err != nil {
		return err
	}
	for round := 0; len(r.Lacks) > 0 && round <= len(g.Blobs)/MaxLacks+1; round++ {
		before := s.report.Blobs
		if err := s.resend(ctx, g, file, r.Lacks); err != nil {
			return fmt.Errorf("sending again what the vault lost: %w", err)
		}
		s.report.Resent += s.report.Blobs - before
		if r, err = fetchReceipt(ctx, s.store, g.Number, sum, g.Ledger, s.plan.in.HostKey); err != nil {
			return err
		}
		if s.report.Blobs == before {
			break // the repository does not have them either
		}
	}
	s.report.Receipt = &r
	return nil
}

// resend puts blobs that the vault was thought to hold. They are forgotten first, so
// that a cut here leaves them to the next window.
func (s *sending) resend(ctx context.Context, g *Generation, file []byte, lacks []blob.Fault) error {
	lost := make(map[string]bool, len(lacks))
	for _, l := range lacks {
		lost[l.Name] = true
	}
	held := slices.DeleteFunc(slices.Clone(g.Blobs), func(e Entry) bool { return lost[e.Name] })
	if err := s.plan.in.Memory.rewrite(g, file, held); err != nil {
		return err
	}
	sending, working := errgroup.WithContext(ctx)
	sending.SetLimit(s.plan.in.Workers)
	for _, b := range s.plan.blobs {
		if !lost[b.Name] {
			continue
		}
		e, listed := g.Blob(b.Name)
		if !listed || e.SHA256 != b.SHA256 {
			continue
		}
		sending.Go(func() error {
			err := s.put(working, b, e)
			if errors.Is(err, fs.ErrExist) { // the vault says that it is not sound: a person must look
				s.conflict("the vault's host says that it lacks blob %s, and yet a file is in its place", b.Name)
				return nil
			}
			return err
		})
	}
	if err := sending.Wait(); err != nil {
		return err
	}
	return s.plan.in.Memory.sync()
}
