package collectors

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
)

// ErrStalled: the source was asked, and gave nothing for too long.
var ErrStalled = errors.New("not one byte came from the source")

// Pace sees whether a source answers. It stands right around the driver, inside the Gate,
// so that waiting for a turn is nobody's fault. The zero Pace is ready.
type Pace struct {
	// Yields tells whether others go first: then one call is made at a time, and followed by a
	// rest of several times its length. It is set before Wrap, and nil for a source that never
	// yields.
	Yields func() bool

	mu    sync.Mutex
	calls int           // that are with the server
	since time.Time     // when one of them was answered last, or the first was made
	alone chan struct{} // holds the one call of a source that yields, and its rest
}

// Silent is for how long calls have been with the server and none was answered; 0 while
// none is.
func (p *Pace) Silent(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls == 0 {
		return 0
	}
	return now.Sub(p.since)
}

// Stalled is the error of a source that was silent for so long.
func Stalled(silent time.Duration) error { return fmt.Errorf("%w for %v", ErrStalled, silent) }

func (p *Pace) call() (answered func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls++; p.calls == 1 {
		p.since = time.Now()
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.calls--
		p.since = time.Now()
	}
}

const (
	// A source that yields rests for so many times as long as it was busy, and not too shortly:
	// short calls cost the most beside what they bring. Five such sources have a fifth of one
	// processor together. It ends once nobody has to go first any more, which is looked at so
	// often.
	yieldFor  = 24
	leastRest = 50 * time.Millisecond
	restLook  = 500 * time.Millisecond
)

// pass begins a call, and ends it by what it returns. While the source yields it goes
// through alone: with some dozens of files and blocks at a time, rests of each by itself would
// leave no gap. ctx bounds the waiting; the call that follows finds out by itself.
func (p *Pace) pass(ctx context.Context) (end func()) {
	leave := func() {}
	if p.yields() {
		leave = p.goAlone(ctx)
	}
	began := time.Now()
	answered := p.call()
	return func() {
		answered()
		p.rest(ctx, time.Since(began))
		leave()
	}
}

func (p *Pace) yields() bool { return p.Yields != nil && p.Yields() }

func (p *Pace) goAlone(ctx context.Context) (leave func()) {
	p.mu.Lock()
	if p.alone == nil {
		p.alone = make(chan struct{}, 1)
	}
	alone := p.alone
	p.mu.Unlock()
	select {
	case alone <- struct{}{}:
		return func() { <-alone }
	case <-ctx.Done():
		return func() {}
	}
}

// rest has a source yield after a call that took so long.
func (p *Pace) rest(ctx context.Context, took time.Duration) {
	for left := max(yieldFor*took, leastRest); left > 0 && p.yields() && ctx.Err() == nil; left -= restLook {
		t := time.NewTimer(min(left, restLook))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
}

// Wrap returns src, watched.
func (p *Pace) Wrap(src Source) Source { return paced{src, p} }

type paced struct {
	Source
	pace *Pace
}

func (s paced) ReadDir(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	defer s.pace.pass(ctx)()
	return s.Source.ReadDir(ctx, dir)
}

func (s paced) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	defer s.pace.pass(ctx)()
	return s.Source.Stat(ctx, name)
}

func (s paced) Open(ctx context.Context, name string) (File, error) {
	defer s.pace.pass(ctx)()
	f, err := s.Source.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return pacedFile{f, ctx, s.pace}, nil
}

type pacedFile struct {
	File
	ctx  context.Context // as of Open, which bounds all calls on the file
	pace *Pace
}

func (f pacedFile) ReadAt(p []byte, off int64) (int, error) {
	defer f.pace.pass(f.ctx)()
	return f.File.ReadAt(p, off)
}
