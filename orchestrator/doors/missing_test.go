package doors

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"airlock/orchestrator/doors/window"
	"airlock/switchctl"
)

// S2: the first attempts to shut a port that is not found are made at once; after that the
// switch is asked no more often than it can bear.
func TestPortThatIsNotFound(t *testing.T) {
	inNight(t, func(n *night) {
		var asked atomic.Int64
		n.sw.fault(func() {
			n.sw.find = func(context.Context) error { asked.Add(1); return switchctl.ErrNoMatch }
		})
		ctl := n.controller("v", doors{vault: "p3"})
		n.run(ctl)
		time.Sleep(time.Minute) // nobody could read it, so it is being shut, in vain
		over := make(chan error, 1)
		before := asked.Load()
		go func() { over <- ctl.shut(n.life, window.Vault, "user root", "a test") }()
		time.Sleep(20 * time.Millisecond)
		if asked.Load() == before {
			n.Error("when a person said so, the switch was not asked at once")
		}
		time.Sleep(time.Minute)
		if got, most := asked.Load(), int64(4*time.Minute/missingLongest); got > most || got < 20 {
			n.Errorf("within two minutes the switch was asked %d times, of %d at the most", got, most)
		}
		n.sw.fault(func() { n.sw.find = nil })
		time.Sleep(time.Minute)
		n.shut(ctl)
		<-over
	})
}
