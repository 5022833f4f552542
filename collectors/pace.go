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

// Wrap returns src, watched.
func (p *Pace) Wrap(src Source) Source { return paced{src, p} }

type paced struct {
	Source
	pace *Pace
}

func (s paced) ReadDir(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	defer s.pace.call()()
	return s.Source.ReadDir(ctx, dir)
}

func (s paced) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	defer s.pace.call()()
	return s.Source.Stat(ctx, name)
}

func (s paced) Open(ctx context.Context, name string) (File, error) {
	defer s.pace.call()()
	f, err := s.Source.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return pacedFile{f, s.pace}, nil
}

type pacedFile struct {
	File
	pace *Pace
}

func (f pacedFile) ReadAt(p []byte, off int64) (int, error) {
	defer f.pace.call()()
	return f.File.ReadAt(p, off)
}
