package collecttest

import (
	"fmt"
	"io"
	"testing"

	"airlock/collectors"
)

// Bench measures a source: one large file read in order, with and without reading
// ahead, and many small ones, four at a time as a policy has it by default.
func Bench(b *testing.B, f Fixture) {
	const large, small, count = 256 << 20, 10 << 10, 1000
	f.file(b, "large", large)
	for i := range count {
		f.file(b, fmt.Sprintf("small/%04d", i), small)
	}
	src, err := f.Dial(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	for _, depth := range []int{1, 6} {
		b.Run(fmt.Sprintf("large/%d in flight", depth), func(b *testing.B) {
			b.SetBytes(large)
			for b.Loop() {
				consume(b, src, "large", depth)
			}
		})
	}
	b.Run("small", func(b *testing.B) {
		b.SetBytes(small * count)
		for b.Loop() {
			names := make(chan string)
			done := make(chan struct{})
			for range 4 {
				go func() {
					for name := range names {
						consume(b, src, name, 6)
					}
					done <- struct{}{}
				}()
			}
			for i := range count {
				names <- fmt.Sprintf("small/%04d", i)
			}
			close(names)
			for range 4 {
				<-done
			}
		}
		b.ReportMetric(float64(count*b.N)/b.Elapsed().Seconds(), "files/s")
	})
}

func consume(b *testing.B, src collectors.Source, name string, depth int) {
	r, err := collectors.ReadAhead(b.Context(), src, name, depth)
	if err != nil {
		b.Error(err)
		return
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		b.Error(err)
	}
	if err := r.Close(); err != nil {
		b.Error(err)
	}
}
