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
	// Yields tells whether others go first: then each call is followed by a rest of several
	// times its length. It is set before Wrap, and nil for a source that never yields.
	Yields func() bool

	mu    sync.Mutex
	calls int       // that are with the server
	since time.Time // when one of them was answered last, or the first was made
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
	// A source that yields rests for so many times as long as it was busy, within bounds: short
	// calls cost the most beside what they bring.
	yieldFor    = 8
	leastRest   = 50 * time.Millisecond
	longestRest = 500 * time.Millisecond
)

// rest has a source yield after a call that began at began.
func (p *Pace) rest(ctx context.Context, began time.Time) {
	if p.Yields == nil || !p.Yields() {
		return
	}
	t := time.NewTimer(min(max(yieldFor*time.Since(began), leastRest), longestRest))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Wrap returns src, watched.
func (p *Pace) Wrap(src Source) Source { return paced{src, p} }

type paced struct {
	Source
	pace *Pace
}

func (s paced) ReadDir(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	defer s.pace.rest(ctx, time.Now())
	defer s.pace.call()()
	return s.Source.ReadDir(ctx, dir)
}

func (s paced) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	defer s.pace.rest(ctx, time.Now())
	defer s.pace.call()()
	return s.Source.Stat(ctx, name)
}

func (s paced) Open(ctx context.Context, name string) (File, error) {
	defer s.pace.rest(ctx, time.Now())
	defer s.pace.call()()
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
	defer f.pace.rest(f.ctx, time.Now())
	defer f.pace.call()()
	return f.File.ReadAt(p, off)
}
