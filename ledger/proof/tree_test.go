package proof

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"airlock/ledger/proof/notetest"
)

// stored are hashes as tlog lays them out.
type stored []Hash

func (s stored) ReadHashes(indexes []int64) ([]Hash, error) {
	var found []Hash
	for _, i := range indexes {
		if i >= int64(len(s)) {
			return nil, fmt.Errorf("there is no hash %d", i)
		}
		found = append(found, s[i])
	}
	return found, nil
}

// The edge makes the very hashes that package tlog makes.
func TestEdge(t *testing.T) {
	var hashes stored
	var tree, lean Edge
	for n := range int64(300) {
		if root, err := tlog.TreeHash(n, hashes); err != nil || tree.Root() != root || lean.Root() != root {
			t.Fatalf("the root of size %d is %s, want %s, %v", n, tree.Root(), root, err)
		}
		read, err := EdgeOf(n, hashes)
		if err != nil || read.Root() != tree.Root() || read.Size() != n {
			t.Fatalf("the edge of size %d as read has the root %s, %v", n, read.Root(), err)
		}
		leaf := LeafHash(fmt.Append(nil, n))
		want, err := tlog.StoredHashesForRecordHash(n, leaf, hashes)
		if err != nil {
			t.Fatal(err)
		}
		if got := tree.Add(leaf); !slices.Equal(got, want) || !slices.Equal(read.Add(leaf), want) {
			t.Fatalf("leaf %d is stored with %v, want %v", n, got, want)
		}
		lean.add(leaf)
		hashes = append(hashes, want...)
	}
}

func TestProofs(t *testing.T) {
	var hashes stored
	var tree Edge
	var leaves [][]byte
	roots := []Hash{tree.Root()}
	e := example()
	for n := range 70 {
		e.Seq = int64(n + 1)
		leaves = append(leaves, leafOf(t, e))
		hashes = append(hashes, tree.Add(LeafHash(leaves[n]))...)
		roots = append(roots, tree.Root())
	}
	rapid.Check(t, func(t *rapid.T) {
		to := rapid.IntRange(0, 70).Draw(t, "to")
		from := rapid.IntRange(0, to).Draw(t, "from")
		c, err := Prove(int64(from), int64(to), hashes)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Check(roots[from], roots[to]); err != nil {
			t.Error(err)
		}
		wrong := rapid.IntRange(0, 70).Filter(func(n int) bool { return n != from }).Draw(t, "wrong")
		if c.Check(roots[wrong], roots[to]) == nil {
			t.Errorf("the proof from %d to %d holds for the root of %d too", from, to, wrong)
		}
		if from == 0 {
			return
		}
		i, err := ProveEntry(int64(from), int64(to), hashes)
		if err != nil {
			t.Fatal(err)
		}
		if err := i.Check(roots[to], leaves[from-1]); err != nil {
			t.Error(err)
		}
		if other := leaves[rapid.IntRange(0, 69).Filter(func(n int) bool { return n != from-1 }).Draw(t, "other")]; i.Check(roots[to], other) == nil {
			t.Errorf("the proof of entry %d holds for %s", from, other)
		}
		if len(i.Path) > 0 {
			i.Path[0][3] ^= 1
			if i.Check(roots[to], leaves[from-1]) == nil {
				t.Error("a changed proof holds")
			}
		}
	})
	for _, c := range [][2]int64{{-1, 3}, {4, 3}} {
		if _, err := Prove(c[0], c[1], hashes); err == nil {
			t.Errorf("there is a proof from %d to %d", c[0], c[1])
		}
		if (Consistency{From: c[0], To: c[1]}).Check(roots[3], roots[3]) == nil {
			t.Errorf("an empty proof from %d to %d holds", c[0], c[1])
		}
	}
}

func TestHead(t *testing.T) {
	signer, verifier := notetest.Keys(t, "kitano")
	_, another := notetest.Keys(t, "kitano")
	elsewhere, elsewhereVerifier := notetest.Keys(t, "minami")
	root := LeafHash([]byte("x"))
	h, err := SignHead(12, root, signer)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenHead([]byte(h.Note), another, verifier); err != nil || got != h {
		t.Errorf("opened as %+v, %v; want %+v", got, err, h)
	}
	if _, err := OpenHead([]byte(h.Note), another); err == nil {
		t.Error("another key of the same name opens it")
	}
	for bit := range 8 * len(h.Note) {
		data := []byte(h.Note)
		data[bit/8] ^= 1 << (bit % 8)
		if got, err := OpenHead(data, verifier); err == nil {
			t.Fatalf("with another bit %d of byte %d it is taken as %+v", bit%8, bit/8, got)
		}
	}
	for name, n := range map[string]*note.Note{
		"another site's key":  {Text: h.text()},
		"no origin of ours":   {Text: "minami\n12\n" + root.String() + "\n"},
		"more lines":          {Text: Origin("minami") + "\n12\n" + root.String() + "\nmore\n"},
		"more paragraphs":     {Text: Origin("minami") + "\n12\n" + root.String() + "\n\nmore\n"},
		"fewer lines":         {Text: Origin("minami") + "\n12\n"},
		"a size with a sign":  {Text: Origin("minami") + "\n+12\n" + root.String() + "\n"},
		"a size below zero":   {Text: Origin("minami") + "\n-12\n" + root.String() + "\n"},
		"a size of 70 bits":   {Text: Origin("minami") + "\n999999999999999999999\n" + root.String() + "\n"},
		"a root of 33 bytes":  {Text: Origin("minami") + "\n12\n" + root.String()[:43] + "AA\n"},
		"a very long comment": {Text: Origin("minami") + strings.Repeat("x", maxHead) + "\n12\n" + root.String() + "\n"},
	} {
		signed, err := note.Sign(n, elsewhere)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := OpenHead(signed, verifier, elsewhereVerifier); err == nil {
			t.Errorf("%s: taken as %+v", name, got)
		}
	}
}

func FuzzReadHead(f *testing.F) {
	signer, verifier := notetest.Keys(f, "kitano")
	h, err := SignHead(12, LeafHash(nil), signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(h.Note))
	f.Fuzz(func(t *testing.T, data []byte) {
		read, err := ReadHead(data)
		if err == nil && !strings.HasPrefix(string(data), read.text()+"\n") {
			t.Errorf("read %+v from\n%s", read, data)
		}
		if opened, err := OpenHead(data, verifier); err == nil && (opened.Size != h.Size || opened.Root != h.Root) {
			t.Errorf("nobody signed %+v", opened)
		}
	})
}
