package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
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
		pause(ctx, time.Minute)
	}
}

// brokeAgain is how long a task that has to go on waits after a panic.
const brokeAgain = 100 * time.Millisecond

// broke says what broke: the stack to the log, the rest to a person. It may be called before
// there is a journal.
func (s *Site) broke(what string, cause any, stack []byte) {
	s.options.Log.Error("a defect in airlock", "in", what, "panic", cause, "stack", string(stack))
	s.clerk.hand(func() {
		s.alarm(Alarm{At: time.Now(), What: "a defect in airlock: please report what the log of the service says", Why: fmt.Sprintf("%s: %v", what, cause)})
	})
}

// contain is Broke's, for the site's own tasks.
func (s *Site) contain(what string, f func() error) error { return Broke(s.broke).Contain(what, f) }

// lasting is Broke's, for the tasks of serve.
func (s *Site) lasting(ctx context.Context, what string, task func(context.Context)) {
	Broke(s.broke).Lasting(ctx, what, task)
}
