package smbconn

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// piece is the most that one request carries (servers take no more, and the library
	// sends what is more one by one); inFlight of them are on their way for each file.
	piece    = 1 << 20
	inFlight = 4
)

// Session is what can be done with files over one connection. Names are
// slash-separated and relative to the folder, which is ".". Errors are as [Explain] has
// them.
type Session struct {
	ctx   context.Context
	files *Files
	line  *line
	conn  *Conn
}

// Explain says what an error of a call means: that the connection is lost, which is then
// dropped, or that ctx is done.
func (s *Session) Explain(err error) error {
	if err == nil {
		return nil
	}
	err = s.conn.Explain(err)
	if errors.Is(err, ErrGone) {
		s.line.drop(s.conn)
	}
	if cause := context.Cause(s.ctx); cause != nil && !errors.Is(err, cause) {
		err = errors.Join(cause, err)
	}
	return err
}

func (s *Session) at(name string) string { return path.Join(s.files.root, name) }

// Stat describes a file or a folder, and follows no link.
func (s *Session) Stat(name string) (fs.FileInfo, error) {
	defer s.conn.Asked()()
	return s.conn.Share.Lstat(s.at(name))
}

// List lists a folder.
func (s *Session) List(dir string) ([]fs.FileInfo, error) {
	defer s.conn.Asked()()
	return s.conn.Share.ReadDir(s.at(dir))
}

// Remove removes a file, also one that is marked as read-only.
func (s *Session) Remove(name string) error {
	defer s.conn.Asked()()
	return s.conn.Share.Remove(s.at(name))
}

// Chtimes sets when a file was written to.
func (s *Session) Chtimes(name string, t time.Time) error {
	defer s.conn.Asked()()
	return s.conn.Share.Chtimes(s.at(name), t, t)
}

// ErrNoFolder: the folder that a file shall lie in is missing.
var ErrNoFolder = errors.New("the folder is missing")

// Write fills a new file with size bytes of r, reading that to its end, and has the
// server put them on its disk. fs.ErrExist if there is such a file, ErrNoFolder if its
// folder is missing; nothing of r is read then. After another error the file may be there
// in part.
func (s *Session) Write(name string, size int64, r io.Reader) (fs.FileInfo, error) {
	f, err := s.conn.open(s.at(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNoFolder, err)
	}
	if err != nil {
		return nil, err
	}
	n, err := s.pour(f, r)
	if err == nil && n != size {
		err = fmt.Errorf("got %d bytes instead of %d", n, size)
	}
	if err == nil {
		err = f.Sync()
	}
	var info fs.FileInfo
	if err == nil {
		info, err = f.Stat()
	}
	if err == nil && info.Size() != size {
		err = fmt.Errorf("the server kept %d bytes of %d", info.Size(), size)
	}
	return info, errors.Join(err, f.Close())
}

// pour writes all of r, with some requests in flight. A failure can leave holes.
func (s *Session) pour(f *handle, r io.Reader) (int64, error) {
	var writing errgroup.Group
	var failed atomic.Bool
	writing.SetLimit(inFlight)
	var off int64
	var reading error
	for reading == nil && !failed.Load() {
		if reading = context.Cause(s.ctx); reading != nil {
			break
		}
		b := s.files.buffers.Get().(*[piece]byte)
		var n int
		n, reading = fill(r, b[:])
		at := off
		off += int64(n)
		writing.Go(func() error {
			defer s.files.buffers.Put(b)
			if n == 0 {
				return nil
			}
			_, err := f.WriteAt(b[:n], at)
			if err != nil {
				failed.Store(true)
			}
			return err
		})
	}
	err := writing.Wait()
	if reading != nil && reading != io.EOF {
		return off, errors.Join(reading, err)
	}
	return off, err
}

// fill reads until b is full or r ends, which it says by io.EOF itself.
func fill(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}

// Replace gives a file another name, and replaces what has it.
func (s *Session) Replace(from, to string) error {
	defer s.conn.Asked()()
	return s.conn.Share.Rename(s.at(from), s.at(to))
}

