package collectors

import (
	"context"
	"io/fs"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const busyFor = 20 * time.Millisecond

// busy is a source that takes its time, and counts who asks it at once.
type busy struct {
	Source
	mu        *sync.Mutex
	now, most *int
}

func (b busy) count(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*b.now += n
	*b.most = max(*b.most, *b.now)
}

func (b busy) Stat(context.Context, string) (fs.FileInfo, error) {
	b.count(1)
	time.Sleep(busyFor)
	b.count(-1)
	return nil, nil
}

// A source that yields costs little, however many files of it are read at a time.
func TestYieldingSourceGoesAlone(t *testing.T) {
	for name, yields := range map[string]bool{"others go first": true, "nobody else": false} {
		synctest.Test(t, func(t *testing.T) {
			const readers = 8
			var now, most int
			p := Pace{Yields: func() bool { return yields }}
			src := p.Wrap(busy{nil, new(sync.Mutex), &now, &most})
			began := time.Now()
			var all sync.WaitGroup
			for range readers {
				all.Go(func() {
					if _, err := src.Stat(t.Context(), "x"); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			took, wanted, at := time.Since(began), busyFor, readers
			if yields {
				wanted, at = readers*(1+yieldFor)*busyFor, 1
			}
			if took != wanted || most != at {
				t.Errorf("%s: %d calls took %s, and %d were made at once; want %s and %d", name, readers, took, most, wanted, at)
			}
		})
	}
}

// However long a call took, the rest is in proportion, and ends soon after nobody else has to
// go first.
func TestRestIsInProportion(t *testing.T) {
	const call, others = 10 * time.Second, time.Minute
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p := Pace{Yields: func() bool { return time.Since(began) < others }}
		p.rest(t.Context(), call)
		if took := time.Since(began); took < others || took > others+restLook {
			t.Errorf("a rest after %s took %s, while others went first for %s", call, took, others)
		}
		began = began.Add(-others)
		again := time.Now()
		if p.rest(t.Context(), call); time.Since(again) > 0 {
			t.Errorf("a rest for nobody took %s", time.Since(again))
		}
	})
}

// What waits to go alone ends with its gathering, and counts for no silence of the server.
func TestWaitingToGoAloneEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Pace{Yields: func() bool { return true }}
		ctx, end := context.WithCancel(t.Context())
		first := p.pass(ctx)
		over := make(chan struct{})
		go func() {
			p.pass(ctx)()
			close(over)
		}()
		synctest.Wait()
		if p.calls != 1 {
			t.Errorf("%d calls are with the server", p.calls)
		}
		end()
		<-over
		first()
		if p.calls != 0 {
			t.Errorf("%d calls are with the server after all ended", p.calls)
		}
	})
}
