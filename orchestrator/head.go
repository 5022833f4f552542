package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/policies"
)

// ErrBeyond: more entries were asked about than the ledger has. Who asks by what an
// earlier head said has found that the ledger was put back.
var ErrBeyond = errors.New("the ledger has fewer entries")

// headWithin is how long a head may wait for entries that are not durable yet.
const headWithin = 2 * time.Second

// Head is a signed head of the ledger as it stands, or, where that cannot be made just
// now, the newest that was.
func (s *Site) Head(ctx context.Context) (proof.Head, error) {
	if s.journal.openErr != nil {
		return proof.Head{}, s.journal.openErr
	}
	waiting, cancel := context.WithTimeout(ctx, headWithin)
	defer cancel()
	head, failed := s.journal.Checkpoint(waiting)
	if failed == nil {
		return head, nil
	}
	head, ok, err := s.journal.LastHead(ctx)
	if err != nil || !ok {
		return proof.Head{}, errors.Join(failed, err)
	}
	return head, nil
}

// head is the note of the newest head, signed now if that can be; "" where nobody signs.
// Nothing fails for want of a head: what is missing, whoever keeps heads sees.
func (s *Site) head(ctx context.Context) string {
	head, err := s.Head(ctx)
	if err != nil && !errors.Is(err, ledger.ErrNoKey) {
		s.options.Log.Warn("no head of the ledger could be signed", "error", err)
	}
	return head.Note
}

// Consistency shows that the ledger's first to entries begin with its first from;
// ErrBeyond if it has not so many.
func (s *Site) Consistency(ctx context.Context, from, to int64) (proof.Consistency, error) {
	if s.journal.openErr != nil {
		return proof.Consistency{}, s.journal.openErr
	}
	n, err := s.journal.Count(ctx)
	if err != nil {
		return proof.Consistency{}, err
	}
	if max(from, to) > n {
		return proof.Consistency{}, fmt.Errorf("%w: %d, and not %d; if a head said otherwise, entries were removed or an older copy was put back: keep that head, it proves it", ErrBeyond, n, max(from, to))
	}
	return s.journal.Proof(ctx, from, to)
}

// describe fills in what the tree over the entries tells.
func (l *LedgerStatus) describe(ctx context.Context, p policies.Policy, r *ledger.Reader) error {
	v, err := readVerified(p.State)
	if err != nil {
		return err
	}
	if !v.At.IsZero() {
		at := v.At.In(p.Timezone.Location)
		l.VerifiedAt = &at
	}
	l.Key = headKey(p.State)
	if l.Entries, err = r.Count(ctx); err != nil {
		return err
	}
	root, err := r.Root(ctx, l.Entries)
	if err != nil {
		return err
	}
	l.Root = root.String()
	head, ok, err := r.LastHead(ctx)
	if ok {
		l.Head = head.Note
	}
	return err
}
