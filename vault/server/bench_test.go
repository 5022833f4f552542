package server

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"testing"

	"airlock/vault"
	"airlock/vault/vaulttest"

	"golang.org/x/sync/errgroup"
)

// BenchmarkSmallBlobs sends 2,000 blobs of 4 KiB through one client, as a window does,
// until all of them are durable.
func BenchmarkSmallBlobs(b *testing.B) {
	const blobs, size = 2000, 4 << 10
	w := newWorld(b)
	w.serve(usual())
	store := w.store()
	body := vaulttest.Random(1, size)
	b.SetBytes(blobs * size)
	for b.Loop() {
		var sending errgroup.Group
		sending.SetLimit(8)
		for range blobs {
			sending.Go(func() error {
				var id [16]byte
				rand.Read(id[:])
				return store.Put(b.Context(), vault.BlobPath("p"+hex.EncodeToString(id[:])), size, bytes.NewReader(body))
			})
		}
		if err := sending.Wait(); err != nil {
			b.Fatal(err)
		}
		if _, err := store.List(b.Context(), "."); err != nil { // waits for all that is promised
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(blobs*b.N)/b.Elapsed().Seconds(), "blobs/s")
}
