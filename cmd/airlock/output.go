package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"airlock/orchestrator"
)

// printed is standard output: what came of a command. That it could not be written is a
// failure, whatever else went well. It may wait for its reader, for by then the doors are
// shut.
type printed struct {
	out    io.Writer
	failed func(error) // is told of the first failure

	mu  sync.Mutex
	err error
}

func (p *printed) Write(data []byte) (int, error) {
	n, err := p.out.Write(data)
	p.fail(err)
	return n, err
}

func (p *printed) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil || p.err != nil {
		return
	}
	p.err = err
	p.failed(fmt.Errorf("what came of it cannot be written: %w", err))
}

// close ends standard output: some disks and servers say only then that they are full.
func (p *printed) close() {
	if c, ok := p.out.(io.Closer); ok {
		p.fail(c.Close())
	}
}

// or gives err, or why the output was not written. A reader that has seen enough is told
// nothing more than an exit code.
func (p *printed) or(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var silent exitStatus
	switch known := err == nil || errors.Is(err, p.err) || errors.Is(err, context.Canceled); {
	case p.err == nil:
		return err
	case known && errors.Is(p.err, syscall.EPIPE):
		return exitStatus(exitFailed)
	case errors.Is(err, p.err), errors.As(err, &silent):
		return err
	}
	return errors.Join(err, fmt.Errorf("what came of it could not be written: %w", p.err))
}

// outlet takes a log and never makes anybody wait (S2), whatever becomes of its reader: a
// pipe that is full, a terminal that was stopped or is gone, a full disk. What finds no
// room is counted, and lost.
type outlet struct {
	out   io.Writer
	lines chan any // []byte, or chan struct{} to be closed once what came before is written
	lost  atomic.Int64
}

// outletLines is how many lines wait for a reader.
const outletLines = 4096

func newOutlet(out io.Writer) *outlet {
	o := &outlet{out: out, lines: make(chan any, outletLines)}
	go o.run()
	return o
}

func (o *outlet) Write(data []byte) (int, error) {
	select {
	case o.lines <- append([]byte(nil), data...):
	default:
		o.lost.Add(1)
	}
	return len(data), nil
}

func (o *outlet) run() {
	for l := range o.lines {
		switch l := l.(type) {
		case []byte:
			if n := o.lost.Swap(0); n > 0 {
				fmt.Fprintf(o.out, "airlock: %d lines of the log were lost here, for nobody took them\n", n)
			}
			_, _ = o.out.Write(l) // there is nobody left to tell
		case chan struct{}:
			close(l)
		}
	}
}

// flush returns once what was logged is written, or after within.
func (o *outlet) flush(within time.Duration) {
	late := time.NewTimer(within)
	defer late.Stop()
	written := make(chan struct{})
	select {
	case o.lines <- written:
	case <-late.C:
		return
	}
	select {
	case <-written:
	case <-late.C:
	}
}

// logWithin bounds how long a service that ends waits for the reader of its log.
const logWithin = 2 * time.Second

// logger is the log of a service, on standard error.
func (a *app) logger() *slog.Logger {
	if a.logs == nil {
		a.logs = newOutlet(a.errs)
	}
	return slog.New(slog.NewTextHandler(a.logs, nil))
}

// detached is the progress of an order on its way to whoever watches: the order does not
// wait for them, and they see it before its end, as far as they look.
func (a *app) detached() (orchestrator.Watch, func()) {
	show, end := a.progress()
	watch, seen := orchestrator.Detached(show)
	return watch, func() {
		seen()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			end()
		}()
		select {
		case <-ended:
		case <-time.After(logWithin):
		}
	}
}
