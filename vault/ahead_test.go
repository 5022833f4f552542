package vault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"airlock/vault"
)

// shutOrigin counts how often the repository is asked, and fails once it is cut off.
type shutOrigin struct {
	vault.Origin
	asked atomic.Int32
	cut   bool
}

func (o *shutOrigin) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if o.asked.Add(1); o.cut {
		return nil, errors.New("the NAS is gone")
	}
	return o.Origin.Open(ctx, name)
}

// TestReadAhead: a night that fits into the budget is sent without the repository, and
// one that does not is read ahead as far as it does: the small ones first.
func TestReadAhead(t *testing.T) {
	w := newWorld(t)
	const large = 2 << 20
	for i := range 3 {
		w.write(fmt.Sprintf("p%031d", i), make([]byte, large))
		w.write(fmt.Sprintf("q%031d", i), make([]byte, 1000+i))
	}
	for budget, asks := range map[int64]int32{0: 0, 5000: 2, 2*large + 5000: 5, 1 << 30: 6} {
		origin := &shutOrigin{Origin: w}
		w.plan().ReadAhead(t.Context(), origin, budget)
		if got := origin.asked.Load(); got != asks {
			t.Errorf("with a budget of %d bytes, %d blobs were read ahead, not %d", budget, got, asks)
		}
	}
	plan, origin := w.plan(), &shutOrigin{Origin: w}
	read := plan.ReadAhead(t.Context(), origin, 1<<30)
	origin.cut = true
	report, err := plan.Send(t.Context(), w.store, read, nil)
	if err != nil || len(report.Damaged) > 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	w.intact(report.Generation, w.blobs)
}

// TestReadAheadOfDamage: what the repository does not give as it was is left to Send,
// which does not send it.
func TestReadAheadOfDamage(t *testing.T) {
	w := newWorld(t)
	w.write(fmt.Sprintf("p%031d", 1), []byte("as it was"))
	w.write(fmt.Sprintf("p%031d", 2), []byte("as it was"))
	plan := w.plan()
	w.blobs[fmt.Sprintf("p%031d", 1)] = []byte("spoiled b")
	w.blobs[fmt.Sprintf("p%031d", 2)] = []byte("cut")
	report, err := plan.Send(t.Context(), w.store, plan.ReadAhead(t.Context(), w, 1<<20), nil)
	if err != nil || len(report.Damaged) != 2 {
		t.Errorf("damaged: %v, %v", report.Damaged, err)
	}
}
