package sftp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"airlock/blob"
	"airlock/vault"
	"airlock/vault/vaulttest"
)

type sameBytes []byte

func (b sameBytes) Open(context.Context, string) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b)), nil
}

// BenchmarkSend is a window over the loopback: 64 packs of 20 MB, to OpenSSH.
func BenchmarkSend(b *testing.B) {
	conn := startSSHD(b)
	pack := vaulttest.Random(1, 20_000_000)
	sum := sha256.Sum256(pack)
	for _, connections := range []int{1, 2, 4} {
		for _, workers := range []int{4, 8, 16} {
			b.Run(fmt.Sprintf("connections=%d/workers=%d", connections, workers), func(b *testing.B) {
				b.SetBytes(64 * int64(len(pack)))
				for range b.N {
					b.StopTimer()
					memory, err := vault.OpenMemory(b.TempDir())
					if err != nil {
						b.Fatal(err)
					}
					in := vault.PlanInput{Site: "s", Vault: "v", Window: "w", Now: time.Now(), Memory: memory, Workers: workers}
					for i := range 64 {
						in.Blobs = append(in.Blobs, blob.Blob{Name: fmt.Sprintf("p%03d%028d", i, i), Size: int64(len(pack)), SHA256: sum})
					}
					plan, err := vault.NewPlan(in)
					if err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
					store, err := Dial(b.Context(), Config{Conn: conn, Path: filepath.Join(b.TempDir(), "v"), Connections: connections})
					if err != nil {
						b.Fatal(err)
					}
					if _, err := plan.Send(b.Context(), store, sameBytes(pack), nil); err != nil {
						b.Fatal(err)
					}
					if err := store.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
