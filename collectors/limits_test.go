package collectors

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

func TestLimitsBandwidthIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, files, bandwidth = 3 << 20, 4, 1 << 20
		m := newMemory()
		for i := range files {
			m.tree[fmt.Sprint(i)] = &fstest.MapFile{Data: make([]byte, size)}
		}
		src := Limits{Bandwidth: bandwidth}.Wrap(m)
		began := time.Now()
		var readers sync.WaitGroup
		for i := range files {
			readers.Go(func() {
				f, err := src.Open(t.Context(), fmt.Sprint(i))
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				if n, err := f.ReadAt(make([]byte, size), 0); n != size || err != nil {
					t.Errorf("ReadAt = %d, %v", n, err)
				}
			})
		}
		readers.Wait()
		took, want := time.Since(began), files*size/bandwidth*time.Second
		if took > want || took < want-time.Second/2 {
			t.Errorf("took %v, want %v less what the bucket held", took, want)
		}
	})
}

func TestLimitsConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory("a")
		m.delay = time.Second
		src := Limits{Concurrency: 3}.Wrap(m)
		var users sync.WaitGroup
		for range 20 {
			users.Go(func() {
				f, err := src.Open(t.Context(), "a")
				if err != nil {
					t.Error(err)
					return
				}
				f.ReadAt(make([]byte, 1), 0)
				f.Close()
				f.Close() // gives back no second place
			})
		}
		users.Wait()
		if m.most != 3 || m.peak != 3 {
			t.Errorf("%d files open and %d calls at once, want 3", m.most, m.peak)
		}
		m.fail = func(string, string) error { return errors.New("locked") }
		for range 4 { // a place that a failed Open took is free again
			if _, err := src.Open(t.Context(), "a"); err == nil || err.Error() != "locked" {
				t.Error(err)
			}
		}
		m.peak = 0
		for range 20 {
			users.Go(func() { src.ReadDir(t.Context(), ".") })
		}
		users.Wait()
		if m.peak != 3 {
			t.Errorf("%d listings at once, want 3", m.peak)
		}
	})
}

func TestLimitsEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.tree["a"] = &fstest.MapFile{Data: make([]byte, 1<<20)}
		src := Limits{Bandwidth: 1, Concurrency: 1}.Wrap(m)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		f, err := src.Open(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		waiting, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		if _, err := src.Open(waiting, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("Open: %v", err)
		}
		if _, err := f.ReadAt(make([]byte, 1<<20), 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ReadAt that would take days: %v", err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
}
