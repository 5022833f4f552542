package vault

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"airlock/wholefile"
)

// Register is what retention has to know of a vault that nobody keeps but the sender:
// which generations stand there, and of each blob's file the first and the last
// generation that lists it. A file may go once no generation stands between these two,
// both included. It is kept on the near side, so that what there is to drop is known
// before a door is opened, and no manifest but the newest is ever read through it.
//
// It may know too little: nothing is dropped while a generation stands in the vault that
// it does not know, and those it learns (see [Retirement.Run]). A lost or damaged one is
// therefore an empty one. It is not safe for concurrent use.
type Register struct {
	file     string
	standing map[int64]standing
	// dropping are generations whose removal was begun, or is about to be: nobody need
	// wonder if they are gone.
	dropping map[int64]bool
	spans    map[string]span // by the file's path
}

type standing struct {
	Number int64     `json:"number"`
	Time   time.Time `json:"time"` // of its plan, by the site's clock
	// Doubtful was a generation that the site had not signed, in registers of older airlocks.
	Doubtful bool `json:"doubtful,omitempty"`
}

type span struct {
	Path  string `json:"path"`
	Size  int64  `json:"size"`  // bytes
	First int64  `json:"first"` // 0 with Last 0: it landed, and no generation came to list it
	Last  int64  `json:"last"`
}

// registerHead is the first line of the file; one span a line follows.
type registerHead struct {
	Format   int        `json:"airlock_register"`
	Standing []standing `json:"standing"`
	Dropping []int64    `json:"dropping,omitempty"`
	Files    int        `json:"files"`
}

const registerFormat = 1

// OpenRegister reads the register in a vault's folder on the near side. One that cannot
// be read is an empty one: damage costs the next window the reading of the manifests.
func OpenRegister(dir string) (*Register, error) {
	r := &Register{file: filepath.Join(dir, "register")}
	text, err := os.ReadFile(r.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("register of the vault: %w", err)
	}
	if err != nil || !r.decode(text) {
		r.standing, r.dropping, r.spans = map[int64]standing{}, map[int64]bool{}, map[string]span{}
	}
	return r, nil
}

func (r *Register) decode(text []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(text))
	var head registerHead
	if dec.Decode(&head) != nil || head.Format != registerFormat {
		return false
	}
	r.standing, r.dropping, r.spans = map[int64]standing{}, map[int64]bool{}, make(map[string]span, head.Files)
	for _, s := range head.Standing {
		if s.Doubtful || s.Number > lastNumber { // its list is in the spans
			return false
		}
		r.standing[s.Number] = s
	}
	for _, n := range head.Dropping {
		r.dropping[n] = true
	}
	for range head.Files {
		var s span
		if dec.Decode(&s) != nil || !IsBlobFile(s.Path) {
			return false
		}
		r.spans[s.Path] = s
	}
	_, err := dec.Token()
	return err == io.EOF && len(r.spans) == head.Files
}

// Save makes durable what the register knows.
func (r *Register) Save() error {
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	enc := json.NewEncoder(w)
	head := registerHead{Format: registerFormat, Standing: []standing{}, Dropping: sortedKeys(r.dropping), Files: len(r.spans)}
	for _, n := range sortedKeys(r.standing) {
		head.Standing = append(head.Standing, r.standing[n])
	}
	err := enc.Encode(head)
	for _, p := range slices.Sorted(maps.Keys(r.spans)) {
		err = errors.Join(err, enc.Encode(r.spans[p]))
	}
	if err = errors.Join(err, w.Flush()); err == nil {
		err = wholefile.Replace(r.file, out.Bytes(), 0o600)
	}
	if err != nil {
		return fmt.Errorf("register of the vault: %w", err)
	}
	return nil
}

// Knows says whether a generation is in it.
func (r *Register) Knows(number int64) bool {
	_, known := r.standing[number]
	return known
}

// Enter enters a generation that stands in the vault.
func (r *Register) Enter(g *Generation) {
	r.standing[g.Number] = standing{Number: g.Number, Time: g.Time}
	for _, e := range g.Blobs {
		at := e.At()
		s, known := r.spans[at]
		if !known || s.Last == 0 {
			s = span{at, e.Size, g.Number, g.Number}
		}
		s.First, s.Last = min(s.First, g.Number), max(s.Last, g.Number)
		r.spans[at] = s
	}
}

// orphan enters a blob that landed in a window that was cut, and that no generation
// came to list.
func (r *Register) orphan(e Entry) {
	if _, known := r.spans[e.At()]; !known {
		r.spans[e.At()] = span{Path: e.At(), Size: e.Size}
	}
}

// idle are the files that none of these generations, sorted, can be said to list.
func (r *Register) idle(stay []int64) []span {
	var idle []span
	for _, s := range r.spans {
		i, _ := slices.BinarySearch(stay, s.First)
		if listed := i < len(stay) && stay[i] <= s.Last; !listed && CheckRemovable(s.Path) == nil {
			idle = append(idle, s)
		}
	}
	slices.SortFunc(idle, func(a, b span) int { return strings.Compare(a.Path, b.Path) })
	return idle
}

// nameOf is the name of the blob whose bytes lie at a path.
func nameOf(file string) string {
	if name := BlobOf(file); name != "" {
		return name
	}
	return path.Base(file)
}

// lists says whether a generation lists the file at a path.
func (g *Generation) lists(file string) bool {
	e, ok := g.Blob(nameOf(file))
	return ok && e.At() == file
}

func sortedKeys[V any](m map[int64]V) []int64 { return slices.Sorted(maps.Keys(m)) }
