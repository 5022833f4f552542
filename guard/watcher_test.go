package guard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"airlock/lease"
	"airlock/policies"
	"airlock/state"
	"airlock/switchctl"
)

// watched is a watcher over window w1 of the vault's door, and its executor's hand.
type watched struct {
	*site
	goes    func()             // the executor is gone
	dismiss context.CancelFunc // it says that the door is proven shut
	failed  atomic.Int64       // tries to read the door
	ready   atomic.Int64       // a time.Duration since the beginning; 0 before
}

// watching runs f beside a watcher, in a bubble, and wants it to end within a time.
func watching(t *testing.T, within time.Duration, f func(*watched), before ...func(*site)) {
	t.Helper()
	state := state.Folder(t.TempDir())
	p, err := policies.Parse("policy", fmt.Appendf(nil, policyText, state))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := &site{T: t, diary: &diary{begun: time.Now()}, sw: newFakeSwitch(t), folder: lease.In(state), state: state, boot: time.Hour, window: "w1"}
		for _, b := range before {
			b(s)
		}
		gone := make(chan struct{})
		ctx, dismiss := context.WithCancel(t.Context())
		w := &watched{site: s, goes: func() { close(gone) }, dismiss: dismiss}
		watcher := Watcher{
			Config: Config{Policy: *p, Switch: s.sw.connect, Journal: s.diary, Log: slog.New(slog.NewTextHandler(io.Discard, nil))},
			Door:   "vault-door", Window: "w1", Gone: gone,
			Ready:   func() { w.ready.Store(int64(s.elapsed())) },
			Failing: func(error) { w.failed.Add(1) },
		}
		g := newGuard(watcher.Config)
		g.now = s.clock
		ended := make(chan error, 1)
		go func() { ended <- watcher.run(ctx, g) }()
		time.Sleep(10 * time.Millisecond) // one look
		f(w)
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(within):
			t.Errorf("it did not end within %s", within)
			dismiss()
			<-ended
		}
		if s.sw.open != 0 {
			t.Errorf("%d sessions were not closed", s.sw.open)
		}
	})
}

// S14: whatever ends the executor, its door is shut at once, and the watcher stays until
// no command to open can be on its way any more.
func TestWatcherShutsWhenTheExecutorIsGone(t *testing.T) {
	watching(t, lag+2*lagPause, func(w *watched) {
		if w.ready.Load() == 0 {
			t.Error("it did not read the door")
		}
		w.issue(time.Hour)
		w.renew(time.Minute)
		if !w.sw.up("p3") {
			t.Error("it was shut while its executor lived")
		}
		w.goes()
		time.Sleep(200 * time.Millisecond)
		w.down(time.Minute, time.Minute+150*time.Millisecond)
		w.says("vault-door open → shutting", "vault-door ALARM stands open without a lease", "vault-door shutting → shut")
	})
}

// S14: a command to open that reaches the switch after its executor is gone opens nothing
// for long.
func TestWatcherStaysForALateCommand(t *testing.T) {
	watching(t, lag+2*lagPause, func(w *watched) {
		now, _ := w.clock()
		if _, err := w.folder.Issue("vault-door", "w1", now, ttl, time.Hour); err != nil {
			t.Fatal(err)
		}
		w.goes()
		time.Sleep(20 * time.Second)
		w.sw.move("p3", switchctl.AdminUp)
		time.Sleep(2 * time.Second)
		w.down(20*time.Second, 22*time.Second)
	})
}

func TestWatcherIsDismissed(t *testing.T) {
	watching(t, time.Second, func(w *watched) {
		w.issue(time.Hour)
		w.renew(time.Minute)
		w.sw.move("p3", switchctl.AdminDown)
		w.dismiss()
		synctest.Wait()
		w.goes() // the end of the process that has said so changes nothing
		if w.sw.sent("p3") != 0 {
			t.Error("it sent a command")
		}
		w.says()
	})
}

