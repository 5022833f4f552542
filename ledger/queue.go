package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	batchSize  = 1024                   // entries in one transaction, at most
	lateAfter  = time.Second            // a noted entry that waited longer is late
	firstRetry = 100 * time.Millisecond // after a failure; doubled up to
	lastRetry  = 30 * time.Second
)

// item is one entry on its way.
type item struct {
	entry  Entry
	answer chan error // of an appended entry, with room for one; nil for a noted one
	noted  time.Time
	taken  bool // it is in the transaction that is being made
	kept   bool // it lies in the emergency file
}

// queue stands between the callers and the one writer. It keeps their order, puts
// what waits into one transaction, and holds noted entries until they are durable.
// It knows nothing of databases or files.
type queue struct {
	store  func([]*item) error // makes all durable, in order, or none; sets Seq and Recorded
	keep   func([]Entry) error // puts entries into the emergency file
	forget func() error        // removes that file
	stamp  func(*Entry) *Entry // says when an entry was handed in; nil, or what is to be noted before it

	wake chan struct{} // has room for one: there is something to do
	done chan struct{} // closed when the writer has ended

	mu      sync.Mutex
	waiting []*item
	notes   int           // how many of waiting are noted
	settled chan struct{} // closed once notes is 0 again
	cause   error         // why the last attempt failed
	onFile  bool          // the emergency file exists
	closed  bool
}

// start begins the writing, with entries that an earlier process left behind.
func (q *queue) start(left []Entry, onFile bool) {
	q.wake, q.done = make(chan struct{}, 1), make(chan struct{})
	q.onFile = onFile
	for _, e := range left {
		e.Late = true
		q.add(&item{entry: e, kept: true})
	}
	if onFile {
		q.poke()
	}
	go q.run()
}

// add wants q.mu held, or nobody else there yet.
func (q *queue) add(it *item) {
	q.waiting = append(q.waiting, it)
	if it.answer == nil {
		if q.notes == 0 {
			q.settled = make(chan struct{})
		}
		q.notes++
	}
}

// addStamped is add for what was handed in just now: under the lock, so that stamps go
// on in the order of the entries.
func (q *queue) addStamped(it *item) {
	if first := q.stamp(&it.entry); first != nil {
		q.add(&item{entry: *first, noted: time.Now()})
	}
	q.add(it)
}

// poke never blocks: a signal that is already waiting will do for this one as well.
func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// append puts e at the end and waits until it is durable.
func (q *queue) append(ctx context.Context, e Entry) (Entry, error) {
	if err := context.Cause(ctx); err != nil {
		return Entry{}, fmt.Errorf("the entry was not written: %w", err)
	}
	it := &item{entry: e, answer: make(chan error, 1)}
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return Entry{}, ErrClosed
	}
	q.addStamped(it)
	q.mu.Unlock()
	q.poke()

	select {
	case err := <-it.answer:
		return it.written(err)
	case <-ctx.Done():
	}
	if q.withdraw(it) {
		return Entry{}, fmt.Errorf("the entry was not written: %w", context.Cause(ctx))
	}
	select {
	case err := <-it.answer:
		return it.written(err)
	default:
		return Entry{}, fmt.Errorf("the entry was being written, and may yet appear: %w", context.Cause(ctx))
	}
}

func (it *item) written(err error) (Entry, error) {
	if err != nil {
		return Entry{}, err
	}
	return it.entry, nil
}

// withdraw takes it out again, unless the writer has begun with it.
func (q *queue) withdraw(it *item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.Index(q.waiting, it)
	if at < 0 || it.taken {
		return false
	}
	q.waiting = slices.Delete(q.waiting, at, at+1)
	return true
}

// note puts e at the end and does not wait. Once the queue is closed there is only
// the emergency file.
func (q *queue) note(e Entry) {
	q.mu.Lock()
	if !q.closed {
		q.addStamped(&item{entry: e, noted: time.Now()})
		q.mu.Unlock()
		q.poke()
		return
	}
	q.mu.Unlock()
	q.stamp(&e)
	e.Late = true
	err := q.keep([]Entry{e})
	q.mu.Lock()
	q.cause = errors.Join(q.cause, err)
	q.mu.Unlock()
}

