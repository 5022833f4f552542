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
		if night == 0 {
			s.tell(Entry{Kind: KindStart})
		}
		s.vault, s.system = fmt.Sprintf("vault-%d", night%3), fmt.Sprintf("system-%02d", night%20)
		if night < 3 {
			s.doors()
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
		for len(batch) < min(60*batchSize, many(b)) {
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

// BenchmarkLong is of a ledger of many entries. Where there are ten million, it is made
// once, in AIRLOCK_BENCH_DIR: make bench-ledger.
func BenchmarkLong(b *testing.B) {
	l := long(b)
	n, err := l.Count(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if info, err := os.Stat(l.path); err == nil {
		b.Logf("%d entries of %d bytes", n, info.Size()/n)
	}
	middle, _, err := l.Last(b.Context(), Filter{Since: time.Unix(0, 0), AfterSeq: n/2 - 1})
	if err != nil {
		b.Fatal(err)
	}
	last := middle.Time
	for e, err := range l.Entries(b.Context(), Filter{AfterSeq: n / 2}) {
		if err != nil {
			b.Fatal(err)
		}
		middle = e
		break
	}
	benchLast(b, l)
	benchFirstPage(b, l, middle.Time, last)
	root, err := l.Root(b.Context(), n)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Verify/whole", func(b *testing.B) {
		for b.Loop() {
			if report, err := l.Verify(b.Context(), nil, nil, nil); err != nil || report.Root != root || report.Grave > 0 {
				b.Fatal(report.Entries, report.Grave, err)
			}
		}
		perEntry(b, n)
	})
	// Beside one another on two cores, Verify does both of these.
	b.Run("Verify/entries-alone", func(b *testing.B) {
		for b.Loop() {
			if report, err := l.audit(b.Context(), proof.NewAudit(nil), nil, n, nil); err != nil || report.Root != root || report.Grave > 0 {
				b.Fatal(report.Entries, report.Grave, err)
			}
		}
		perEntry(b, n)
	})
	b.Run("Verify/SQLite-alone", func(b *testing.B) {
		for b.Loop() {
			if err := l.integrity(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		perEntry(b, n)
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
	benchExport(b, l, n)
}

func perEntry(b *testing.B, n int64) {
	b.ReportMetric(float64(int64(b.N)*n)/b.Elapsed().Seconds(), "entries/s")
}

// benchLast is of what status polls ask.
func benchLast(b *testing.B, l *Ledger) {
	for name, f := range map[string]Filter{
		"door":     {Kind: KindDoor, Door: "vault-1-door"},
		"gathered": {Kind: KindGather, System: "system-07", To: "done"},
		"never":    {Kind: KindGather, System: "system-07", To: "failed"},
		"window":   {Kind: KindWindow, Vault: "vault-2"},
		"start":    {Kind: KindStart},
		"by ID":    {Window: "w12345"},
	} {
		b.Run("Last/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := l.Last(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchFirstPage is of what a person waits for who lists entries.
func benchFirstPage(b *testing.B, l *Ledger, middle, last time.Time) {
	for name, f := range map[string]Filter{
		"all":                  {},
		"time/a day":           {Since: middle, Until: middle.AddDate(0, 0, 1)},
		"time/from the middle": {Since: middle},
		"time/the last hour":   {Since: last.Add(-time.Hour)},
		"time/up to the start": {Until: time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)},
		"door":                 {Door: "vault-1-door"},
		"door/from the middle": {Door: "vault-1-door", Since: middle},
		"door/none":            {Door: "another"},
		"kind/door":            {Kind: KindDoor},
		"kind/restore":         {Kind: KindRestore, Since: middle},
		"kind/start":           {Kind: KindStart},
		"system":               {System: "system-07"},
		"vault":                {Vault: "vault-2", Since: middle},
		"actor":                {Actor: "user root"},
		"actor/none":           {Actor: "user nobody"},
	} {
		b.Run("First page/"+name, func(b *testing.B) {
			for b.Loop() {
				n := 0
				for _, err := range l.Entries(b.Context(), f) {
					if err != nil {
						b.Fatal(err)
					}
					if n++; n == firstPage {
						break
					}
				}
			}
		})
	}
}

// benchExport is of an export, and of verifying it; of no more than a million entries,
// so that it fits into memory.
func benchExport(b *testing.B, l *Ledger, n int64) {
	var file bytes.Buffer
	after := max(0, n-1_000_000)
	write := func() error {
		h, err := l.Behind(b.Context(), proof.Header{}, after)
		if err != nil {
			return err
		}
		return l.ExportTo(b.Context(), &file, h)
	}
	b.Run("Export", func(b *testing.B) {
		for b.Loop() {
			file.Reset()
			if err := write(); err != nil {
				b.Fatal(err)
			}
		}
		perEntry(b, n-after)
		b.ReportMetric(float64(file.Len())/float64(n-after), "B/entry")
	})
	if file.Reset(); write() != nil {
		b.Fatal("no export")
	}
	b.Run("VerifyExport", func(b *testing.B) {
		for b.Loop() {
			_, report, err := proof.VerifyExport(b.Context(), bytes.NewReader(file.Bytes()), proof.Options{})
			if err != nil || !report.Sound() || report.Entries != n-after {
				b.Fatal(report.Entries, report.Grave, err)
			}
		}
		perEntry(b, n-after)
	})
}