// S4: an executor that lives and stands still lets its lease run out.
func TestWatcherShutsWithoutALease(t *testing.T) {
	watching(t, time.Second, func(w *watched) {
		w.issue(time.Hour)
		time.Sleep(ttl + time.Second)
		w.down(ttl, ttl+time.Second)
		w.dismiss()
	})
}

// A watcher that is left over does not touch the next window, whose executor has proven
// the door shut before.
func TestWatcherLeavesTheNextWindowAlone(t *testing.T) {
	watching(t, 2*interval, func(w *watched) {
		w.issue(time.Hour)
		w.sw.fault(func() { w.sw.dial = errors.New("no route to host") })
		w.goes()
		time.Sleep(time.Minute)
		w.sw.move("p3", switchctl.AdminDown)
		w.window = "w2"
		w.issue(time.Hour)
		w.sw.fault(func() { w.sw.dial = nil })
		w.renew(10 * time.Second)
		if !w.sw.up("p3") {
			t.Error("it shut another window's door")
		}
	})
}

// S12: it goes on trying for as long as it takes.
func TestWatcherTriesForEver(t *testing.T) {
	watching(t, lag+2*lagPause, func(w *watched) {
		w.issue(time.Hour)
		w.sw.fault(func() { w.sw.set = func(string) error { return switchctl.ErrTimeout } })
		w.goes()
		time.Sleep(10 * time.Minute)
		if !w.sw.up("p3") || w.sw.sent("p3") < 500 {
			t.Errorf("the port is up: %t, after %d commands", w.sw.up("p3"), w.sw.sent("p3"))
		}
		w.sw.fault(func() { w.sw.set = nil })
		time.Sleep(2 * lagPause)
		if w.sw.up("p3") {
			t.Error("it gave up")
		}
	})
}

// S7: a watcher sends nothing to a port that is not the one which the executor accepted, and
// is not ready: the policy file may point elsewhere now.
func TestWatcherOfAnotherPort(t *testing.T) {
	watching(t, lag+2*lagPause+time.Minute, func(w *watched) {
		w.sw.move("p3", switchctl.AdminUp)
		time.Sleep(10 * time.Second)
		w.goes()
		time.Sleep(time.Minute)
		if n := w.sw.sent("p3"); n != 0 || !w.sw.up("p3") || w.ready.Load() != 0 {
			t.Errorf("%d commands were sent; the port is up: %t; ready after %s", n, w.sw.up("p3"), time.Duration(w.ready.Load()))
		}
		own := lease.Port{Door: "vault-door", Name: "p3", Index: 3}
		if err := own.Write(w.state); err != nil {
			t.Fatal(err)
		}
	}, func(s *site) {
		other := lease.Port{Door: "vault-door", Name: "p9", Index: 9}
		if err := other.Write(s.state); err != nil {
			t.Fatal(err)
		}
	})
}

// One that the executor accepted is watched over as ever.
func TestWatcherOfTheAcceptedPort(t *testing.T) {
	watching(t, time.Second, func(w *watched) {
		if w.ready.Load() == 0 || w.failed.Load() > 0 {
			t.Errorf("ready after %s, and %d tries failed", time.Duration(w.ready.Load()), w.failed.Load())
		}
		w.dismiss()
	}, func(s *site) {
		own := lease.Port{Door: "vault-door", Name: "p3", Index: 3}
		if err := own.Write(s.state); err != nil {
			t.Fatal(err)
		}
	})
}

// A watcher that cannot read the door is not ready, and says why.
func TestWatcherIsReadyOnceItHasReadTheDoor(t *testing.T) {
	dead := func(s *site) { s.sw.dial = errors.New("no route to host") }
	watching(t, time.Second, func(w *watched) {
		time.Sleep(10 * time.Second)
		if w.ready.Load() != 0 || w.failed.Load() < 5 {
			t.Errorf("ready after %s, and %d tries failed", time.Duration(w.ready.Load()), w.failed.Load())
		}
		w.sw.fault(func() { w.sw.dial = nil })
		time.Sleep(time.Second)
		if w.ready.Load() == 0 {
			t.Error("it is not ready")
		}
		w.dismiss()
	}, dead)
}
