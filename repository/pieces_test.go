package repository

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/kopia/kopia/repo/blob"
	"golang.org/x/sync/errgroup"
)

// measured notes the most that was asked for at once.
type measured struct {
	blob.Storage
	most atomic.Int64
}

func (m *measured) GetBlob(ctx context.Context, id blob.ID, off, n int64, out blob.OutputBuffer) error {
	if m.most.Load() < n {
		m.most.Store(n)
	}
	return m.Storage.GetBlob(ctx, id, off, n, out)
}

// TestRemotePacksComeInPieces: eight packs that are sent at once are not eight packs in
// memory. With AIRLOCK_EXHAUSTIVE=1 it reads 2 GB.
func TestRemotePacksComeInPieces(t *testing.T) {
	const size = 20_000_000
	packs := 8
	if os.Getenv("AIRLOCK_EXHAUSTIVE") != "" {
		packs = 100
	}
	share, err := samba(t).place.open(t.Context(), true)
	must(t, err)
	t.Cleanup(func() { must(t, share.Close(context.Background())) })
	pack := noise(1, size)
	sum := sha256.Sum256(pack)
	for i := range packs {
		put(t, share, blob.ID(fmt.Sprintf("p%031d", i)), pack, blob.PutOptions{})
	}
	st := &measured{Storage: share}
	var heap atomic.Uint64
	var reading errgroup.Group
	reading.SetLimit(8)
	for i := range packs {
		reading.Go(func() error {
			body, err := openBlob(t.Context(), st, blob.ID(fmt.Sprintf("p%031d", i)), 0, -1)
			if err != nil {
				return err
			}
			h := sha256.New()
			_, err = io.Copy(h, body)
			if !bytes.Equal(h.Sum(nil), sum[:]) {
				t.Errorf("pack %d has other bytes", i)
			}
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			heap.Store(max(heap.Load(), now.HeapSys))
			return errors.Join(err, body.Close())
		})
	}
	must(t, reading.Wait())
	if st.most.Load() > piece {
		t.Errorf("%d bytes were asked for at once", st.most.Load())
	}
	t.Logf("heap of at most %d MB while %d MB arrived", heap.Load()>>20, packs*size/1_000_000)
	if _, err := openBlob(t.Context(), st, "p-is-not-there", 0, -1); !errors.Is(err, blob.ErrBlobNotFound) {
		t.Errorf("of a blob that is not there: %v", err)
	}
	for _, r := range [][2]int64{{0, 0}, {piece - 1, 2}, {5, piece + 7}, {size - 1, 1}} {
		body, err := openBlob(t.Context(), st, blob.ID(fmt.Sprintf("p%031d", 0)), r[0], r[1])
		must(t, err)
		if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, pack[r[0]:r[0]+r[1]]) {
			t.Errorf("%d bytes from %d: %d, %v", r[1], r[0], len(got), err)
		}
	}
}
