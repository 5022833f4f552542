package doors

import (
	"context"
	"sync"
)

// TaskQueue does one after the other what a door may not wait for: entries for the
// ledger and alarms, in the order in which they were handed in (S2). Whatever holds
// them up, a full disk or a terminal that was stopped, the doors go on.
type TaskQueue struct {
	mu    sync.Mutex
	tasks []func()
	news  chan struct{} // has room for one: there is something to do
}

// NewTaskQueue makes one that is empty. Tasks wait until it runs.
func NewTaskQueue() *TaskQueue { return &TaskQueue{news: make(chan struct{}, 1)} }

// Enqueue adds a task; it never waits.
func (q *TaskQueue) Enqueue(task func()) {
	q.mu.Lock()
	q.tasks = append(q.tasks, task)
	q.mu.Unlock()
	select {
	case q.news <- struct{}{}:
	default: // it is awake already
	}
}

// Run works until ctx ends and nothing is left to do.
func (q *TaskQueue) Run(ctx context.Context) {
	for {
		q.mu.Lock()
		tasks := q.tasks
		q.tasks = nil
		q.mu.Unlock()
		for _, task := range tasks {
			task()
		}
		if len(tasks) > 0 {
			continue
		}
		select {
		case <-q.news:
		case <-ctx.Done():
			q.mu.Lock()
			left := len(q.tasks)
			q.mu.Unlock()
			if left == 0 {
				return
			}
		}
	}
}
