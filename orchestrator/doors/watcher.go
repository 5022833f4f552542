package doors

import (
	"context"
	"errors"
	"time"

	"airlock/notice"
	"airlock/orchestrator/doors/window"
)

// Watcher is a process that watches over one opening of a door, where no guard does (S14).
type Watcher interface {
	// Dismiss says that the door is proven shut. A watcher that is not dismissed when this
	// process ends shuts the door.
	Dismiss() error
	// Ended is closed when the watcher has ended, for whatever reason.
	Ended() <-chan struct{}
}

// Watched has w watch over an opening of a vault's door. The context that it gives ends if the
// watcher does: then the door is shut. leave is called once the window is over; the watcher is
// sent away when the door is proven shut.
func (d *Doors) Watched(ctx context.Context, vault string, w Watcher) (watched context.Context, leave func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	over := make(chan struct{})
	d.hands.Go(func() {
		select {
		case <-w.Ended():
			cancel(errors.New("the door's watcher has ended"))
		case <-over:
		}
	})
	return ctx, func() {
		close(over)
		cancel(nil)
		d.hands.Go(func() { d.dismiss(d.of(vault), w) })
	}
}

// dismiss sends the watcher away once the door is proven shut. An executor that ends
// before that leaves the door to it.
func (d *Doors) dismiss(ctl *controller, w Watcher) {
	for {
		ctl.mu.Lock()
		changed, shut := ctl.changed, ctl.state.Doors[window.Vault].Phase == window.Shut
		ctl.mu.Unlock()
		if shut {
			break
		}
		select {
		case <-changed:
		case <-d.life.Done():
			return
		}
	}
	if err := w.Dismiss(); err != nil {
		d.config.Alarm(Alarm{At: time.Now(), Door: ctl.doors[window.Vault].name, Notice: notice.WatcherDeaf.Of(), Why: err.Error()})
	}
}
