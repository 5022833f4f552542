package vault

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"airlock/blob"
)

// Bounds of a manifest's lines, in bytes.
const (
	longestHead = 32 << 20 // with all that lacks
	longestLine = 4 << 10  // of one blob
)

// Scan reads a generation's file blob by blob, and takes none that [Decode] refuses. What it
// gives has no Blobs: each was shown to each, whose error ends it. However long the file is,
// little of it is in memory at once.
func Scan(r io.Reader, each func(Entry) error) (g *Generation, sum blob.Sum, err error) {
	hash := sha256.New()
	in := bufio.NewReaderSize(io.TeeReader(io.LimitReader(r, maxGeneration+1), hash), 64<<10)
	line, err := lineOf(in, longestHead)
	if err != nil {
		return nil, sum, err
	}
	if g, err = decodeHead(line); err != nil {
		return nil, sum, err
	}
	lacks := make(map[string]bool, len(g.Lacks))
	for _, l := range g.Lacks {
		lacks[l.Name] = true
	}
	before := ""
	for more := true; more; {
		if line, err = lineOf(in, longestLine); err != nil {
			return nil, sum, err
		}
		if before == "" && string(line) == "]}\n" { // it has none
			break
		}
		var e Entry
		if e, more, err = decodeEntry(line); err != nil {
			return nil, sum, err
		}
		if e.Name <= before || lacks[e.Name] {
			return nil, sum, fmt.Errorf("not a sound generation: blob %s stands twice or in another order", e.Name)
		}
		before = e.Name
		if err := each(e); err != nil {
			return nil, sum, err
		}
		if !more {
			if line, err = lineOf(in, longestLine); err == nil && string(line) != "]}\n" {
				err = errOtherForm
			}
			if err != nil {
				return nil, sum, err
			}
		}
	}
	if _, err := in.ReadByte(); err != io.EOF {
		return nil, sum, errors.Join(errOtherForm, err)
	}
	hash.Sum(sum[:0])
	return g, sum, nil
}

// ScanHead reads all of a generation's file but its blobs. Nothing says that these are as
// they should be.
func ScanHead(r io.Reader) (*Generation, error) {
	line, err := lineOf(bufio.NewReaderSize(io.LimitReader(r, maxGeneration), 64<<10), longestHead)
	if err != nil {
		return nil, err
	}
	return decodeHead(line)
}

var errOtherForm = errors.New("not a generation as airlock writes it")

// lineOf reads a line, with its end.
func lineOf(r *bufio.Reader, longest int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > longest:
			return nil, fmt.Errorf("%w: a line is longer than %d bytes", errOtherForm, longest)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("%w: it ends too early", errOtherForm)
		}
		return line, err
	}
}

// decodeHead reads a file's first line.
func decodeHead(line []byte) (*Generation, error) {
	head, ok := bytes.CutSuffix(line, []byte(`,"blobs":[`+"\n"))
	if !ok {
		return nil, errOtherForm
	}
	g, err := Decode(append(append(bytes.Clone(head), `,"blobs":[`...), "\n]}\n"...))
	if err != nil {
		return nil, err
	}
	g.Blobs = nil
	return g, nil
}

// decodeEntry reads a line of a blob, and says whether another follows.
func decodeEntry(line []byte) (e Entry, more bool, err error) {
	text := bytes.TrimSuffix(line, []byte("\n"))
	text, more = bytes.CutSuffix(text, []byte(","))
	if err := json.Unmarshal(text, &e); err != nil {
		return e, false, fmt.Errorf("%w: %w", errOtherForm, err)
	}
	again, err := json.Marshal(e)
	if err == nil && !bytes.Equal(again, text) {
		err = errOtherForm
	}
	return e, more, errors.Join(err, e.check())
}
