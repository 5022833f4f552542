package vault

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

var errDamaged = errors.New("not the bytes that were catalogued")

// proof passes a blob's bytes on and ends with an error instead of io.EOF if they are
// not the blob's: damage never travels.
type proof struct {
	r     io.Reader
	want  Entry
	hash  hash.Hash
	moved func(n int64)
	count int64
	err   error // what went wrong with r
}

func newProof(r io.Reader, want Entry, moved func(n int64)) *proof {
	return &proof{r: r, want: want, hash: sha256.New(), moved: moved}
}

func (p *proof) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.r.Read(b)
	p.count += int64(n)
	p.hash.Write(b[:n])
	if n > 0 {
		p.moved(int64(n))
	}
	switch {
	case p.count > p.want.Size:
		p.err = fmt.Errorf("%w: more than %d bytes", errDamaged, p.want.Size)
	case err == io.EOF && p.count < p.want.Size:
		p.err = fmt.Errorf("%w: %d bytes of %d", errDamaged, p.count, p.want.Size)
	case err == io.EOF:
		var sum Sum
		if p.hash.Sum(sum[:0]); sum != p.want.SHA256 {
			p.err = fmt.Errorf("%w: SHA-256 %s instead of %s", errDamaged, sum, p.want.SHA256)
		}
	case err != nil:
		p.err = err
	}
	if p.err != nil {
		return n, p.err
	}
	return n, err
}
