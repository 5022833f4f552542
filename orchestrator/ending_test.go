package orchestrator

import (
	"testing"
	"time"
)

// An order whose client waits on does not keep the executor from ending, nor with it what
// comes after: the watch over doors by whoever is started next (S14).
func TestOrderEndsWithTheExecutor(t *testing.T) {
	h := newHospital(t)
	h.within(func(s *Site) {
		s.slots = make(chan struct{}, 1)
		s.slots <- struct{}{} // a source that has no end
		waits, done := make(chan struct{}, 1), make(chan error, 1)
		go func() {
			_, err := s.Do(t.Context(), Order{Verb: "gather", Names: []string{"imaging"}, Caller: byTest}, func(p Progress) {
				if p.Stage == "waiting for its turn" {
					waits <- struct{}{}
				}
			})
			done <- err
		}()
		<-waits
		ended := make(chan error, 1)
		go func() { ended <- s.End() }()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second): // it hangs
			t.Error("the executor waits for an order")
			<-s.slots
			<-ended
		}
		if err := <-done; err == nil {
			t.Error("the order that was ended succeeded")
		}
	})
}
