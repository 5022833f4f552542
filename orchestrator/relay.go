package orchestrator

import (
	"sync"
	"time"
)

// Detached gives a watch that never waits for another, however long that takes for a look:
// a terminal that was stopped, a pipe that nobody reads, and a client that sleeps hold up
// no window and no shutting. What is outdated by the time that it would be looked at is
// left out. seen returns once all was looked at, or soon; nothing is looked at any more
// then.
func Detached(watch Watch) (detached Watch, seen func()) {
	r := &relay{news: make(chan struct{}, 1), over: make(chan struct{}), ended: make(chan struct{})}
	go r.run(watch)
	return r.take, r.end
}

// relay hands progress on by a goroutine of its own.
type relay struct {
	mu      sync.Mutex
	waiting []Progress
	news    chan struct{} // has room for one: something waits
	over    chan struct{} // nothing more comes
	ended   chan struct{}
}

// relayed is how much of it may wait, and seenWithin how long its end does.
const (
	relayed    = 256
	seenWithin = time.Second
)

func (r *relay) take(p Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.waiting) - 1; i >= 0; i-- {
		if w := &r.waiting[i]; w.Task == p.Task {
			if w.Text == "" && p.Text == "" && w.Stage == p.Stage {
				*w = p
				return
			}
			break
		}
	}
	if r.waiting = append(r.waiting, p); len(r.waiting) > relayed {
		r.waiting = r.waiting[1:]
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// next takes the oldest that waits.
func (r *relay) next() (p Progress, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		return p, false
	}
	p, r.waiting = r.waiting[0], r.waiting[1:]
	return p, true
}

// drop forgets what waits.
func (r *relay) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = nil
}

func (r *relay) run(watch Watch) {
	defer close(r.ended)
	for over := false; !over; {
		select {
		case <-r.news:
		case <-r.over:
			over = true
		}
		for p, ok := r.next(); ok; p, ok = r.next() {
			watch(p)
		}
	}
}

func (r *relay) end() {
	close(r.over)
	late := time.NewTimer(seenWithin)
	defer late.Stop()
	select {
	case <-r.ended:
	case <-late.C:
		r.drop()
	}
}
