package proof

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// ErrNoContradiction says that a file does not prove what it is said to prove.
var ErrNoContradiction = errors.New("no proof of a contradiction")

// Contradiction proves, to whoever has the site's public key and nothing else, that a
// ledger is not the one it was. Its file is a signed note by that key, whose text is
//
//	airlock ledger contradiction
//	found 2026-11-22T04:00:00Z
//	kept by vault secondary, generation 7
//
// then an empty line, the head that was kept elsewhere, an empty line, and the head of the
// ledger as it was found, each as it was signed. Of the same size, the two have different
// roots: two ledgers were signed for. If the ledger's is smaller, entries were removed or
// an older copy was put back, and that came after the other head, which the note repeats.
type Contradiction struct {
	Found  time.Time `json:"found"`
	KeptBy string    `json:"kept_by"`
	Kept   Head      `json:"kept"`
	Ledger Head      `json:"ledger"`
}

const (
	contradictionTitle = "airlock ledger contradiction\n"
	maxContradiction   = 4 * maxHead // bytes
)

// String says what is proven.
func (c Contradiction) String() string {
	if c.Ledger.Size < c.Kept.Size {
		return fmt.Sprintf("the ledger had %d entries when %s was given its head, and %d on %s: entries were removed, or an older copy was put back", c.Kept.Size, c.KeptBy, c.Ledger.Size, c.Found.Format(time.RFC3339))
	}
	return fmt.Sprintf("two ledgers of %d entries were signed by one key: the head kept by %s has root %s, and the ledger found on %s has root %s", c.Kept.Size, c.KeptBy, c.Kept.Root, c.Found.Format(time.RFC3339), c.Ledger.Root)
}

// SignContradiction makes the file of a conflict; key has signed the head that was kept.
func SignContradiction(c *Conflict, keptBy string, found time.Time, key note.Signer) ([]byte, error) {
	own, err := SignHead(c.Size, c.Root, key)
	if err != nil {
		return nil, err
	}
	p := Contradiction{found.UTC().Truncate(time.Second), clip(keptBy), c.Head, own}
	signed, err := note.Sign(&note.Note{Text: p.text()}, key)
	if err != nil {
		return nil, fmt.Errorf("sign the proof of a contradiction: %w", err)
	}
	return signed, nil
}

func (c Contradiction) text() string {
	return fmt.Sprintf("%sfound %s\nkept by %s\n\n%s\n%s", contradictionTitle, c.Found.Format(time.RFC3339), c.KeptBy, c.Kept.Note, c.Ledger.Note)
}

// ContradictionFile reads a file if it begins as that of a contradiction does.
func ContradictionFile(name string) (file []byte, is bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, false, err
	}
	defer f.Close() // only read
	file = make([]byte, len(contradictionTitle))
	if _, err := io.ReadFull(f, file); err != nil || string(file) != contradictionTitle {
		return nil, false, nil // what it is, and what is wrong with it, others say
	}
	rest, err := io.ReadAll(io.LimitReader(f, maxContradiction))
	return append(file, rest...), true, err
}

// OpenContradiction reads the file of a contradiction. All three signatures have to be by
// one of keys, and the heads have to contradict each other: ErrNoContradiction otherwise.
func OpenContradiction(file []byte, keys ...note.Verifier) (Contradiction, error) {
	c, err := readContradiction(file)
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrNoContradiction, err)
	}
	err = errors.New("no key was given")
	for _, key := range keys {
		if err = c.check(file, key); err == nil {
			return c, nil
		}
	}
	return c, fmt.Errorf("%w: %w", ErrNoContradiction, err)
}

func readContradiction(file []byte) (c Contradiction, err error) {
	if len(file) > maxContradiction || !strings.HasPrefix(string(file), contradictionTitle) {
		return c, errors.New("it does not begin as one, or is too long")
	}
	bad := errors.New("it is not written as airlock writes it")
	// The signature of the whole stands after the last of the heads' own.
	text, signatures, ok := cutLast(string(file), "\n\n— ")
	top, heads, ok2 := strings.Cut(text+"\n", "\n\n")
	kept, own, ok3 := strings.Cut(heads, "\n\nairlock/")
	lines := strings.Split(top, "\n")
	if !ok || !strict(signatures) || !ok2 || !ok3 || len(lines) != 3 {
		return c, bad
	}
	if c.Found, err = time.Parse("found "+time.RFC3339, lines[1]); err != nil {
		return c, bad
	}
	c.KeptBy = strings.TrimPrefix(lines[2], "kept by ")
	if c.Kept, err = ReadHead([]byte(kept + "\n")); err != nil {
		return c, err
	}
	if c.Ledger, err = ReadHead([]byte("airlock/" + own)); err != nil {
		return c, err
	}
	if c.text() != text+"\n" || clip(c.KeptBy) != c.KeptBy {
		return c, bad
	}
	return c, nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// check wants the three signatures by key, and the heads to contradict each other.
func (c Contradiction) check(file []byte, key note.Verifier) error {
	for _, h := range []Head{c.Kept, c.Ledger} {
		if _, err := OpenHead([]byte(h.Note), key); err != nil {
			return err
		}
	}
	n, err := note.Open(file, note.VerifierList(key))
	switch {
	case err != nil:
		return err
	case n.Text != c.text():
		return errors.New("something else is signed")
	case c.Kept.Origin != c.Ledger.Origin, c.Ledger.Size > c.Kept.Size, c.Ledger.Size == c.Kept.Size && c.Ledger.Root == c.Kept.Root:
		return errors.New("its two heads do not contradict each other")
	}
	return nil
}
