package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"airlock/lease"
)

// Watcher watches over one opening of one door, for an executor that is heard of by no
// guard (S14). It judges the door as the guard does, by the lease, and from the moment
// when its executor is gone the lease of that window counts for nothing.
type Watcher struct {
	Config
	Door, Window string
	// Ready is called once, when the door was read through a session of its own: from then
	// on the door may be opened. Failing is told of each try before that failed.
	Ready   func()
	Failing func(error)
	// Gone is closed when the executor is gone, without having said that the door is
	// proven shut.
	Gone <-chan struct{}
}

const (
	// readyPause is between two tries to read the door for the first time.
	readyPause = 200 * time.Millisecond
	// lag is for how long after its executor was gone a command to open may still be carried
	// out, which was on its way to the switch: some take 20 s.
	lag = 30 * time.Second
	// lagPause is between two looks meanwhile.
	lagPause = time.Second
)

// errGone: the lease is nobody's any more.
var errGone = errors.New("the executor that opened it is gone")

// Run watches until ctx ends, by which the executor says that the door is proven shut. If
// the executor goes without saying so, ctx counts for nothing: the door is shut at once,
// and Run tries for ever until it is (S12). It returns when the door was read as shut, and
// no command of that executor can still be on its way; or when another window has leave.
func (w Watcher) Run(ctx context.Context) error { return w.run(ctx, newGuard(w.Config)) }

func (w Watcher) run(ctx context.Context, g *guard) error {
	read := g.read
	g.read = func(door string) (lease.Lease, error) {
		l, err := read(door)
		if w.gone() && (l.Window == w.Window || l.Window == "") {
			err = errors.Join(errGone, err)
		}
		return l, err
	}
	if g.Policy.Doors[w.Door] == nil {
		return fmt.Errorf("there is no door %q to watch over", w.Door)
	}
	var writer sync.WaitGroup
	writer.Go(g.write)
	door := g.watch(w.Door)
	w.attend(ctx, door)
	if err := door.forget(); err != nil {
		g.say(slog.LevelWarn, "a session did not end well", "door", w.Door, "error", err)
	}
	close(g.lines)
	writer.Wait()
	return nil
}

func (w Watcher) gone() bool {
	select {
	case <-w.Gone:
		return true
	default:
		return false
	}
}

func (w Watcher) attend(ctx context.Context, door *watch) {
	// A look that is under way when the executor goes is given up for a new one.
	present, end := context.WithCancel(ctx)
	defer end()
	go func() {
		select {
		case <-w.Gone:
			end()
		case <-present.Done():
		}
	}()
	w.ready(present, door)
	for present.Err() == nil {
		_, next := door.once(present)
		rest(present, next)
	}
	if w.gone() {
		w.shut(context.WithoutCancel(ctx), door)
	}
}

// ready reads the door until that succeeds, or there is nothing to watch over any more.
func (w Watcher) ready(ctx context.Context, door *watch) {
	for ctx.Err() == nil {
		_, err := door.readPort(ctx)
		if err == nil {
			w.Ready()
			return
		}
		if ctx.Err() == nil {
			w.Failing(err)
		}
		rest(ctx, readyPause)
	}
}

// shut has the door shut, whose executor is gone.
func (w Watcher) shut(ctx context.Context, door *watch) {
	door.say(slog.LevelWarn, "the executor is gone; shutting its door", "door", w.Door, "window", w.Window)
	for since := time.Now(); ; {
		s, next := door.once(ctx)
		switch {
		case s.left > 0: // its executor has proven the door shut before
			door.say(slog.LevelInfo, "another window has leave", "door", w.Door, "window", s.lease.Window)
			return
		case s.err == nil && !s.up() && !s.link() && time.Since(since) >= lag:
			return
		}
		rest(ctx, min(next, lagPause))
	}
}

func rest(ctx context.Context, pause time.Duration) {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
