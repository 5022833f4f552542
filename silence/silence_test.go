package silence

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// S4: whoever awaits an answer does not wait until the window's deadline.
func TestWatch(t *testing.T) {
	const limit = 30 * time.Second
	for name, test := range map[string]struct {
		life  func(w *Watch)
		after time.Duration // from the start to the end; 0: never
	}{
		"nothing is asked":      {func(*Watch) {}, 0},
		"nothing comes":         {func(w *Watch) { w.Asked() }, limit},
		"it is answered":        {func(w *Watch) { w.Asked(); time.Sleep(limit - 1); w.Answered() }, 0},
		"one of two comes":      {func(w *Watch) { w.Asked(); w.Asked(); time.Sleep(limit - 1); w.Answered() }, 2*limit - 1},
		"it goes on and stops":  {func(w *Watch) { w.Asked(); time.Sleep(limit - 1); w.Heard() }, 2*limit - 1},
		"idle, then asked":      {func(w *Watch) { w.Asked(); w.Answered(); time.Sleep(time.Hour); w.Asked() }, time.Hour + limit},
		"answered what was not": {func(w *Watch) { w.Answered(); w.Answered(); w.Asked() }, limit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, ends := time.Now(), 0
				var ended time.Time
				w := New(limit, func() { ends++; ended = time.Now() })
				test.life(w)
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				want := 1
				if test.after == 0 {
					want = 0
				}
				if ends != want || ends > 0 && ended.Sub(began) != test.after {
					t.Errorf("%d ends, after %v; want after %v", ends, ended.Sub(began), test.after)
				}
				if told := errors.Is(w.Explain(io.EOF), Err); told != (want == 1) || !errors.Is(w.Explain(io.EOF), io.EOF) || w.Explain(nil) != nil {
					t.Errorf("it explains %v", w.Explain(io.EOF))
				}
			})
		})
	}
}
