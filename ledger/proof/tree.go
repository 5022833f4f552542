package proof

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a hash of the tree.
type Hash = tlog.Hash

// Edge is what of a tree is needed to add a leaf: the hashes of its complete subtrees,
// one for each bit that is set in its size. The zero Edge is the empty tree's.
type Edge struct {
	size   int64
	hashes [64]Hash // by level; what the size has no bit for means nothing
}

// EdgeOf reads the edge of the tree of that size.
func EdgeOf(size int64, r tlog.HashReader) (Edge, error) {
	t := Edge{size: size}
	var levels []int
	var indexes []int64
	for level := 62; level >= 0; level-- {
		if size>>level&1 == 1 {
			levels, indexes = append(levels, level), append(indexes, tlog.StoredHashIndex(level, size>>level-1))
		}
	}
	if size == 0 {
		return t, nil
	}
	hashes, err := r.ReadHashes(indexes)
	if err != nil {
		return Edge{}, err
	}
	for i, level := range levels {
		t.hashes[level] = hashes[i]
	}
	return t, nil
}

// Hashes are those of the complete subtrees, the largest first: what [EdgeFrom] needs.
func (t *Edge) Hashes() []Hash {
	var hashes []Hash
	for level := 62; level >= 0; level-- {
		if t.size>>level&1 == 1 {
			hashes = append(hashes, t.hashes[level])
		}
	}
	return hashes
}

// maxSize bounds the trees that a file can begin with: no number overflows.
const maxSize = 1 << 50

// EdgeFrom makes the edge of a tree of that size from the hashes of its complete
// subtrees, the largest first.
func EdgeFrom(size int64, hashes []Hash) (Edge, error) {
	t := Edge{size: size}
	if size < 0 || size > maxSize || bits.OnesCount64(uint64(size)) != len(hashes) {
		return Edge{}, fmt.Errorf("%d hashes are not the edge of a tree of size %d", len(hashes), size)
	}
	for level := 62; level >= 0; level-- {
		if size>>level&1 == 1 {
			t.hashes[level], hashes = hashes[0], hashes[1:]
		}
	}
	return t, nil
}

// Size is how many leaves the tree has.
func (t *Edge) Size() int64 { return t.size }

// Add makes leaf the next one, and returns the hashes to be stored with it, as
// tlog.StoredHashes does: its own, and those of the subtrees that it completes.
func (t *Edge) Add(leaf Hash) []Hash {
	hashes := make([]Hash, 1, 1+bits.TrailingZeros64(uint64(t.size+1)))
	hashes[0] = leaf
	level := 0
	for ; t.size>>level&1 == 1; level++ {
		leaf = tlog.NodeHash(t.hashes[level], leaf)
		hashes = append(hashes, leaf)
	}
	t.hashes[level] = leaf
	t.size++
	return hashes
}

// add is Add for whoever stores nothing.
func (t *Edge) add(leaf Hash) {
	level := 0
	for ; t.size>>level&1 == 1; level++ {
		leaf = tlog.NodeHash(t.hashes[level], leaf)
	}
	t.hashes[level] = leaf
	t.size++
}

// Root is the root of the tree; of the empty one, the hash of nothing (RFC 6962,
// section 2.1).
func (t *Edge) Root() Hash {
	if t.size == 0 {
		return emptyRoot()
	}
	level := bits.TrailingZeros64(uint64(t.size))
	root := t.hashes[level]
	for level++; t.size>>level != 0; level++ {
		if t.size>>level&1 == 1 {
			root = tlog.NodeHash(t.hashes[level], root)
		}
	}
	return root
}

func emptyRoot() Hash {
	root, err := tlog.TreeHash(0, nil) // reads nothing and cannot fail
	if err != nil {
		return Hash{}
	}
	return root
}

// Consistency shows that the tree of size To holds the tree of size From as its first
// entries. It is what /v1/ledger/proof answers with.
type Consistency struct {
	From int64  `json:"from"`
	To   int64  `json:"to"`
	Path []Hash `json:"path"` // RFC 6962, section 2.1.2, in the order of package tlog
}

// Prove makes the proof from stored hashes, 0 ≤ from ≤ to. Every tree holds the empty
// one, and itself; those proofs are empty.
func Prove(from, to int64, r tlog.HashReader) (Consistency, error) {
	c := Consistency{From: from, To: to, Path: []Hash{}}
	switch {
	case from < 0 || from > to:
		return c, fmt.Errorf("there is no proof from size %d to size %d", from, to)
	case from == 0:
		return c, nil
	}
	path, err := tlog.ProveTree(to, from, r)
	if err == nil && len(path) > 0 {
		c.Path = path
	}
	return c, err
}

// Check says whether the proof holds between the roots of the two trees.
func (c Consistency) Check(from, to Hash) error {
	switch {
	case c.From < 0 || c.From > c.To:
		return fmt.Errorf("no proof leads from size %d to size %d", c.From, c.To)
	case c.From == 0 && len(c.Path) == 0 && from == emptyRoot():
		return nil
	case c.From == 0:
		return errors.New("the proof from the empty tree does not hold")
	}
	if err := tlog.CheckTree(c.Path, c.To, to, c.From, from); err != nil {
		return fmt.Errorf("from size %d to size %d: %w", c.From, c.To, err)
	}
	return nil
}

// Inclusion shows that the entry Seq is the one with that number in the tree of Size.
type Inclusion struct {
	Seq  int64  `json:"seq"`
	Size int64  `json:"size"`
	Path []Hash `json:"path"` // RFC 6962, section 2.1.1, in the order of package tlog
}

// ProveEntry makes the proof from stored hashes, 1 ≤ seq ≤ size.
func ProveEntry(seq, size int64, r tlog.HashReader) (Inclusion, error) {
	i := Inclusion{Seq: seq, Size: size, Path: []Hash{}}
	path, err := tlog.ProveRecord(size, seq-1, r)
	if err != nil {
		return i, fmt.Errorf("entry %d in the tree of size %d: %w", seq, size, err)
	}
	if len(path) > 0 {
		i.Path = path
	}
	return i, nil
}

// Check says whether the proof holds for an entry with that canonical form, under that root.
func (i Inclusion) Check(root Hash, leaf []byte) error {
	e, err := ParseLeaf(leaf)
	if err != nil {
		return err
	}
	if e.Seq != i.Seq {
		return fmt.Errorf("the entry has the number %d, and the proof is about %d", e.Seq, i.Seq)
	}
	if err := tlog.CheckRecord(i.Path, i.Size, root, i.Seq-1, LeafHash(leaf)); err != nil {
		return fmt.Errorf("entry %d in the tree of size %d: %w", i.Seq, i.Size, err)
	}
	return nil
}
