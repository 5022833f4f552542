package orchestrator

import (
	"context"
	"fmt"
	"time"

	"airlock/notice"
	"airlock/orchestrator/doors"
)

// broke says what broke: the stack to the log, the rest to a person. It may be called before
// there is a journal.
func (s *Site) broke(what string, cause any, stack []byte) {
	s.options.Log.Error("a defect in airlock", "in", what, "panic", cause, "stack", string(stack))
	s.queue.Enqueue(func() {
		s.alarm(Alarm{At: time.Now(), Notice: notice.Defect.Of(), Why: fmt.Sprintf("%s: %v", what, cause)})
	})
}

// contain is Broke's, for the site's own tasks.
func (s *Site) contain(what string, f func() error) error {
	return doors.Broke(s.broke).Contain(what, f)
}

// lasting is Broke's, for the tasks of serve.
func (s *Site) lasting(ctx context.Context, what string, task func(context.Context)) {
	doors.Broke(s.broke).Lasting(ctx, what, task)
}
