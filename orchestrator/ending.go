package orchestrator

import (
	"context"
	"errors"
)

// errEnding is why an order ended that nobody else ended.
var errEnding = errors.New("the executor is ending")

// untilEnd gives an order a context that ends with the executor too: whoever gave it may
// wait for as long as a source can read, and the executor must not. What shuts doors is
// never ended by that (S2).
func (s *Site) untilEnd(ctx context.Context, o Order) (context.Context, context.CancelFunc) {
	if o.Verb == "shut" || o.Verb == "lockdown" {
		return ctx, func() {}
	}
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.ending, func() { end(errEnding) })
	return ctx, func() {
		stop()
		end(nil)
	}
}
