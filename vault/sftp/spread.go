package sftp

import (
	"context"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/pkg/sftp"
	"golang.org/x/sync/errgroup"
)

const (
	// depth is how many pieces are on their way on one connection: together they are no
	// more than the 2 MiB that OpenSSH takes in before any of it is written.
	depth = 8

	// syncEvery is after how many bytes of a file the server is asked to bring them to its
	// disk: it does so while others arrive, and little is left for the end.
	syncEvery = 8 << 20
)

// piece is what one request carries.
type piece [packet]byte

// spread is a large file that is written over all connections at once. OpenSSH serves each
// by processes of its own, which do one thing at a time: one waits for the disk, or has no
// core, while others take in more. And no file waits until there are others to begin.
type spread struct {
	s     *Store
	ctx   context.Context
	temp  string
	maker *sftp.Client // who made the file, and has it as home
	home  *sftp.File

	written atomic.Int64
	mu      sync.Mutex
	ways    map[*line]*way
}

// way is the file as one connection has it.
type way struct {
	opening sync.Once
	file    *sftp.File
	leave   func() error
}

// fill writes all of r, and ends with the file open at home alone.
func (p *spread) fill(r io.Reader) (n int64, err error) {
	writing, working := errgroup.WithContext(p.ctx)
	for err == nil {
		var l *line
		select {
		case l = <-p.s.room:
		case <-working.Done():
			err = context.Cause(working)
			continue
		}
		b, at := p.s.pieces.Get().(*piece), n
		var size int
		size, err = readWhole(r, b[:])
		n += int64(size)
		writing.Go(func() error {
			defer func() { p.s.pieces.Put(b); p.s.room <- l }()
			return p.write(l, b[:size], at)
		})
	}
	if failed := writing.Wait(); failed != nil || err == io.EOF {
		err = failed
	}
	for _, w := range p.ways {
		if left := w.leave(); err == nil {
			err = left
		}
	}
	return n, err
}

// readWhole reads until b is full or r ends, which it says by io.EOF itself.
func readWhole(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}

func (p *spread) write(l *line, b []byte, off int64) error {
	if len(b) == 0 {
		return nil
	}
	f := p.on(l)
	if _, err := f.WriteAt(b, off); err != nil {
		return err
	}
	n := int64(len(b))
	if all := p.written.Add(n); syncs(p.maker) && all/syncEvery > (all-n)/syncEvery {
		return f.Sync()
	}
	return nil
}

// on is the file as a connection has it; home, where that cannot open it.
func (p *spread) on(l *line) *sftp.File {
	p.mu.Lock()
	w := p.ways[l]
	if w == nil {
		w = &way{file: p.home, leave: func() error { return nil }}
		p.ways[l] = w
	}
	p.mu.Unlock()
	w.opening.Do(func() {
		release := l.bind(p.ctx)
		c, err := l.session(p.ctx)
		if err == nil && c.Client != p.maker {
			var f *sftp.File
			if f, err = c.OpenFile(p.temp, os.O_WRONLY); err == nil {
				w.file, w.leave = f, func() error { defer release(); return f.Close() }
				return
			}
		}
		release()
	})
	return w.file
}
