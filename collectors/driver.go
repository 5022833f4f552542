package collectors

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
)

// This file holds what the drivers share. Their libraries take no contexts, or, as
// go-smb2, may spoil a connection when one ends in the middle of a write; so a driver
// never interrupts a call. It leaves the call behind: the caller is answered at
// once, and the call ends when it is answered or when its connection closes.

// Call runs f and returns what it returned, or, as soon as ctx ends, the cause of
// that. What f then still yields without an error is given to late, which may be nil.
func Call[T any](ctx context.Context, f func() (T, error), late func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	if ctx.Done() == nil {
		return f()
	}
	answer := make(chan result)
	go func() {
		v, err := f()
		select {
		case answer <- result{v, err}:
		case <-ctx.Done():
			if err == nil && late != nil {
				late(v)
			}
		}
	}()
	select {
	case r := <-answer:
		return r.value, r.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// Handle is what a library calls an open file.
type Handle interface {
	io.ReaderAt
	io.Closer
}

// NewFile makes a File of a library's handle. ctx bounds its life, info is what the
// file was when it was opened, and explain turns the library's errors into this
// package's.
func NewFile(ctx context.Context, name string, h Handle, info fs.FileInfo, explain func(error) error) File {
	return &file{ctx: ctx, name: name, handle: h, info: info, explain: explain}
}

type file struct {
	ctx     context.Context
	name    string
	info    fs.FileInfo
	explain func(error) error
	buffers sync.Pool // of *[]byte, for reads

	mu     sync.RWMutex // reads share it, so that a handle is closed only after the last
	handle Handle
	closed bool
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }

// ReadAt reads into a buffer of its own, because a read that was left behind may
// write long after p belongs to somebody else again.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	b, ok := f.buffers.Get().(*[]byte)
	if !ok || len(*b) < len(p) {
		own := make([]byte, len(p))
		b = &own
	}
	n, err := Call(f.ctx, func() (int, error) {
		f.mu.RLock()
		defer f.mu.RUnlock()
		if f.closed {
			return 0, fs.ErrClosed
		}
		return f.handle.ReadAt((*b)[:len(p)], off)
	}, nil)
	if f.ctx.Err() != nil { // the buffer may still be written to: it is not given back
		return 0, PathError("read", f.name, context.Cause(f.ctx))
	}
	copy(p, (*b)[:n])
	f.buffers.Put(b)
	switch {
	case err == io.EOF, err == nil && n < len(p): // go-smb2 ends a file without an error
		return n, io.EOF
	case err != nil:
		return n, PathError("read", f.name, f.explain(err))
	}
	return n, nil
}

// Close waits for reads in progress. Once ctx has ended it waits for nothing: a
// handle that could not be given back in good order ends with its connection.
func (f *file) Close() error {
	done := make(chan error, 1)
	go func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.closed {
			done <- fs.ErrClosed
			return
		}
		f.closed = true
		done <- f.handle.Close()
	}()
	select {
	case err := <-done:
		if err != nil {
			return PathError("close", f.name, f.explain(err))
		}
	case <-f.ctx.Done():
	}
	return nil
}

// CheckName refuses a name that is not one: every element is a name, none is "." or
// "..", and "." alone is the root. Unlike fs.ValidPath it takes bytes that are not
// UTF-8, since servers have such names. separators lists further bytes that the
// driver's server would take for a separator.
func CheckName(name, separators string) error {
	if name == "." {
		return nil
	}
	for element := range strings.SplitSeq(name, "/") {
		if i := strings.IndexAny(element, separators); i >= 0 {
			return fmt.Errorf("%w: over this protocol %q parts folders, so no name with it can be asked for; have the file renamed at the source, or gather by another way", fs.ErrInvalid, element[i:i+1])
		}
		if element == "" || element == "." || element == ".." || strings.Contains(element, "\x00") {
			return fmt.Errorf("%w: names are relative to the source's root and stay below it", fs.ErrInvalid)
		}
	}
	return nil
}

// PathError says what was done to which file, once: a path error of the library's
// own, which names the server's path, is taken off.
func PathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if inner, ok := err.(*fs.PathError); ok {
		err = inner.Err
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// Listing sorts what a server listed and leaves out all that is neither a file nor a
// folder.
func Listing(entries []fs.FileInfo) []fs.FileInfo {
	entries = slices.DeleteFunc(entries, func(e fs.FileInfo) bool {
		return !e.IsDir() && !e.Mode().IsRegular()
	})
	slices.SortFunc(entries, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return entries
}