// Publish gives a file another name if that is free, and fs.ErrExist if it is not.
//
// The protocol could say so in one request, but the library's rename always replaces.
// So whoever publishes under a name first claims it: a file, claim, is made where none
// is and held open, which no server lets anybody else remove meanwhile. The claim ends
// with the connection, so one that a cut left behind is removed by the next to come.
// This holds against everybody who publishes in this way; a program that puts a file
// under the very name, in the instant between the look and the rename, would lose it.
func (s *Session) Publish(from, to, claim string) error {
	held, err := s.claim(claim, to)
	if err != nil {
		return err
	}
	if err = s.free(to); err == nil {
		err = s.Replace(from, to)
	}
	err = errors.Join(err, held.Close())
	_ = s.Remove(claim) // a claim that stays behind holds nobody up
	return err
}

// free is fs.ErrExist if something has the name.
func (s *Session) free(name string) error {
	_, err := s.Stat(name)
	switch {
	case err == nil:
		return fs.ErrExist
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// claim waits until nobody else publishes under a name, which takes some round trips.
func (s *Session) claim(claim, name string) (*handle, error) {
	const pause = 10 * time.Millisecond
	for {
		held, err := s.conn.open(s.at(claim), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil || !errors.Is(err, fs.ErrExist) && !has(err, statusSharingViolation, statusDeletePending) {
			return held, err
		}
		if err := s.free(name); err != nil {
			return nil, err
		}
		if s.Remove(claim) == nil { // nobody holds it any more
			continue
		}
		select {
		case <-s.ctx.Done():
			return nil, context.Cause(s.ctx)
		case <-time.After(pause):
		}
	}
}

// MakeFolder makes a folder and those above it, as far as the folder that these Files
// are, and none above that. One that is there already is no error.
func (s *Session) MakeFolder(dir string) error {
	err := s.conn.makeFolder(s.at(dir))
	if errors.Is(err, fs.ErrNotExist) && dir != "." {
		if err := s.MakeFolder(path.Dir(dir)); err != nil {
			return err
		}
		err = s.conn.makeFolder(s.at(dir))
	}
	if err == nil {
		return s.SyncFolder(path.Dir(dir))
	}
	if info, missing := s.Stat(dir); missing == nil && info.IsDir() {
		return nil // somebody else came first, or it is the share itself
	}
	return fmt.Errorf("make folder %s: %w; the folder above it must exist", s.at(dir), err)
}

// SyncFolder has the server make the names in a folder durable. One that does not do
// that for folders is left to its own ways.
func (s *Session) SyncFolder(dir string) error {
	f, err := s.conn.open(s.at(dir), os.O_RDWR, 0o700)
	if err != nil {
		return unlessOurs(err)
	}
	return errors.Join(unlessOurs(f.Sync()), f.Close())
}

// unlessOurs drops what a server says that does not sync folders.
func unlessOurs(err error) error {
	if lost(err) {
		return err
	}
	return nil
}

// Open opens a file.
func (s *Session) Open(name string) (*File, error) {
	f, err := s.conn.open(s.at(name), os.O_RDONLY, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%w: %s is a folder", fs.ErrInvalid, name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &File{f, info.Size()}, nil
}

// File is an open file.
type File struct {
	file *handle
	size int64
}

// Size is what it was when the file was opened, in bytes.
func (f *File) Size() int64 { return f.size }

// Close gives it back.
func (f *File) Close() error { return f.file.Close() }

// ReadAt implements io.ReaderAt, with several requests in flight.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	var reading errgroup.Group
	reading.SetLimit(inFlight)
	counts := make([]int, (len(p)+piece-1)/piece)
	for i := range counts {
		reading.Go(func() (err error) {
			part := p[i*piece : min((i+1)*piece, len(p))]
			counts[i], err = f.file.ReadAt(part, off+int64(i*piece))
			if err == io.EOF { // the library often ends a file without saying so
				err = nil
			}
			return err
		})
	}
	err := reading.Wait()
	n := 0
	for i, count := range counts {
		n += count
		if n < min((i+1)*piece, len(p)) {
			break
		}
	}
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// Range reads n bytes from off, and fewer if the file ends before.
func (f *File) Range(off, n int64) io.Reader {
	n = max(0, min(n, f.size-off))
	return bufio.NewReaderSize(io.NewSectionReader(f, off, n), int(min(n, inFlight*piece)))
}
