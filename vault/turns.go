package vault

import (
	"context"
	"sync"

	"airlock/blob"
)

// turns lets the blobs of a class land once all of the classes before have (S10). Until
// then their bytes may be on their way.
type turns struct {
	mu   sync.Mutex
	left [classes]int // blobs that have yet to land
	open [classes]chan struct{}
}

func newTurns(lacking [classes][]blob.Blob) *turns {
	t := &turns{}
	for c, blobs := range lacking {
		t.left[c], t.open[c] = len(blobs), make(chan struct{})
	}
	t.advance()
	return t
}

// advance opens the classes whose turn has come. It is called with the lock held, or
// before anybody else knows of t.
func (t *turns) advance() {
	for c := range t.open {
		select {
		case <-t.open[c]:
		default:
			close(t.open[c])
		}
		if t.left[c] > 0 {
			return
		}
	}
}

// landed says that one of a class has landed, or never will.
func (t *turns) landed(c class) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left[c]--
	t.advance()
}

// wait returns once it is the class's turn.
func (t *turns) wait(ctx context.Context, c class) error {
	select {
	case <-t.open[c]:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
