// Package silence ends a connection on which something is awaited and nothing comes.
//
// Libraries for files on servers have calls that take no context, and wait for their
// answer as long as the connection stands. Keep-alives do not find that out: sshd and
// smbd answer them while the disk behind hangs. A [Watch] is told what is awaited and
// what comes, and ends the connection, by which every call on it ends.
package silence

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Err is in the error of a call that ended because the server said nothing.
var Err = errors.New("the server says nothing")

// Watch watches one connection. It is safe for concurrent use.
type Watch struct {
	limit time.Duration
	end   func()

	mu      sync.Mutex
	awaited int         // answers that are to come
	heard   time.Time   // the last sign of life, or when the first of them began to be awaited
	timer   *time.Timer // of end; nil until something is awaited
	ended   bool
}

// New makes a Watch. Once an answer is awaited and nothing was heard for limit, it calls
// end once, which must neither wait nor call the Watch.
func New(limit time.Duration, end func()) *Watch { return &Watch{limit: limit, end: end} }

// Asked says that one more answer is awaited.
func (w *Watch) Asked() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.awaited++
	if w.awaited > 1 || w.ended {
		return
	}
	w.heard = time.Now()
	if w.timer == nil {
		w.timer = time.AfterFunc(w.limit, w.look)
		return
	}
	w.timer.Reset(w.limit)
}

// Answered says that one of the awaited answers has come, or will no longer.
func (w *Watch) Answered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.awaited = max(0, w.awaited-1) // a server may answer what nobody asked
	w.heard = time.Now()
	if w.awaited == 0 && w.timer != nil {
		w.timer.Stop()
	}
}

// Heard says that the server lives: a part of an answer came, or it took in what was
// sent.
func (w *Watch) Heard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = time.Now()
}

func (w *Watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := w.limit - time.Since(w.heard)
	switch {
	case w.awaited == 0 || w.ended:
	case left > 0:
		w.timer.Reset(left)
	default:
		w.ended = true
		w.end()
	}
}

// Explain adds to an error, of a call on the connection, that silence ended it.
func (w *Watch) Explain(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil || !w.ended || errors.Is(err, Err) {
		return err
	}
	return fmt.Errorf("%w: not a byte for %v while an answer was due (%w)", Err, w.limit, err)
}
