package doors

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"airlock/pause"
)

// ErrDefect: a task ended by a defect in the program, which the log tells of.
var ErrDefect = errors.New("a defect in airlock ended it")

// Broke is told of a panic: in what, what it said, and where.
type Broke func(what string, cause any, stack []byte)

// Contain runs f, and makes a panic in it an error of that task alone: the doors are shut
// by those that are well (S14). Where nobody is told, and in goroutines that are not ours,
// a panic ends the process; then the guard or a watcher shuts.
func (b Broke) Contain(what string, f func() error) (err error) {
	if b == nil {
		return f()
	}
	defer func() {
		if cause := recover(); cause != nil {
			b(what, cause, debug.Stack())
			err = fmt.Errorf("%s: %w: %v", what, ErrDefect, cause)
		}
	}()
	return f()
}

// Lasting runs a task until ctx ends, also after a panic.
func (b Broke) Lasting(ctx context.Context, what string, task func(context.Context)) {
	for b.Contain(what, func() error { task(ctx); return nil }) != nil && ctx.Err() == nil {
		pause.For(ctx, time.Minute)
	}
}

// brokeAgain is how long a task that has to go on waits after a panic.
const brokeAgain = 100 * time.Millisecond