// flush waits until no noted entry waits any more.
func (q *queue) flush(ctx context.Context) error {
	q.mu.Lock()
	n, settled := q.notes, q.settled
	q.mu.Unlock()
	if n == 0 {
		return nil
	}
	q.poke()
	select {
	case <-settled:
		return nil
	case <-ctx.Done():
		return q.unsettled(context.Cause(ctx))
	case <-q.done:
		return q.unsettled(ErrClosed)
	}
}

// unsettled says how many noted entries are not in the ledger, and why; nil if all are.
func (q *queue) unsettled(because error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.notes == 0 {
		return nil
	}
	lost := 0
	for _, it := range q.waiting {
		if it.answer == nil && !it.kept {
			lost++
		}
	}
	err := fmt.Errorf("%d entries are not in the ledger yet, %d of them not in the emergency file either", q.notes, lost)
	return errors.Join(err, because, q.cause)
}

func (q *queue) pending() (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.notes, q.cause
}

// close makes one last attempt at what waits, and ends the writer.
func (q *queue) close() error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.poke()
	<-q.done
	if err := q.unsettled(nil); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.onFile { // all is written, but tidy failed
		return q.cause
	}
	return nil
}

// run is the writer. It makes an attempt whenever something comes in, and after a
// failure also by itself, with backoff.
func (q *queue) run() {
	defer close(q.done)
	pause := firstRetry
	retry := time.NewTimer(pause)
	retry.Stop()
	for {
		select {
		case <-q.wake:
		case <-retry.C:
			pause = min(2*pause, lastRetry)
		}
		q.mu.Lock()
		last := q.closed // nothing comes in any more: this attempt sees all there is
		q.mu.Unlock()
		switch wrote := q.drain(); {
		case last:
			return
		case wrote:
			pause = firstRetry
			retry.Stop()
		default:
			retry.Reset(pause)
		}
	}
}

// drain writes until nothing waits, and reports whether it could.
func (q *queue) drain() bool {
	for {
		batch := q.take()
		if len(batch) == 0 {
			return q.tidy()
		}
		if err := q.store(batch); err != nil {
			q.refuse(err)
			q.rescue()
			return false
		}
		q.deliver(batch)
	}
}

// take returns what the next transaction is to hold.
func (q *queue) take() []*item {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := slices.Clone(q.waiting[:min(len(q.waiting), batchSize)])
	for _, it := range batch {
		it.taken = true
		if it.answer == nil && time.Since(it.noted) > lateAfter {
			it.entry.Late = true
		}
	}
	return batch
}

// deliver takes the batch, which is durable now, off the queue.
func (q *queue) deliver(batch []*item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.cause = nil
	q.waiting = slices.Delete(q.waiting, 0, len(batch))
	for _, it := range batch {
		if it.answer != nil {
			it.answer <- nil
			continue
		}
		if q.notes--; q.notes == 0 {
			close(q.settled)
		}
	}
}

// refuse tells every caller that waits for its entry that it was not written, also
// those behind the batch: they may not overtake the noted entries, which stay.
func (q *queue) refuse(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.cause = err
	q.waiting = slices.DeleteFunc(q.waiting, func(it *item) bool {
		if it.answer != nil {
			it.answer <- err
			return true
		}
		it.taken = false
		return false
	})
}

// rescue puts the noted entries that wait into the emergency file.
func (q *queue) rescue() {
	q.mu.Lock()
	var unsafe []*item
	var entries []Entry
	for _, it := range q.waiting {
		if it.answer == nil && !it.kept {
			it.entry.Late = true
			unsafe, entries = append(unsafe, it), append(entries, it.entry)
		}
	}
	q.mu.Unlock()
	if len(entries) == 0 {
		return
	}
	err := q.keep(entries)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.cause = errors.Join(q.cause, err)
	q.onFile = true // also after an error: a part may be there
	for _, it := range unsafe {
		it.kept = err == nil
	}
}

// tidy removes the emergency file once the ledger holds all that lies there.
func (q *queue) tidy() bool {
	q.mu.Lock()
	onFile := q.onFile
	q.mu.Unlock()
	if !onFile {
		return true
	}
	err := q.forget()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.onFile, q.cause = err != nil, err
	return err == nil
}
