package repository

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkNight gathers 1 GiB (half of it incompressible, half text) and 5,000 small
// files, gathers them again unchanged, and restores them.
func BenchmarkNight(b *testing.B) {
	src := b.TempDir()
	text := make([]byte, 0, 64<<20)
	for i := 0; len(text) < 63<<20; i++ {
		text = fmt.Appendf(text, "INSERT INTO 受付 VALUES (%d, '患者%d', %d.%02d);\n", i, i*7919%100003, i%977, i%100)
	}
	files := map[string][]byte{}
	for i := range 8 {
		files[fmt.Sprint("image", i)] = noise(byte(i), 64<<20)
		files[fmt.Sprint("dump", i)] = fmt.Appendf(nil, "%d%s", i, text[i*1000003:])
	}
	for i := range 5000 {
		files[fmt.Sprintf("small/%02d/%d", i%50, i)] = noise(byte(i), 2000+i)
	}
	plant(b, src, files)
	clear(files)

	for b.Loop() {
		r, _ := fresh(b)
		start := time.Now()
		first := snap(b, r, "orca", disk(src))
		b.ReportMetric(float64(first.Bytes)/1e6/time.Since(start).Seconds(), "first-MB/s")
		b.ReportMetric(float64(first.NewBytes)/float64(first.Bytes), "stored/read")
		start = time.Now()
		second := snap(b, r, "orca", disk(src))
		b.ReportMetric(float64(second.Files)/time.Since(start).Seconds(), "unchanged-files/s")
		dir := filepath.Join(b.TempDir(), "out")
		start = time.Now()
		_, err := r.Restore(b.Context(), second.ID, dir, RestoreOptions{})
		must(b, err)
		b.ReportMetric(float64(second.Bytes)/1e6/time.Since(start).Seconds(), "restore-MB/s")
		must(b, os.RemoveAll(dir))
	}
}
