package vault

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"airlock/blob"
)

// Entry is one blob of a generation.
type Entry struct {
	Name   string   `json:"name"`
	Size   int64    `json:"size"` // bytes
	SHA256 blob.Sum `json:"sha256"`
	Path   string   `json:"path,omitempty"` // where it lies, when that is not BlobPath(Name)
}

// At is where the blob's bytes lie in the vault.
func (e Entry) At() string { return cmp.Or(e.Path, BlobPath(e.Name)) }

func (e Entry) check() error {
	if err := checkBlobName(e.Name); err != nil {
		return err
	}
	if e.Size < 0 {
		return fmt.Errorf("blob %s has size %d", e.Name, e.Size)
	}
	if e.Path != "" && e.Path != versionPath(e.Name, e.SHA256) {
		return fmt.Errorf("blob %s lies at %q, not at its own version's place", e.Name, e.Path)
	}
	return nil
}

// Generation is what the vault held at the end of one window.
//
// Its file is JSON in one form only: the fields in this order, one blob a line,
// sorted by name. [Decode] takes no other, so that equal generations are equal bytes.
type Generation struct {
	Number   int64        // 1, 2, 3 …
	Site     string       // whose repository
	Vault    string       // the vault's name in the policy file
	Window   string       // the window's ID
	Time     time.Time    // when the plan was made; UTC, whole milliseconds
	Previous blob.Sum     // of the file of the generation before; zero for the first
	Ledger   string       // the ledger's checkpoint; "" for none
	Lacks    []blob.Fault // sorted by name; empty for a whole generation
	Blobs    []Entry      // sorted by name
}

// head is all of a generation's file but the blobs, which come last.
type head struct {
	Format   int          `json:"airlock_generation"`
	Number   int64        `json:"number"`
	Site     string       `json:"site"`
	Vault    string       `json:"vault"`
	Window   string       `json:"window"`
	Time     time.Time    `json:"time"`
	Previous blob.Sum     `json:"previous"`
	Ledger   string       `json:"ledger,omitempty"`
	Lacks    []blob.Fault `json:"lacks,omitempty"`
}

const generationFormat = 1

// maxGeneration bounds a manifest, in bytes: over two million blobs, 40 TB of packs.
const maxGeneration = 256 << 20

// Encode gives the bytes of the generation's file. Blobs and Lacks are sorted in place.
func (g *Generation) Encode() ([]byte, error) {
	slices.SortFunc(g.Blobs, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(g.Lacks, func(a, b blob.Fault) int { return strings.Compare(a.Name, b.Name) })
	if err := g.check(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Grow(512 + 160*len(g.Blobs))
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(head{generationFormat, g.Number, g.Site, g.Vault, g.Window, g.Time, g.Previous, g.Ledger, g.Lacks}); err != nil {
		return nil, err
	}
	out.Truncate(out.Len() - len("}\n"))
	out.WriteString(`,"blobs":[`)
	for i, e := range g.Blobs {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
		if err := enc.Encode(e); err != nil {
			return nil, err
		}
		out.Truncate(out.Len() - len("\n"))
	}
	out.WriteString("\n]}\n")
	return out.Bytes(), nil
}

// Decode reads a generation's file, and refuses every file that Encode would not
// have written: unknown or doubled fields, doubled blobs, another order or spacing, a
// path that leads elsewhere.
func Decode(file []byte) (*Generation, error) {
	var in struct {
		head
		Blobs []Entry `json:"blobs"`
	}
	dec := json.NewDecoder(bytes.NewReader(file))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return nil, fmt.Errorf("not a generation: %w", err)
	}
	if in.Format != generationFormat {
		return nil, fmt.Errorf("a generation of format %d; this airlock reads format %d: use a newer one", in.Format, generationFormat)
	}
	g := &Generation{in.Number, in.Site, in.Vault, in.Window, in.Time, in.Previous, in.Ledger, in.Lacks, in.Blobs}
	again, err := g.Encode()
	if err != nil {
		return nil, fmt.Errorf("not a sound generation: %w", err)
	}
	if !bytes.Equal(again, file) {
		return nil, errors.New("not a generation as airlock writes it: the same content has other bytes")
	}
	return g, nil
}

// check wants a generation sorted.
func (g *Generation) check() error {
	if g.Number < 1 || g.Number > lastNumber {
		return fmt.Errorf("generation number %d", g.Number)
	}
	if g.Time.Location() != time.UTC || !g.Time.Equal(g.Time.Truncate(time.Millisecond)) {
		return fmt.Errorf("time %s is not in UTC and whole milliseconds", g.Time)
	}
	for _, text := range []string{g.Site, g.Vault, g.Window, g.Ledger} {
		if !utf8.ValidString(text) {
			return fmt.Errorf("%q is not UTF-8", text)
		}
	}
	for i, e := range g.Blobs {
		if err := e.check(); err != nil {
			return err
		}
		if i > 0 && g.Blobs[i-1].Name == e.Name {
			return fmt.Errorf("blob %s twice", e.Name)
		}
	}
	for i, l := range g.Lacks {
		if err := checkBlobName(l.Name); err != nil {
			return err
		}
		if !utf8.ValidString(l.Why) {
			return fmt.Errorf("why %s lacks is not UTF-8: %q", l.Name, l.Why)
		}
		if _, held := g.Blob(l.Name); held || i > 0 && g.Lacks[i-1].Name == l.Name {
			return fmt.Errorf("lacking blob %s twice", l.Name)
		}
	}
	return nil
}

// Hash is the SHA-256 of the generation's file, by which the next one names it.
func (g *Generation) Hash() (blob.Sum, error) {
	file, err := g.Encode()
	return sha256.Sum256(file), err
}

// Blob finds a blob by its name.
func (g *Generation) Blob(name string) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(g.Blobs, name, func(e Entry, name string) int { return strings.Compare(e.Name, name) })
	if !ok {
		return Entry{}, false
	}
	return g.Blobs[i], true
}
