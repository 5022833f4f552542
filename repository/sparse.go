package repository

import (
	"bytes"
	"os"
)

// hole is the smallest run of zeros that is left out of a file, at multiples of itself:
// a disk image takes no more room than what is in it, and nothing else is cut to pieces.
const hole = 64 << 10

// sparse writes a file from its beginning, and leaves holes where there are zeros.
type sparse struct {
	file *os.File
	off  int64 // of the next byte
	long int64 // so many bytes are in the file, holes included
}

// Write implements io.Writer.
func (s *sparse) Write(p []byte) (n int, err error) {
	for n < len(p) {
		piece := p[n:min(len(p), n+int(hole-s.off%hole))]
		if len(piece) < hole || !zero(piece) {
			if _, err := s.file.WriteAt(piece, s.off); err != nil {
				return n, err
			}
			s.long = s.off + int64(len(piece))
		}
		n += len(piece)
		s.off += int64(len(piece))
	}
	return n, nil
}

// end gives the file its whole length.
func (s *sparse) end() error {
	if s.long == s.off {
		return nil
	}
	return s.file.Truncate(s.off)
}

// zero tells whether all bytes are: each is as the one before it, and the first is.
func zero(p []byte) bool { return p[0] == 0 && bytes.Equal(p[1:], p[:len(p)-1]) }
