package orchestrator

import (
	"context"
	"sync"
)

// clerk does one after the other what a keeper may not wait for: entries for the
// ledger and alarms, in the order in which they were handed in (S2). Whatever holds
// them up, a full disk or a terminal that was stopped, the doors go on.
type clerk struct {
	mu    sync.Mutex
	tasks []func()
	news  chan struct{} // has room for one: there is something to do
}

func newClerk() *clerk { return &clerk{news: make(chan struct{}, 1)} }

// hand gives the clerk a task; it never waits.
func (c *clerk) hand(task func()) {
	c.mu.Lock()
	c.tasks = append(c.tasks, task)
	c.mu.Unlock()
	select {
	case c.news <- struct{}{}:
	default: // it is awake already
	}
}

// run works until ctx ends and nothing is left to do.
func (c *clerk) run(ctx context.Context) {
	for {
		c.mu.Lock()
		tasks := c.tasks
		c.tasks = nil
		c.mu.Unlock()
		for _, task := range tasks {
			task()
		}
		if len(tasks) > 0 {
			continue
		}
		select {
		case <-c.news:
		case <-ctx.Done():
			c.mu.Lock()
			left := len(c.tasks)
			c.mu.Unlock()
			if left == 0 {
				return
			}
		}
	}
}
