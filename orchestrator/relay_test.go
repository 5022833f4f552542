package orchestrator

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// S14: whoever watches and does not look holds up neither a window nor its end.
func TestWatchIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		var got []string
		watch, seen := Detached(func(p Progress) {
			<-free
			got = append(got, fmt.Sprintf("%s %s %d %s", p.Task, p.Stage, p.Bytes, p.Text))
		})
		watch(Progress{Task: "a", Stage: "opening"})
		synctest.Wait()
		for n := range int64(1000) {
			watch(Progress{Task: "a", Stage: "sending", Bytes: n})
			watch(Progress{Task: "b", Stage: "reading", Bytes: n})
		}
		watch(Progress{Task: "a", Text: "one line"})
		began := time.Now()
		go func() {
			time.Sleep(seenWithin / 2)
			close(free)
		}()
		seen()
		if took := time.Since(began); took != seenWithin/2 {
			t.Errorf("its end took %s", took)
		}
		if want := []string{"a opening 0 ", "a sending 999 ", "b reading 999 ", "a  0 one line"}; !slices.Equal(got, want) {
			t.Errorf("seen was %q, and not %q", got, want)
		}

		never := make(chan struct{})
		watch, seen = Detached(func(Progress) { <-never })
		for n := range 2 * relayed {
			watch(Progress{Task: fmt.Sprint(n), Text: "line"})
		}
		began = time.Now()
		if seen(); time.Since(began) != seenWithin {
			t.Errorf("it was waited for for %s", time.Since(began))
		}
		close(never)
	})
}
