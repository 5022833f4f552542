package doors

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/lease"
	"airlock/state"
)

// S15: while nobody knows, no door of a window in course is opened any more, the inner one
// neither; it is once that is over.
func TestInnerDoorWaitsUntilTheLockdownIsKnown(t *testing.T) {
	inNight(t, func(n *night) {
		ctl := n.controller("v", doors{"p3", "p1", ""})
		state := state.Folder(t.TempDir())
		ctl.lease = &leaseHolder{
			state: state, folder: lease.In(state), door: ctl.doors[0].name, ttl: leaseTTL, every: leaseTTL / 3, writer: NewTaskQueue(),
			now: func() (lease.Instant, error) { return n.now(), nil },
		}
		n.run(ctl)
		n.rest(ctl)
		file := filepath.Join(string(state), "lockdown.json")
		_, err := ctl.hold(n.life, tenMinutes("w1", nothing))
		if err != nil {
			n.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			n.Fatal(err)
		}
		if _, err := ctl.hold(n.life, tenMinutes("w2", nothing)); err == nil || !strings.Contains(err.Error(), "no door is opened meanwhile") {
			n.Errorf("a window: %v", err)
		}
		time.Sleep(5 * time.Minute)
		if n.sw.up(1) || n.sw.up(3) {
			n.Errorf("p1 is up: %t, p3: %t", n.sw.up(1), n.sw.up(3))
		}
		if err := os.Remove(file); err != nil {
			n.Fatal(err)
		}
		time.Sleep(time.Minute) // tries are no further apart
		n.rest(ctl)
		if !n.sw.up(1) || n.sw.up(3) {
			n.Errorf("afterwards p1 is up: %t, p3: %t", n.sw.up(1), n.sw.up(3))
		}
	})
}
