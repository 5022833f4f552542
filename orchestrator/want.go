package orchestrator

import (
	"context"
	"fmt"
	"sync"
)

// want counts the gatherings that wait for a turn and came to a good end before: sources that
// are known to be honest. While there is one, no source that is not known holds a turn. It
// is safe for concurrent use; the zero want is ready.
type want struct {
	mu      sync.Mutex
	waiting int
	changed chan struct{} // closed when waiting goes from or to nought; nil while nobody looks
}

// add counts one more, or one less.
func (w *want) add(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.waiting > 0
	w.waiting += n
	if is := w.waiting > 0; is != was && w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// look reports whether one waits, and gives what is closed when that changes. Nobody waits
// for a turn of which nobody keeps count.
func (w *want) look() (bool, <-chan struct{}) {
	if w == nil {
		return false, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return w.waiting > 0, w.changed
}

// inTurn runs f once there is a turn for it.
func (s *Site) inTurn(ctx context.Context, known bool, f func(*turn) error) error {
	t := &turn{slots: s.slots, early: s.early, want: &s.want}
	await := t.await
	if !known {
		await = t.awaitUnknown
	}
	if err := await(ctx); err != nil {
		return fmt.Errorf("it was still waiting for its turn: %w", err)
	}
	defer t.end()
	return f(t)
}

// await returns once one of the slots is taken.
func (t *turn) await(ctx context.Context) error {
	t.want.add(1)
	defer t.want.add(-1)
	select {
	case t.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// awaitUnknown is await for a source that never came to a good end. While one that did waits
// for a slot, there are only the places of those that gave theirs back.
func (t *turn) awaitUnknown(ctx context.Context) error {
	for {
		slots, early := t.slots, chan struct{}(nil)
		wanted, changed := t.want.look()
		if wanted {
			slots, early = nil, t.early
		}
		select {
		case slots <- struct{}{}:
			return nil
		case early <- struct{}{}:
			t.ahead = true
			t.once.Do(func() { t.given.Store(true) }) // there is nothing to give back
			return nil
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
