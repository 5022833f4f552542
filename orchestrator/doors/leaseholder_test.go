package doors

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airlock/lease"
	"airlock/state"
)

const leaseTTL = 15 * time.Second

// licensed is a controller at rest whose door needs a lease.
func (n *night) licensed(folder lease.Folder, clock ...func()) *controller {
	n.Helper()
	ctl := n.controller("v", doors{vault: "p3"})
	ctl.lease = &leaseHolder{
		folder: folder, door: ctl.doors[0].name, ttl: leaseTTL, every: leaseTTL / 3, writer: NewTaskQueue(),
		now: func() (lease.Instant, error) {
			for _, c := range clock {
				c()
			}
			return n.now(), nil
		},
	}
	n.run(ctl)
	n.rest(ctl)
	return ctl
}

// now is the clock by which the leases run.
func (n *night) now() lease.Instant {
	return lease.Instant{Boot: "b", Since: time.Since(n.diary.begun)}
}

// left is for how long the lease on the disk is valid now, by the guard's measure.
func (n *night) left(ctl *controller) time.Duration {
	n.Helper()
	l, err := ctl.lease.folder.Read(ctl.lease.door)
	if err != nil {
		return 0
	}
	left, _ := l.Left(ctl.lease.door, n.now(), leaseTTL)
	return left
}

// S4: the lease is there before the command to open, is renewed for as long as the door
// may stand open and not beyond its time, and is withdrawn once the door is proven shut.
func TestLeaseOfAWindow(t *testing.T) {
	folder := lease.In(state.Folder(t.TempDir()))
	inNight(t, func(n *night) {
		ctl := n.licensed(folder)
		n.sw.fault(func() {
			n.sw.set = func(_ context.Context, c setCommand) (carriedOut, error) {
				if c.up && n.left(ctl) <= 0 {
					n.Error("the command to open was sent before there was a lease")
				}
				return carriedOut{}, nil
			}
		})
		over := n.begin(n.life, ctl, tenMinutes("w1", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
		time.Sleep(10 * time.Millisecond)
		opened := time.Now()
		for time.Since(opened) < 10*time.Minute-time.Second {
			if left := n.left(ctl); left < leaseTTL/2 && time.Since(opened) < 10*time.Minute-leaseTTL || left <= 0 {
				n.Fatalf("after %s the lease has %s left", time.Since(opened), left)
			}
			if rest := 10*time.Minute - time.Since(opened); n.left(ctl) > rest {
				n.Errorf("the lease has %s left, and the window %s", n.left(ctl), rest)
			}
			time.Sleep(time.Second)
		}
		<-over
		n.shut(ctl)
		synctest.Wait()
		if _, err := folder.Read("p3-door"); err == nil {
			n.Error("the door is proven shut, and its lease is still there")
		}
	})
}

// S4: a lease that cannot be written is as good as an intent that is not logged.
func TestLeaseThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "leases")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inNight(t, func(n *night) {
		ctl := n.licensed(lease.Folder(file))
		p, err := ctl.hold(n.life, tenMinutes("w1", nothing))
		if err == nil || !p.OpenedAt.IsZero() {
			n.Errorf("hold = opened at %s, %v; want an error, and nothing opened", p.OpenedAt, err)
		}
		n.never("SET p3 up")
		n.first("ALARM door p3-door is not opened, for it got no lease")
		n.shut(ctl)
	})
}

// S4: a controller that hangs is not renewed by anything that lives on; once it moves again,
// its window is over.
func TestLeaseOfAKeeperThatHangs(t *testing.T) {
	folder := lease.In(state.Folder(t.TempDir()))
	inNight(t, func(n *night) {
		var hangs chan struct{} // holds up the controller's loop, where it reads the clock
		ctl := n.licensed(folder, func() {
			n.sw.mu.Lock()
			until := hangs
			n.sw.mu.Unlock()
			if until != nil {
				<-until
			}
		})
		over := n.begin(n.life, ctl, tenMinutes("w1", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
		time.Sleep(time.Minute)
		goOn := make(chan struct{})
		n.sw.fault(func() { hangs = goOn })
		time.Sleep(leaseTTL)
		if left := n.left(ctl); left > 0 || !n.sw.up(3) {
			n.Errorf("a controller that hangs has a lease for %s", left)
		}
		close(goOn)
		if h := <-over; h.err == nil || !strings.Contains(h.err.Error(), "the lease of door p3-door is not valid") {
			n.Errorf("the window: %v", h.err)
		}
		n.shut(ctl)
	})
}

// S4: a lease that can be renewed no more ends the window.
func TestLeaseThatCannotBeRenewed(t *testing.T) {
	folder := lease.In(state.Folder(t.TempDir()))
	inNight(t, func(n *night) {
		ctl := n.licensed(folder)
		over := n.begin(n.life, ctl, tenMinutes("w1", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
		time.Sleep(time.Minute)
		if err := errors.Join(os.RemoveAll(string(folder)), os.WriteFile(string(folder), nil, 0o600)); err != nil {
			n.Fatal(err)
		}
		began := time.Now()
		h := <-over
		if late := time.Since(began); h.err == nil || late > leaseTTL+leaseTTL/3+promptly {
			n.Errorf("%s after the disk failed the window ended: %v", late, h.err)
		}
		n.shut(ctl)
	})
}
