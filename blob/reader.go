package blob

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// ErrDamaged: the bytes are not those that were written.
var ErrDamaged = errors.New("not the bytes that were catalogued")

// Reader passes a blob's bytes on, and ends with ErrDamaged instead of io.EOF if they are
// not the blob's: damage never travels.
type Reader struct {
	r     io.Reader
	size  int64
	sum   Sum
	hash  hash.Hash
	moved func(n int64)
	count int64
	err   error // what went wrong with r
}

// Verify reads from r what has to be a blob of so many bytes with that sum. moved, which
// may be nil, hears of the bytes as they come.
func Verify(r io.Reader, size int64, sum Sum, moved func(n int64)) *Reader {
	if moved == nil {
		moved = func(int64) {}
	}
	return &Reader{r: r, size: size, sum: sum, hash: sha256.New(), moved: moved}
}

// Count is how many bytes have come.
func (r *Reader) Count() int64 { return r.count }

// Err is what went wrong, nil as long as nothing did.
func (r *Reader) Err() error { return r.err }

func (r *Reader) Read(b []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.r.Read(b)
	r.count += int64(n)
	r.hash.Write(b[:n])
	if n > 0 {
		r.moved(int64(n))
	}
	switch {
	case r.count > r.size:
		r.err = fmt.Errorf("%w: more than %d bytes", ErrDamaged, r.size)
	case err == io.EOF && r.count < r.size:
		r.err = fmt.Errorf("%w: %d bytes of %d", ErrDamaged, r.count, r.size)
	case err == io.EOF:
		var sum Sum
		if r.hash.Sum(sum[:0]); sum != r.sum {
			r.err = fmt.Errorf("%w: SHA-256 %s instead of %s", ErrDamaged, sum, r.sum)
		}
	case err != nil:
		r.err = err
	}
	if r.err != nil {
		return n, r.err
	}
	return n, err
}
