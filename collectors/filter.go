package collectors

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Filter says which files of a source are wanted. A pattern without a slash matches
// a name anywhere in the tree ("*.tmp", "~$*"); one with a slash matches the whole
// path from the root ("2026/**/*.dcm", "/tmp"). A pattern that matches a folder
// speaks for everything in it. Letters match themselves only, capitals included, and
// nothing is normalised. What both lists match is left out.
//
// A folder that cannot hold anything wanted is not even listed.
type Filter struct {
	Include []string // empty: everything
	Exclude []string
}

// Wrap returns what the filter leaves of src: what it takes away does not exist. An
// error names the pattern that is none.
func (f Filter) Wrap(src Source) (Source, error) {
	if err := f.Valid(); err != nil {
		return nil, err
	}
	if len(f.Include)+len(f.Exclude) == 0 {
		return src, nil
	}
	return filtered{src, f}, nil
}

// Valid names the first pattern that is none.
func (f Filter) Valid() error {
	for _, p := range slices.Concat(f.Include, f.Exclude) {
		if !doublestar.ValidatePattern(p) || strings.Trim(p, "/") == "" {
			return fmt.Errorf("%q is not a pattern: a bracket, a brace or a backslash stands alone", p)
		}
	}
	return nil
}

type filtered struct {
	Source
	filter Filter
}

func (s filtered) ReadDir(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	if !s.filter.Wants(dir, true) {
		return nil, PathError("list", dir, fs.ErrNotExist)
	}
	entries, err := s.Source.ReadDir(ctx, dir)
	return slices.DeleteFunc(entries, func(e fs.FileInfo) bool {
		return !s.filter.Wants(path.Join(dir, e.Name()), e.IsDir())
	}), err
}

func (s filtered) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	info, err := s.Source.Stat(ctx, name)
	if err == nil && !s.filter.Wants(name, info.IsDir()) {
		return nil, PathError("stat", name, fs.ErrNotExist)
	}
	return info, err
}

func (s filtered) Open(ctx context.Context, name string) (File, error) {
	if !s.filter.Wants(name, false) {
		return nil, PathError("open", name, fs.ErrNotExist)
	}
	return s.Source.Open(ctx, name)
}

// Wants says whether a file is wanted, or whether a folder may hold one that is.
func (f Filter) Wants(name string, folder bool) bool {
	if name == "." {
		return true
	}
	if slices.ContainsFunc(f.Exclude, func(p string) bool { return covers(p, name) }) {
		return false
	}
	return len(f.Include) == 0 || slices.ContainsFunc(f.Include, func(p string) bool {
		return covers(p, name) || folder && leadsTo(p, name)
	})
}

// covers says whether p matches name or a folder that name lies in.
func covers(p, name string) bool {
	anywhere := !strings.Contains(strings.TrimSuffix(p, "/"), "/")
	p = strings.Trim(p, "/")
	for ; name != "."; name = path.Dir(name) {
		subject := name
		if anywhere {
			subject = path.Base(name)
		}
		if doublestar.MatchUnvalidated(p, subject) {
			return true
		}
	}
	return false
}

// leadsTo says whether something that p matches may lie below folder.
func leadsTo(p, folder string) bool {
	if !strings.Contains(strings.TrimSuffix(p, "/"), "/") || strings.ContainsAny(p, "{[\\") {
		return true // anywhere, or too clever to be cut at its slashes
	}
	want, have := strings.Split(strings.Trim(p, "/"), "/"), strings.Split(folder, "/")
	for i, h := range have {
		switch {
		case i == len(want):
			return false
		case strings.Contains(want[i], "**"):
			return true
		case !doublestar.MatchUnvalidated(want[i], h):
			return false
		}
	}
	return len(want) > len(have)
}
