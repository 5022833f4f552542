package proof

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"
)

// ErrExport says that a file is no export, or none that is whole.
var ErrExport = errors.New("no export of a ledger")

// Bounds of an export that is read. Whatever the file holds, reading it takes no more
// than some tens of megabytes.
const (
	maxLine   = 1 << 20 // bytes
	maxKeys   = 100
	maxStamps = 100_000
	maxWindow = 8 << 20 // of zstd, bytes
	batchSize = 512     // lines that are made ready together
)

// exportVersion is the newest form of an export; a whole one is of the first.
const exportVersion = 2

// Header begins an export.
type Header struct {
	Version int       `json:"version"`
	Site    string    `json:"site"`
	Made    time.Time `json:"made"`
	By      string    `json:"by"` // which program
	// Of an export that is a part: how many entries came before, and the hashes of the
	// tree over them as Edge.Hashes has them.
	After int64  `json:"after,omitempty"`
	Edge  []Hash `json:"edge,omitempty"`
}

// Behind makes h the header of a part that begins after the entries of the tree.
func (h Header) Behind(tree Edge) Header {
	h.After, h.Edge = tree.Size(), tree.Hashes()
	return h
}

// trailer ends an export: how many lines of each kind it has.
type trailer struct {
	Entries  int64 `json:"entries"`
	Heads    int64 `json:"heads"`
	Stamps   int64 `json:"stamps"`
	Receipts int64 `json:"receipts"`
}

// section is a line of an export that is no entry: one key says which.
type section struct {
	Export  *Header         `json:"export,omitempty"`
	Key     string          `json:"key,omitempty"`
	Head    string          `json:"head,omitempty"`
	Stamp   *Stamp          `json:"stamp,omitempty"`
	Receipt json.RawMessage `json:"receipt,omitempty"`
	End     *trailer        `json:"end,omitempty"`
}

// Writer writes an export, line by line. Entries and heads go in by their order: a head
// after the last entry that it is about. Nothing is whole before Close.
type Writer struct {
	zip   *zstd.Encoder
	after int64
	line  []byte
	count trailer
	err   error
}

// NewWriter begins an export. Version is set; keys are public keys, for whoever has no
// better source of them: an auditor brings one.
func NewWriter(w io.Writer, h Header, keys ...string) (*Writer, error) {
	zip, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxWindow/2))
	if err != nil {
		return nil, err
	}
	x := &Writer{zip: zip, after: h.After}
	if h.Version, h.Made = 1, h.Made.UTC().Round(0); h.After != 0 {
		h.Version = exportVersion
	}
	x.section(section{Export: &h})
	for _, key := range keys {
		x.section(section{Key: key})
	}
	return x, x.err
}

func (x *Writer) section(s section) {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		x.err = errors.Join(x.err, err)
		return
	}
	x.write(line.Bytes())
}

func (x *Writer) write(line []byte) {
	if x.err == nil && len(line) > maxLine {
		x.err = fmt.Errorf("%w: a line of %d bytes; the longest has %d", ErrExport, len(line), maxLine)
	}
	if x.err == nil {
		_, x.err = x.zip.Write(line)
	}
}

// Entry adds an entry, in its canonical form.
func (x *Writer) Entry(e *Entry) error {
	var err error
	if x.line, err = AppendLeaf(x.line[:0], e); err != nil {
		return fmt.Errorf("entry %d: %w", e.Seq, err)
	}
	x.count.Entries++
	x.write(append(x.line, '\n'))
	return x.err
}

// Head adds a signed head.
func (x *Writer) Head(h Head) error {
	x.count.Heads++
	x.section(section{Head: h.Note})
	return x.err
}

// Stamp adds a time-stamp of a head that is there, too.
func (x *Writer) Stamp(s Stamp) error {
	x.count.Stamps++
	x.section(section{Stamp: &s})
	return x.err
}

// Receipt adds what a vault signed: a JSON object that this package does not look into.
func (x *Writer) Receipt(receipt json.RawMessage) error {
	x.count.Receipts++
	x.section(section{Receipt: receipt})
	return x.err
}

// After is how many entries come before the part that this export is; 0 if it is whole.
func (x *Writer) After() int64 { return x.after }

// errAborted is what is wrong with an export that its writer gave up.
var errAborted = errors.New("the export was given up")

// Abort ends the writing without the end that an export has: what was written is none.
func (x *Writer) Abort() error {
	x.err = errors.Join(x.err, errAborted)
	return x.zip.Close()
}

