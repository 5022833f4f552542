// Package pause waits, and no longer than a context allows.
package pause

import (
	"context"
	"time"
)

// For returns after d, or once ctx ends.
func For(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Every calls f, and again each time that interval has passed since it returned, until ctx
// ends.
func Every(ctx context.Context, interval time.Duration, f func()) {
	for ctx.Err() == nil {
		f()
		For(ctx, interval)
	}
}
