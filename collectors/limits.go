package collectors

import (
	"context"
	"fmt"
	"io/fs"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// Limits say how hard a department's server may be worked. A zero field is no limit.
type Limits struct {
	Bandwidth   int64 // bytes a second, over all files of the source together
	Concurrency int   // files open at once; as many listings again may run beside them
}

// Wrap returns src within the limits. An Open waits for its turn until ctx ends;
// whoever opened a file must close it.
func (l Limits) Wrap(src Source) Source {
	s := limited{Source: src}
	if l.Concurrency > 0 {
		s.files, s.lists = make(slots, l.Concurrency), make(slots, l.Concurrency)
	}
	if l.Bandwidth > 0 {
		// A quarter of a second at once, so that a slow limit is smooth and a fast
		// one does not cut reads into crumbs.
		piece := min(max(l.Bandwidth/4, 16<<10), 1<<20)
		s.bytes = rate.NewLimiter(rate.Limit(l.Bandwidth), int(piece))
	}
	return s
}

type limited struct {
	Source
	files, lists slots
	bytes        *rate.Limiter
}

// slots are taken by sending; nil slots are unlimited.
type slots chan struct{}

func (s slots) take(ctx context.Context) error {
	if s == nil {
		return nil
	}
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s slots) free() {
	if s != nil {
		<-s
	}
}

func (s limited) ReadDir(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	if err := s.lists.take(ctx); err != nil {
		return nil, PathError("list", dir, err)
	}
	defer s.lists.free()
	return s.Source.ReadDir(ctx, dir)
}

func (s limited) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	if err := s.lists.take(ctx); err != nil {
		return nil, PathError("stat", name, err)
	}
	defer s.lists.free()
	return s.Source.Stat(ctx, name)
}

func (s limited) Open(ctx context.Context, name string) (File, error) {
	if err := s.files.take(ctx); err != nil {
		return nil, PathError("open", name, err)
	}
	f, err := s.Source.Open(ctx, name)
	if err != nil {
		s.files.free()
		return nil, err
	}
	return &limitedFile{File: f, source: s, ctx: ctx, name: name}, nil
}

type limitedFile struct {
	File
	source limited
	ctx    context.Context
	name   string
	closed atomic.Bool
}

// ReadAt pays for each piece before it is read.
func (f *limitedFile) ReadAt(p []byte, off int64) (int, error) {
	if f.source.bytes == nil {
		return f.File.ReadAt(p, off)
	}
	n := 0
	for n < len(p) {
		piece := p[n:min(len(p), n+f.source.bytes.Burst())]
		if err := f.pay(len(piece)); err != nil {
			return n, PathError("read", f.name, err)
		}
		m, err := f.File.ReadAt(piece, off+int64(n))
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (f *limitedFile) pay(n int) error {
	err := f.source.bytes.WaitN(f.ctx, n)
	switch {
	case f.ctx.Err() != nil:
		return context.Cause(f.ctx)
	case err != nil: // the limiter sees that the deadline comes before the turn
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return nil
}

func (f *limitedFile) Close() error {
	err := f.File.Close()
	if !f.closed.Swap(true) {
		f.source.files.free()
	}
	return err
}
