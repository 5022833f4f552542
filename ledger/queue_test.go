package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errDisk = errors.New("disk on fire")

// disk is what a queue writes to, and can be broken, slow or stuck.
type disk struct {
	mu       sync.Mutex
	broken   bool
	brokenEF bool          // the emergency file cannot be written
	takes    time.Duration // how long a transaction takes
	attempts []time.Duration
	began    time.Time
	commits  [][]string // reasons, a slice for each transaction
	late     []string
	kept     []string
}

func (d *disk) store(batch []*item) error {
	time.Sleep(d.takes) // in the bubble's time
	d.mu.Lock()
	defer d.mu.Unlock()
	d.attempts = append(d.attempts, time.Since(d.began))
	if d.broken {
		return errDisk
	}
	var reasons []string
	for _, it := range batch {
		reasons = append(reasons, it.entry.Reason)
		if it.entry.Late {
			d.late = append(d.late, it.entry.Reason)
		}
	}
	d.commits = append(d.commits, reasons)
	return nil
}

func (d *disk) keep(entries []Entry) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.brokenEF {
		return errDisk
	}
	for _, e := range entries {
		d.kept = append(d.kept, e.Reason)
	}
	return nil
}

func (d *disk) forget() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = nil
	return nil
}

func (d *disk) set(broken bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = broken
}

func (d *disk) written() []string { return slices.Concat(d.commits...) }

// inBubble runs f with a queue before d, on a clock of its own.
func inBubble(t *testing.T, d *disk, f func(t *testing.T, q *queue)) {
	synctest.Test(t, func(t *testing.T) {
		d.began = time.Now()
		q := &queue{store: d.store, keep: d.keep, forget: d.forget, stamp: unseen}
		q.start(nil, false)
		f(t, q)
		synctest.Wait()
		if err := q.close(); err != nil {
			t.Error(err)
		}
	})
}

func reason(s string) Entry { return Entry{Reason: s} }

func wantWritten(t *testing.T, d *disk, want ...string) {
	t.Helper()
	if got := d.written(); !slices.Equal(got, want) {
		t.Errorf("written: %q, want %q", got, want)
	}
}