// Close makes the export whole, unless something failed before. The file below it is
// the caller's.
func (x *Writer) Close() error {
	if x.err == nil {
		x.section(section{End: &x.count})
	}
	return errors.Join(x.err, x.zip.Close())
}

// Export is what is to be known of an export besides what an audit of it comes to.
type Export struct {
	Header   Header   `json:"header"`
	Keys     []string `json:"keys"` // as the file has them: whoever wrote it may have put in any
	Stamps   int64    `json:"stamps"`
	Receipts int64    `json:"receipts"`
}

// Options of VerifyExport.
type Options struct {
	Keys     []note.Verifier // by which heads have to be signed
	Outside  []Head          // kept elsewhere, and their signatures checked
	Progress func(entries int64)
	// Stamp and Receipt are told of each time-stamp and receipt, in their order; each may
	// be nil. They are not called at the same time. That a stamped head is this ledger's is
	// looked at here; whether its token can be believed is not.
	Stamp   func(Stamp) error
	Receipt func(json.RawMessage) error
}

// VerifyExport audits an export. What is wrong with the ledger is a finding; ErrExport
// says that the file is no export, or was cut or damaged, and then the report is about
// what could be read. It reads a stream, in bounded memory, whatever that holds.
func VerifyExport(ctx context.Context, r io.Reader, o Options) (Export, Report, error) {
	x := exportReader{options: o}
	a := NewAudit(o.Keys, o.Outside...)
	err := a.Run(ctx, x.batches(r), o.Progress)
	a.Until(x.export.Header.Made)
	for _, h := range x.stamped {
		a.compareStamped(h)
	}
	if r := a.report; len(o.Keys) > 0 && r.Entries > 0 && x.count.Heads == 0 && r.Outside == 0 {
		a.found(0, true, "head", "no signed head is there: nothing shows who wrote this")
	}
	return x.export, a.End(), err
}

