package collectors

import (
	"context"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"sync"
)

// Names watches over what a source's files are called: Samba shows a name that Windows
// cannot have (with : ? | or a dot at its end) by one that it makes up, and the true one is
// not to be had. The contents are, so such a file is gathered, and named.
type Names struct {
	mu      sync.Mutex
	certain bool // one of them is made up beyond doubt
	found   map[string]bool
}

// madeUp is the form of Samba's made-up names: a letter of the true one, four of a sum, a
// tilde, and one more of the sum, in capitals.
var madeUp = regexp.MustCompile(`^[0-9A-Z_]{6}~([0-9A-Z])(\.[0-9A-Z_]{1,3})?$`)

// Wrap returns src, watched.
func (n *Names) Wrap(src Source) Source { return namesWatched{src, n} }

type namesWatched struct {
	Source
	names *Names
}

func (s namesWatched) ReadDir(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	entries, err := s.Source.ReadDir(ctx, dir)
	for _, e := range entries {
		if form := madeUp.FindStringSubmatch(e.Name()); form != nil {
			s.names.met(path.Join(dir, e.Name()), form[1])
		}
	}
	return entries, err
}

// met takes notice of a name. Old programs made up names as well, and some are still theirs:
// PROGRA~1. Those count in digits, Samba's sums have letters more often than not.
func (n *Names) met(name, last string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.certain = n.certain || last >= "A"
	if n.found == nil {
		n.found = map[string]bool{}
	}
	n.found[name] = true
}

// MadeUp are the paths whose last element looks made up, sorted.
func (n *Names) MadeUp() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for name := range n.found {
		if n.certain {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}
