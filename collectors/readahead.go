package collectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Block is the size of a read: what SMB servers give in one answer.
const Block = 1 << 20

// Reader reads a file in order, with several reads in flight. It is not safe for
// concurrent use.
type Reader struct {
	file   File
	info   fs.FileInfo
	name   string
	cancel context.CancelFunc
	depth  int

	asked  int64        // offset of the next read to send
	given  int64        // offset of the next byte for the consumer
	flight []chan block // reads in flight, in order
	front  []byte       // what is left of the block in hand
	spare  [][]byte     // buffers to use again
	held   []byte       // the buffer that front lies in
	err    error
}

type block struct {
	bytes []byte
	err   error
}

// ReadAhead opens a file and keeps up to depth reads of one Block in flight: at a
// round trip of 2 ms, six of them make the reading ten times as fast. It holds depth
// and one Blocks of memory at the most; a file of one Block or less takes one read
// and only its own size.
//
// The file is read to the size that it had when it was opened. What it grew since is
// for the next gathering; a file that shrank is io.ErrUnexpectedEOF, since no
// moment's contents can be had of it.
func ReadAhead(ctx context.Context, src Source, name string, depth int) (*Reader, error) {
	ctx, cancel := context.WithCancel(ctx)
	f, err := src.Open(ctx, name)
	if err != nil {
		cancel()
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		err = errors.Join(err, f.Close())
		cancel()
		return nil, err
	}
	return &Reader{file: f, info: info, name: name, cancel: cancel, depth: max(depth, 1)}, nil
}

// Stat tells what the file was when it was opened.
func (r *Reader) Stat() (fs.FileInfo, error) { return r.info, nil }

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.front) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.given >= r.info.Size() {
			return 0, io.EOF
		}
		r.next()
	}
	n := copy(p, r.front)
	r.front = r.front[n:]
	r.given += int64(n)
	return n, nil
}

// next takes the next block in hand, and sends reads for those behind it.
func (r *Reader) next() {
	if r.held != nil {
		r.spare = append(r.spare, r.held)
		r.held = nil
	}
	if len(r.flight) == 0 && r.asked+Block >= r.info.Size() { // one read: nothing to overlap with
		b := r.read(r.buffer(), r.asked)
		r.asked += int64(len(b.bytes))
		r.held, r.front, r.err = b.bytes, b.bytes, b.err
		return
	}
	for len(r.flight) < r.depth && r.asked < r.info.Size() {
		answer, buffer, off := make(chan block, 1), r.buffer(), r.asked
		go func() { answer <- r.read(buffer, off) }()
		r.asked += int64(len(buffer))
		r.flight = append(r.flight, answer)
	}
	b := <-r.flight[0]
	r.flight = r.flight[1:]
	r.held, r.front, r.err = b.bytes, b.bytes, b.err
}

func (r *Reader) buffer() []byte {
	size := min(Block, r.info.Size()-r.asked)
	if n := len(r.spare); n > 0 && int64(cap(r.spare[n-1])) >= size {
		b := r.spare[n-1][:size]
		r.spare = r.spare[:n-1]
		return b
	}
	return make([]byte, size)
}

func (r *Reader) read(b []byte, off int64) block {
	n, err := r.file.ReadAt(b, off)
	switch {
	case n == len(b):
		err = nil
	case err == io.EOF:
		err = PathError("read", r.name, fmt.Errorf("%w: it shrank from %d to %d bytes while it was read",
			io.ErrUnexpectedEOF, r.info.Size(), off+int64(n)))
	}
	return block{b[:n], err}
}

// Seek implements io.Seeker. What was read ahead elsewhere is thrown away; an error
// that Read returned stays.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.given
	case io.SeekEnd:
		offset += r.info.Size()
	}
	if offset < 0 {
		return r.given, PathError("seek", r.name, fs.ErrInvalid)
	}
	if offset != r.given {
		r.drain()
		r.given, r.asked, r.front = offset, offset, nil
	}
	return offset, nil
}

// drain waits for the reads in flight and throws away what they bring.
func (r *Reader) drain() {
	for _, answer := range r.flight {
		<-answer
	}
	r.flight = nil
}

// Close ends the reads in flight and closes the file. No goroutine outlives it.
func (r *Reader) Close() error {
	if len(r.flight) > 0 {
		r.cancel() // else the file would wait for reads that nobody wants
		r.drain()
	}
	defer r.cancel()
	r.front, r.err = nil, fs.ErrClosed
	return r.file.Close()
}
