package collectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"
)

// Dial opens a Source. ctx bounds the opening only.
type Dial func(ctx context.Context) (Source, error)

// Within gives each dialling no longer than limit.
func (d Dial) Within(limit time.Duration) Dial {
	return func(ctx context.Context) (Source, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w: it did not answer within %v", ErrGone, limit))
		defer cancel()
		return d(ctx)
	}
}

// Redial carries on over a lost connection: when a call ends in ErrGone, it dials
// again and repeats the call. All callers share one dialling.
//
// A file that was open is opened again by its name, and read on only if size and
// time of last change are still what they were; otherwise that file fails, and no
// other. After the last try has failed, and at once after an ErrAuth (servers lock
// accounts for trying again) or an ErrNotEntered, every later call fails with the same error.
type Redial struct {
	Tries    int           // after each loss; default 8. A call is repeated as often at the most
	Pause    time.Duration // before the second try, doubled for each later one; default 1 s
	MaxPause time.Duration // default 1 min
}

func (r Redial) withDefaults() Redial {
	if r.Tries <= 0 {
		r.Tries = 8
	}
	if r.Pause <= 0 {
		r.Pause = time.Second
	}
	if r.MaxPause <= 0 {
		r.MaxPause = time.Minute
	}
	return r
}

// Open dials for the first time, once: a wrong address is told at once.
func (r Redial) Open(ctx context.Context, dial Dial) (Source, error) {
	r = r.withDefaults()
	src, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	return &redialled{conf: r, dial: dial, life: life, stop: stop, src: src}, nil
}

type redialled struct {
	conf Redial
	dial Dial
	life context.Context // of dialling, which outlives the call that found the loss
	stop context.CancelFunc

	mu      sync.Mutex
	src     Source
	number  int           // counts the connections
	dialled chan struct{} // closed when the dialling in progress has ended; nil if none is
	dead    error         // why there will be no other connection
}

// connection returns the present one and its number, after any dialling in progress.
func (s *redialled) connection(ctx context.Context) (Source, int, error) {
	for {
		s.mu.Lock()
		src, number, dialled, dead := s.src, s.number, s.dialled, s.dead
		s.mu.Unlock()
		switch {
		case dead != nil:
			return nil, 0, dead
		case dialled == nil:
			return src, number, nil
		}
		select {
		case <-dialled:
		case <-ctx.Done():
			return nil, 0, context.Cause(ctx)
		}
	}
}

// lost starts the dialling, unless somebody did since connection number was given.
// The old Source is closed after its number is past, so that the calls which that
// breaks off know why.
func (s *redialled) lost(number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.number != number || s.dead != nil {
		return
	}
	s.number++
	s.dialled = make(chan struct{})
	go s.redial(s.src)
}

func (s *redialled) past(number int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.number != number && !errors.Is(s.dead, fs.ErrClosed)
}

func (s *redialled) redial(old Source) {
	old.Close() // it is lost already, and its error would say so again
	src, err := s.try()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.dead != nil: // closed meanwhile
		if src != nil {
			src.Close()
		}
	case err != nil:
		s.dead = err
	default:
		s.src = src
	}
	close(s.dialled)
	s.dialled = nil
}

func (s *redialled) try() (Source, error) {
	pause := s.conf.Pause
	for n := 1; ; n++ {
		src, err := s.dial(s.life)
		switch {
		case err == nil:
			return src, nil
		case errors.Is(err, ErrAuth), errors.Is(err, ErrNotEntered):
			return nil, err
		case n == s.conf.Tries:
			return nil, fmt.Errorf("%w: %d tries to reach it again failed, the last: %w", ErrGone, n, err)
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, s.conf.MaxPause)
		case <-s.life.Done():
			return nil, fs.ErrClosed
		}
	}
}

// do repeats f on new connections until it says something about the file.
func (s *redialled) do(ctx context.Context, f func(Source, int) error) error {
	for n := 0; ; n++ {
		src, number, err := s.connection(ctx)
		if err != nil {
			return err
		}
		err = f(src, number)
		switch {
		case err == nil, ctx.Err() != nil, n == s.conf.Tries:
			return err
		case errors.Is(err, ErrGone):
			s.lost(number)
		case !s.past(number):
			return err
		}
	}
}

func (s *redialled) ReadDir(ctx context.Context, dir string) (entries []fs.FileInfo, err error) {
	err = s.do(ctx, func(src Source, _ int) error {
		entries, err = src.ReadDir(ctx, dir)
		return err
	})
	return entries, named("list", dir, err)
}

func (s *redialled) Stat(ctx context.Context, name string) (info fs.FileInfo, err error) {
	err = s.do(ctx, func(src Source, _ int) error {
		info, err = src.Stat(ctx, name)
		return err
	})
	return info, named("stat", name, err)
}

func (s *redialled) Open(ctx context.Context, name string) (File, error) {
	f := &redialledFile{source: s, ctx: ctx, name: name, turn: make(slots, 1)}
	err := s.do(ctx, func(src Source, number int) (err error) {
		f.file, err = src.Open(ctx, name)
		f.number = number
		return err
	})
	if err != nil {
		return nil, named("open", name, err)
	}
	if f.info, err = f.file.Stat(); err != nil {
		return nil, errors.Join(named("stat", name, err), f.file.Close())
	}
	return f, nil
}

// Close ends the connection, or the dialling for one.
func (s *redialled) Close() error {
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.dead
	s.dead = fs.ErrClosed
	switch {
	case errors.Is(was, fs.ErrClosed):
		return fs.ErrClosed
	case was != nil, s.dialled != nil: // the last connection is closed already
		return nil
	}
	return s.src.Close()
}

type redialledFile struct {
	source *redialled
	ctx    context.Context
	name   string
	info   fs.FileInfo // of the first opening

	turn   slots // guards what follows; one read opens the file again, the others wait for it
	file   File
	number int // of the connection that file belongs to
	closed bool
}

func (f *redialledFile) Stat() (fs.FileInfo, error) { return f.info, nil }

func (f *redialledFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.source.do(f.ctx, func(src Source, number int) error {
		file, err := f.on(src, number)
		if err != nil {
			return err
		}
		n, err = file.ReadAt(p, off)
		return err
	})
	return n, named("read", f.name, err)
}

// on returns the file as connection number has it.
func (f *redialledFile) on(src Source, number int) (File, error) {
	if err := f.turn.take(f.ctx); err != nil {
		return nil, err
	}
	defer f.turn.free()
	switch {
	case f.closed:
		return nil, fs.ErrClosed
	case f.number == number:
		return f.file, nil
	}
	file, err := src.Open(f.ctx, f.name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && (info.Size() != f.info.Size() || !info.ModTime().Equal(f.info.ModTime())) {
		err = errors.New("it changed while the connection was lost; the next gathering reads it whole")
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	f.file, f.number = file, number
	return file, nil
}

// Close of a file whose connection is lost has nothing left to do.
func (f *redialledFile) Close() error {
	f.turn <- struct{}{} // whatever holds it ends with f's context, and no later
	defer f.turn.free()
	if f.closed {
		return PathError("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	if err := f.file.Close(); err != nil && !errors.Is(err, ErrGone) && !f.source.past(f.number) {
		return err
	}
	return nil
}

// named gives an error the file's name where it has none yet. The end of a file is
// no error.
func named(op, name string, err error) error {
	var path *fs.PathError
	if err == nil || err == io.EOF || errors.As(err, &path) {
		return err
	}
	return PathError(op, name, err)
}
