package custody

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
)

// ErrBeyond: more entries were asked about than the ledger has. Who asks by what an
// earlier head said has found that the ledger was put back.
var ErrBeyond = errors.New("the ledger has fewer entries")

// headWithin is how long a head may wait for entries that are not durable yet.
const headWithin = 2 * time.Second

// Head is a signed head of the ledger as it stands, or, where that cannot be made just
// now, the newest that was.
func (c *Custody) Head(ctx context.Context) (proof.Head, error) {
	if c.journal.openErr != nil {
		return proof.Head{}, c.journal.openErr
	}
	waiting, cancel := context.WithTimeout(ctx, headWithin)
	defer cancel()
	head, failed := c.journal.Checkpoint(waiting)
	if failed == nil {
		return head, nil
	}
	head, ok, err := c.journal.LastHead(ctx)
	if err != nil || !ok {
		return proof.Head{}, errors.Join(failed, err)
	}
	return head, nil
}

// SignedHead is the note of the newest head, signed now if that can be; "" where nobody signs.
// Nothing fails for want of a head: what is missing, whoever keeps heads sees.
func (c *Custody) SignedHead(ctx context.Context) string {
	head, err := c.Head(ctx)
	if err != nil && !errors.Is(err, ledger.ErrNoKey) {
		c.Log.Warn("no head of the ledger could be signed", "error", err)
	}
	return head.Note
}

// Consistency shows that the ledger's first to entries begin with its first from;
// ErrBeyond if it has not so many.
func (c *Custody) Consistency(ctx context.Context, from, to int64) (proof.Consistency, error) {
	if c.journal.openErr != nil {
		return proof.Consistency{}, c.journal.openErr
	}
	n, err := c.journal.Count(ctx)
	if err != nil {
		return proof.Consistency{}, err
	}
	if max(from, to) > n {
		return proof.Consistency{}, fmt.Errorf("%w: %d, and not %d; if a head said otherwise, entries were removed or an older copy was put back: keep that head, it proves it", ErrBeyond, n, max(from, to))
	}
	return c.journal.Proof(ctx, from, to)
}