// Leaves yields the canonical forms of an export's entries, and keeps none of them. It
// holds the file to its form, and does not look at what it says. header is told first
// how it begins. An error, which is ErrExport or of r, comes last.
func Leaves(r io.Reader, header func(Header) error) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		x := exportReader{tell: header}
		err := x.read(r, func(batch []line) bool {
			for _, l := range batch {
				if l.leaf != nil && !yield(l.leaf, nil) {
					return false
				}
			}
			return true
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

// exportReader reads the lines of an export, and holds them to their order.
type exportReader struct {
	options Options
	tell    func(Header) error // may be nil
	export  Export
	count   trailer
	began   bool
	body    bool // entries have begun
	ended   bool
	number  int64 // of the line
	stamped []Head
}

func (x *exportReader) batches(r io.Reader) iter.Seq2[func() []Item, error] {
	return func(yield func(func() []Item, error) bool) {
		begun := false
		err := x.read(r, func(batch []line) bool {
			if !begun && x.export.Header.After > 0 {
				begun = true
				edge, err := EdgeFrom(x.export.Header.After, x.export.Header.Edge)
				if !yield(func() []Item { return []Item{{begin: &edge, fault: err}} }, nil) {
					return false
				}
			}
			return yield(func() []Item { return itemsOf(batch) }, nil)
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

// read reads the whole file, and gives its lines away by batches, until take says no.
func (x *exportReader) read(r io.Reader, take func([]line) bool) error {
	zip, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(2*maxWindow))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrExport, err)
	}
	defer zip.Close() // returns nothing: it only frees memory
	lines := bufio.NewReaderSize(zip, maxLine+1)
	for err == nil { // up to what stands behind its end
		var batch []line
		batch, err = x.batch(lines)
		if len(batch) > 0 && !take(batch) {
			return nil
		}
	}
	if !errors.Is(err, io.EOF) || !x.ended {
		return x.refuse(err)
	}
	return nil
}

// refuse says where the file stops to be an export.
func (x *exportReader) refuse(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		err = errors.New("it ends before its end: it was cut")
	case errors.Is(err, bufio.ErrBufferFull):
		err = fmt.Errorf("a line is longer than %d bytes", maxLine)
	}
	return fmt.Errorf("%w: line %d: %w", ErrExport, x.number+1, err)
}

// line is an entry or a head of an export.
type line struct {
	leaf []byte
	head string
}

func itemsOf(batch []line) []Item {
	items := make([]Item, len(batch))
	for i, l := range batch {
		if l.leaf == nil {
			items[i] = ItemOfHead([]byte(l.head))
		} else {
			items[i] = ItemOfLeaf(l.leaf)
		}
	}
	return items
}

// batch reads some lines. An error comes with what was read before it.
func (x *exportReader) batch(lines *bufio.Reader) (batch []line, err error) {
	for size := 0; len(batch) < batchSize && size < maxLine; {
		data, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(data) > 0 {
			err = errors.New("its last line is cut")
		}
		if err != nil {
			return batch, err
		}
		data = data[:len(data)-1]
		l, err := x.line(data)
		if err != nil {
			return batch, err
		}
		if l.leaf != nil || l.head != "" {
			batch, size = append(batch, l), size+len(data)
		}
		x.number++
	}
	return batch, nil
}

func (x *exportReader) line(data []byte) (line, error) {
	switch {
	case x.ended:
		return line{}, errors.New("something stands behind its end")
	case x.began && bytes.HasPrefix(data, []byte(`{"v":`)):
		x.body = true
		x.count.Entries++
		return line{leaf: bytes.Clone(data)}, nil
	}
	var s section
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil || dec.More() {
		return line{}, errors.New("it is no line of an export")
	}
	return x.section(s, data)
}

// section takes a line that is no entry. It has to be written as a Writer writes it.
func (x *exportReader) section(s section, data []byte) (line, error) {
	var again bytes.Buffer
	enc := json.NewEncoder(&again)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil || !bytes.Equal(bytes.TrimSuffix(again.Bytes(), []byte("\n")), data) {
		return line{}, errors.New("it is not written as airlock writes it")
	}
	switch kind := sectionKind(s); {
	case kind == "":
		return line{}, errors.New("it is none of the parts of an export, or several")
	case kind == "export":
		return line{}, x.header(*s.Export)
	case !x.began:
		return line{}, errors.New("it does not begin as an export does")
	case kind == "key":
		return line{}, x.key(s.Key)
	case kind == "head":
		x.body = true
		x.count.Heads++
		return line{head: s.Head}, nil
	case kind == "stamp":
		return line{}, x.stamp(*s.Stamp)
	case kind == "receipt":
		x.count.Receipts++
		x.export.Receipts++
		if x.options.Receipt == nil {
			return line{}, nil
		}
		return line{}, x.options.Receipt(bytes.Clone(s.Receipt))
	default:
		if x.ended = true; *s.End != x.count {
			return line{}, fmt.Errorf("its end says %+v, and it has %+v", *s.End, x.count)
		}
		return line{}, nil
	}
}

// sectionKind is the one key of a section; "" if it has none, or several.
func sectionKind(s section) string {
	kind := ""
	for _, k := range [...]struct {
		name string
		has  bool
	}{
		{"export", s.Export != nil}, {"key", s.Key != ""}, {"head", s.Head != ""},
		{"stamp", s.Stamp != nil}, {"receipt", s.Receipt != nil}, {"end", s.End != nil},
	} {
		switch {
		case k.has && kind != "":
			return ""
		case k.has:
			kind = k.name
		}
	}
	return kind
}

func (x *exportReader) header(h Header) error {
	switch {
	case x.began:
		return errors.New("it begins twice")
	case h.Version < 1 || h.Version > exportVersion:
		return fmt.Errorf("it has version %d, and this program knows versions up to %d: use a newer one", h.Version, exportVersion)
	case (h.Version == 1) != (h.After == 0):
		return fmt.Errorf("it is a part, or whole, and has version %d", h.Version)
	}
	if _, err := EdgeFrom(h.After, h.Edge); err != nil {
		return err
	}
	h.Site, h.By = clip(h.Site), clip(h.By)
	x.began, x.export.Header = true, h
	if x.tell != nil {
		return x.tell(h)
	}
	return nil
}

func (x *exportReader) key(key string) error {
	if x.body || len(x.export.Keys) == maxKeys || len(key) > maxHead {
		return errors.New("a key stands where none belongs, or there are too many")
	}
	x.export.Keys = append(x.export.Keys, clip(key))
	return nil
}

func (x *exportReader) stamp(s Stamp) error {
	h, err := ReadHead([]byte(s.Head.Note))
	switch {
	case err != nil:
		return fmt.Errorf("a time-stamp: %w", err)
	case len(x.stamped) == maxStamps:
		return fmt.Errorf("it has more than %d time-stamps", maxStamps)
	}
	x.count.Stamps++
	x.export.Stamps++
	x.stamped = append(x.stamped, Head{Size: h.Size, Root: h.Root})
	if x.options.Stamp == nil {
		return nil
	}
	return x.options.Stamp(s)
}
