package ledger

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"airlock/ledger/proof"
)

// many is how many entries the benchmarks of reading read among: AIRLOCK_BENCH_ENTRIES,
// or a million.
func many(b *testing.B) int {
	b.Helper()
	text := cmp.Or(os.Getenv("AIRLOCK_BENCH_ENTRIES"), "1000000")
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 16} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			l := open(b, filepath.Join(b.TempDir(), "ledger.db"))
			work := make(chan struct{})
			failed := make(chan error, callers)
			for range callers {
				go func() {
					var err error
					for range work {
						if _, e := l.Append(b.Context(), at(0)); e != nil {
							err = e
						}
					}
					failed <- err
				}()
			}
			for b.Loop() {
				work <- struct{}{}
			}
			close(work)
			for range callers {
				if err := <-failed; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// at is the nth entry of a long life: a night of 40 entries, of which half are a
// door's, over 20 systems and 3 vaults.
func at(n int) Entry {
	e := Entry{
		Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * 36 * time.Minute),
		Kind: KindGather, Actor: "schedule", Reason: "by the calendar",
		Detail: []byte(`{"files":11478,"bytes":490000000,"seconds":93.2,"unreadable":0}`),
	}
	vault := fmt.Sprintf("vault-%d", n%3)
	switch states := []string{"shut", "opening", "open", "shutting"}; {
	case n%2 == 0:
		e.Kind, e.Door, e.Window = KindDoor, vault, fmt.Sprintf("w%06d", n/40)
		e.From, e.To = states[n/2%4], states[(n/2+1)%4]
	case n%40 == 1:
		e.Kind, e.Vault, e.Window, e.To = KindWindow, vault, fmt.Sprintf("w%06d", n/40), "complete"
	default:
		e.System, e.To = fmt.Sprintf("system-%02d", n%20), "complete"
	}
	return e
}

// life is a long one, night by night, over 20 systems and 3 vaults.
func life() func() []Entry {
	s := newTeller()
	night := -1
	return func() []Entry {
		night++
		s.entries = s.entries[:0]
		s.vault, s.system = fmt.Sprintf("vault-%d", night%3), fmt.Sprintf("system-%02d", night%20)
		if night < 3 {
			s.start()
		}
		s.night(night)
		s.now = s.now.Add(10 * time.Minute)
		return s.entries
	}
}

// long makes a ledger of many entries, without waiting for the disk at each; in the
// folder AIRLOCK_BENCH_DIR it is left, and found again.
func long(b *testing.B) *Ledger {
	b.Helper()
	dir := cmp.Or(os.Getenv("AIRLOCK_BENCH_DIR"), b.TempDir())
	l := open(b, filepath.Join(dir, "ledger.db"))
	have, err := l.Count(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	batch := make([]*item, 0, 64*batchSize)
	for next := life(); have < int64(many(b)); batch = batch[:0] {
		for len(batch) < 60*batchSize {
			for _, e := range next() {
				batch = append(batch, &item{entry: e})
			}
		}
		if err := l.store(batch); err != nil {
			b.Fatal(err)
		}
		have += int64(len(batch))
	}
	return l
}

func BenchmarkLong(b *testing.B) {
	l := long(b)
	many := many(b)
	if info, err := os.Stat(l.path); err == nil {
		b.Logf("%d entries of %d bytes", many, info.Size()/int64(many))
	}
	for name, f := range map[string]Filter{
		"door":      {Kind: KindDoor, Door: "vault-1"},
		"gathered":  {Kind: KindGather, System: "system-07", To: "complete"},
		"never":     {Kind: KindGather, System: "system-07", To: "failed"},
		"window":    {Kind: KindWindow, Vault: "vault-2"},
		"start":     {Kind: KindStart},
		"by window": {Window: "w012345"},
	} {
		b.Run("Last/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := l.Last(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	list := func(f Filter) func(*testing.B) {
		return func(b *testing.B) {
			n := 0
			for b.Loop() {
				for _, err := range l.Entries(b.Context(), f) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
		}
	}
	day := at(many / 2).Time
	b.Run("Entries/all", list(Filter{}))
	b.Run("Entries/day", list(Filter{Since: day, Until: day.AddDate(0, 0, 1)}))
	b.Run("Entries/since the middle", list(Filter{Since: day}))
	for name, f := range map[string]Filter{
		"the day":    {Since: day, Until: day.AddDate(0, 0, 1)},
		"the middle": {Since: day},
		"the end":    {Since: at(many - 100).Time},
		"the start":  {Until: at(100).Time},
		"all":        {},
	} {
		b.Run("First page/"+name, func(b *testing.B) {
			for b.Loop() {
				n := 0
				for _, err := range l.Entries(b.Context(), f) {
					if err != nil {
						b.Fatal(err)
					}
					if n++; n == pageSize {
						break
					}
				}
			}
		})
	}
	b.Run("Verify", func(b *testing.B) {
		for b.Loop() {
			if report, err := l.Verify(b.Context(), nil, nil, nil); err != nil || report.Entries != int64(many) {
				b.Fatal(report.Entries, err)
			}
		}
		b.ReportMetric(float64(b.N*many)/b.Elapsed().Seconds(), "entries/s")
	})
	b.Run("Export", func(b *testing.B) {
		var file bytes.Buffer
		for b.Loop() {
			file.Reset()
			if err := l.ExportTo(b.Context(), &file, proof.Header{}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N*many)/b.Elapsed().Seconds(), "entries/s")
		b.ReportMetric(float64(file.Len())/float64(many), "B/entry")
		b.Run("Verify", func(b *testing.B) {
			for b.Loop() {
				if _, report, err := proof.VerifyExport(b.Context(), bytes.NewReader(file.Bytes()), proof.Options{}); err != nil || report.Entries != int64(many) {
					b.Fatal(report.Entries, err)
				}
			}
			b.ReportMetric(float64(b.N*many)/b.Elapsed().Seconds(), "entries/s")
		})
	})
	b.Run("Check", func(b *testing.B) {
		for b.Loop() {
			if err := l.Check(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Open", func(b *testing.B) {
		for b.Loop() {
			again, err := Open(context.Background(), l.path, Options{})
			if err != nil {
				b.Fatal(err)
			}
			if err := again.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
