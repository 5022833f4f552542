package proof

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Head is a signed statement of what a ledger held: its first Size entries have the
// root Root. Two heads of one key that contradict each other prove that somebody
// changed the ledger.
type Head struct {
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Root   Hash   `json:"root"`
	Note   string `json:"note"` // the signed note, from which the rest was read
}

// maxHead bounds a head's note, in bytes.
const maxHead = 16 << 10

// Origin is the first line of the heads that the key of that name signs.
func Origin(name string) string { return "airlock/" + name }

// text is what is signed: a checkpoint as C2SP defines it (c2sp.org/tlog-checkpoint).
func (h Head) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", h.Origin, h.Size, h.Root)
}

// SignHead makes the head of a tree. The same tree gives the same head, byte for byte.
func SignHead(size int64, root Hash, key note.Signer) (Head, error) {
	h := Head{Origin: Origin(key.Name()), Size: size, Root: root}
	signed, err := note.Sign(&note.Note{Text: h.text()}, key)
	if err != nil {
		return Head{}, fmt.Errorf("sign the ledger's head: %w", err)
	}
	h.Note = string(signed)
	return h, nil
}

// OpenHead reads a head and checks its signature by one of the keys; the key's name is
// the origin's.
func OpenHead(signed []byte, keys ...note.Verifier) (Head, error) {
	h, err := ReadHead(signed)
	if err != nil {
		return Head{}, err
	}
	n, err := note.Open(signed, note.VerifierList(keys...))
	if err != nil {
		return Head{}, fmt.Errorf("a head of the ledger: %w", err)
	}
	if n.Text != h.text() {
		return Head{}, errors.New("no head of a ledger: more is signed than a head")
	}
	for _, sig := range n.Sigs {
		if Origin(sig.Name) == h.Origin {
			return h, nil
		}
	}
	return Head{}, fmt.Errorf("a head of %q is signed by %q, and not by its own key", h.Origin, n.Sigs[0].Name)
}

// ReadHead reads a head and does not look at its signatures.
func ReadHead(signed []byte) (Head, error) {
	if len(signed) > maxHead {
		return Head{}, fmt.Errorf("%d bytes are no head of a ledger", len(signed))
	}
	text, signatures, ok := strings.Cut(string(signed), "\n\n")
	lines := strings.Split(text, "\n")
	if !ok || len(lines) != 3 || !strict(signatures) {
		return Head{}, errors.New("no head of a ledger: it has three lines, an empty one, and signatures")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return Head{}, errors.New("no head of a ledger: its second line is no size")
	}
	h := Head{Origin: lines[0], Size: size, Note: string(signed)}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != len(h.Root) {
		return Head{}, errors.New("no head of a ledger: its third line is no hash")
	}
	copy(h.Root[:], root)
	if !strings.HasPrefix(h.Origin, "airlock/") || h.text() != text+"\n" {
		return Head{}, errors.New("no head of a ledger: it is not written as airlock writes it")
	}
	return h, nil
}

// strict reports whether a note's signatures are base64 to the last bit; package note would
// overlook one or two.
func strict(signatures string) bool {
	for line := range strings.Lines(signatures) {
		sig := strings.TrimSuffix(line[strings.LastIndexByte(line, ' ')+1:], "\n")
		if _, err := base64.StdEncoding.Strict().DecodeString(sig); err != nil {
			return false
		}
	}
	return true
}

// Conflict says that a ledger is not the one that a head was signed for.
type Conflict struct {
	Head Head  `json:"head"` // kept outside
	Size int64 `json:"size"` // of the ledger's tree that was compared: the head's, or less if the ledger is shorter
	Root Hash  `json:"root"` // of that tree
}

// Error says what was found, for a person.
func (c *Conflict) Error() string {
	if c.Size < c.Head.Size {
		return fmt.Sprintf("the ledger has %d entries, and %d when this head was signed: entries were removed, or an older copy was put back", c.Size, c.Head.Size)
	}
	return fmt.Sprintf("the first %d entries are others than when this head was signed: root %s, and %s in the head", c.Size, c.Root, c.Head.Root)
}

// Against compares the head with the tree of the first size ≤ h.Size entries of a
// ledger: nil, or a *Conflict.
func (h Head) Against(size int64, root Hash) error {
	if size == h.Size && root == h.Root {
		return nil
	}
	return &Conflict{Head: h, Size: size, Root: root}
}

// Stamp is a head that an authority outside saw at a time; what it says is checked by
// package stamp.
type Stamp struct {
	Head  Head      `json:"head"`
	At    time.Time `json:"at"`    // what the token says
	Token []byte    `json:"token"` // RFC 3161, in DER; in base64 as JSON
}