func TestWaitingAppendsShareATransaction(t *testing.T) {
	d := &disk{takes: time.Second}
	inBubble(t, d, func(t *testing.T, q *queue) {
		var all sync.WaitGroup
		for n := range 17 {
			all.Go(func() {
				if _, err := q.append(t.Context(), reason(fmt.Sprint(n))); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		all.Wait()
		if len(d.commits) != 2 || len(d.commits[1]) != 16 {
			t.Errorf("transactions: %q; want the first alone and 16 together", d.commits)
		}
		if took := time.Since(d.began); took != 2*time.Second {
			t.Errorf("it took %v, want 2s", took)
		}
	})
}

// S2: Shutting waits for nothing: not for the ledger.
func TestNoteDoesNotWait(t *testing.T) {
	d := &disk{takes: time.Hour}
	inBubble(t, d, func(t *testing.T, q *queue) {
		for n := range 3 * batchSize {
			q.note(reason(fmt.Sprint(n)))
			synctest.Wait() // the first transaction hangs from here on
		}
		if took := time.Since(d.began); took != 0 {
			t.Errorf("noting took %v", took)
		}
		if n, _ := q.pending(); n != 3*batchSize {
			t.Errorf("%d are pending, want %d", n, 3*batchSize)
		}
		if err := q.flush(t.Context()); err != nil {
			t.Error(err)
		}
		if n, cause := q.pending(); n != 0 || cause != nil {
			t.Errorf("after flush %d are pending, %v", n, cause)
		}
		if got := d.written(); len(got) != 3*batchSize || !slices.IsSortedFunc(got, func(a, b string) int { return len(a) - len(b) }) {
			t.Errorf("%d are written, or not in order", len(got))
		}
		if len(d.late) != 3*batchSize-1 {
			t.Errorf("%d are late, want all but the first: they waited for an hour", len(d.late))
		}
	})
}

// S2: logged as soon as it can be, marked late, and in order.
func TestNotedSurvivesRefusals(t *testing.T) {
	d := &disk{}
	inBubble(t, d, func(t *testing.T, q *queue) {
		q.note(reason("in time"))
		synctest.Wait()
		d.set(true)
		q.note(reason("shutting"))
		q.note(reason("shut"))
		synctest.Wait()
		if _, err := q.append(t.Context(), reason("intent")); !errors.Is(err, errDisk) {
			t.Errorf("append behind late entries: %v; want the disk's error", err)
		}
		if want := []string{"shutting", "shut"}; !slices.Equal(d.kept, want) {
			t.Errorf("the emergency file holds %q, want %q", d.kept, want)
		}
		if n, cause := q.pending(); n != 2 || !errors.Is(cause, errDisk) {
			t.Errorf("pending are %d because of %v; want 2 and the disk's error", n, cause)
		}
		d.set(false)
		if _, err := q.append(t.Context(), reason("intent")); err != nil {
			t.Error(err)
		}
		if took := time.Since(d.began); took != 0 {
			t.Errorf("the append waited %v for the backoff, and need not have", took)
		}
		synctest.Wait()
		wantWritten(t, d, "in time", "shutting", "shut", "intent")
		if want := []string{"shutting", "shut"}; !slices.Equal(d.late, want) {
			t.Errorf("late are %q, want %q", d.late, want)
		}
		if d.kept != nil {
			t.Errorf("the emergency file still holds %q", d.kept)
		}
	})
}

func TestRetriesBackOff(t *testing.T) {
	d := &disk{broken: true}
	inBubble(t, d, func(t *testing.T, q *queue) {
		q.note(reason("shut"))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		d.set(false)
		time.Sleep(lastRetry)
		synctest.Wait()
		ms := time.Millisecond
		want := []time.Duration{0, 100 * ms, 300 * ms, 700 * ms, 1500 * ms, 3100 * ms, 6300 * ms, 12700 * ms, 25500 * ms, 51100 * ms, 81100 * ms, 111100 * ms, 141100 * ms}
		if !slices.Equal(d.attempts, want) {
			t.Errorf("attempts at %v, want %v", d.attempts, want)
		}
		wantWritten(t, d, "shut")
	})
}

func TestAppendWithdrawn(t *testing.T) {
	d := &disk{takes: time.Minute}
	inBubble(t, d, func(t *testing.T, q *queue) {
		ended, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := q.append(ended, reason("begun")); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "may yet appear") {
				t.Errorf("an entry that was being written: %v", err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if _, err := q.append(ended, reason("waiting")); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "was not written") {
				t.Errorf("an entry that was waiting: %v", err)
			}
		})
		all.Wait()
		if took := time.Since(d.began); took != time.Second {
			t.Errorf("the callers waited %v, want 1s", took)
		}
		if _, err := q.append(ended, reason("too late")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with an ended context: %v", err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		wantWritten(t, d, "begun")
	})
}

// What waits behind a full transaction is refused with it, and does not overtake.
func TestRefusalReachesAll(t *testing.T) {
	d := &disk{broken: true, takes: time.Second}
	inBubble(t, d, func(t *testing.T, q *queue) {
		for n := range batchSize + 1 {
			q.note(reason(fmt.Sprint(n)))
		}
		if _, err := q.append(t.Context(), reason("intent")); !errors.Is(err, errDisk) {
			t.Errorf("append: %v; want the disk's error", err)
		}
		if took := time.Since(d.began); took > 2*time.Second {
			t.Errorf("the refusal took %v", took)
		}
		d.set(false)
		if err := q.flush(t.Context()); err != nil {
			t.Error(err)
		}
		if got := d.written(); len(got) != batchSize+1 {
			t.Errorf("%d are written, want %d", len(got), batchSize+1)
		}
	})
}

func TestFlushSaysWhatIsMissing(t *testing.T) {
	d := &disk{broken: true, brokenEF: true}
	inBubble(t, d, func(t *testing.T, q *queue) {
		q.note(reason("shut"))
		bounded, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		err := q.flush(bounded)
		if !errors.Is(err, errDisk) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 entries are not in the ledger yet, 1 of them not in the emergency file either") {
			t.Errorf("flush: %v", err)
		}
		d.mu.Lock()
		d.brokenEF = false // the next attempt of the two finds the file usable
		d.mu.Unlock()
		time.Sleep(lastRetry)
		synctest.Wait()
		if !slices.Equal(d.kept, []string{"shut"}) {
			t.Errorf("the emergency file holds %q", d.kept)
		}
		d.set(false)
	})
	wantWritten(t, d, "shut") // by the last attempt, which close makes
}

func TestLeftOverIsWrittenUnasked(t *testing.T) {
	for _, left := range [][]Entry{nil, {reason("shutting"), reason("shut")}} {
		synctest.Test(t, func(t *testing.T) {
			d := &disk{kept: []string{"the file"}, began: time.Now()}
			q := &queue{store: d.store, keep: d.keep, forget: d.forget, stamp: unseen}
			q.start(left, true)
			synctest.Wait()
			if len(d.written()) != len(left) || len(d.late) != len(left) || d.kept != nil {
				t.Errorf("of %d entries left over %d are written, %d late; the emergency file holds %q", len(left), len(d.written()), len(d.late), d.kept)
			}
			if err := q.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{broken: true, began: time.Now()}
		q := &queue{store: d.store, keep: d.keep, forget: d.forget, stamp: unseen}
		q.start([]Entry{reason("left over")}, true)
		q.note(reason("shut"))
		if err := q.close(); !errors.Is(err, errDisk) || !strings.Contains(err.Error(), "2 entries are not in the ledger yet, 0 of them not") {
			t.Errorf("close: %v", err)
		}
		q.note(reason("stop"))
		if want := []string{"shut", "stop"}; !slices.Equal(d.kept, want) {
			t.Errorf("the emergency file got %q, want %q", d.kept, want)
		}
		if _, err := q.append(t.Context(), reason("intent")); !errors.Is(err, ErrClosed) {
			t.Errorf("append: %v; want ErrClosed", err)
		}
		if err := q.flush(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("flush: %v; want ErrClosed", err)
		}
	})
}

// S2: what is noted while an attempt fails, just before the end, is not lost.
func TestClosedDuringAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{broken: true, takes: time.Second, began: time.Now()}
		q := &queue{store: d.store, keep: d.keep, forget: d.forget, stamp: unseen}
		q.start(nil, false)
		q.note(reason("shutting"))
		synctest.Wait() // the attempt has begun
		q.note(reason("shut"))
		if err := q.close(); !errors.Is(err, errDisk) || !strings.Contains(err.Error(), "2 entries are not in the ledger yet, 0 of them not") {
			t.Errorf("close: %v", err)
		}
		if want := []string{"shutting", "shut"}; !slices.Equal(d.kept, want) {
			t.Errorf("the emergency file got %q, want %q", d.kept, want)
		}
	})
}

// unseen is a clock that nobody reads.
func unseen(*Entry) *Entry { return nil }
