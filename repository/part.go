package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"airlock/collectors"

	"github.com/kopia/kopia/fs"
)

// Part is what is wanted of a snapshot. The zero Part is all of it.
type Part struct {
	// Paths are files and folders, slash-separated from the root. None: everything.
	Paths []string
	// Exclude are patterns as a collectors.Filter has them.
	Exclude []string
}

// ErrNoPath: the snapshot has no file or folder of that name.
var ErrNoPath = errors.New("there is no such file or folder in the snapshot")

// cleaned is p with paths as people write them made into names.
func (p Part) cleaned() (Part, error) {
	p.Paths = slices.Clone(p.Paths)
	for i, name := range p.Paths {
		p.Paths[i] = strings.Trim(strings.TrimPrefix(name, "./"), "/")
		if err := collectors.CheckName(p.Paths[i], ""); err != nil {
			return p, fmt.Errorf("path %q: %w", name, err)
		}
	}
	return p, collectors.Filter{Exclude: p.Exclude}.Valid()
}

func (p Part) all() bool { return len(p.Paths)+len(p.Exclude) == 0 }

// wants says whether a file is wanted, or whether a folder may hold one that is.
func (p Part) wants(name string, folder bool) bool {
	if !(collectors.Filter{Exclude: p.Exclude}).Wants(name, folder) {
		return false
	}
	return len(p.Paths) == 0 || slices.ContainsFunc(p.Paths, func(path string) bool {
		return path == "." || name == path || strings.HasPrefix(name, path+"/") || folder && strings.HasPrefix(path, name+"/")
	})
}

// find descends to a file or folder. way are the folders that it lies in, the root first.
func find(ctx context.Context, root fs.Directory, path string) (e fs.Entry, way []fs.Directory, err error) {
	if path == "." {
		return root, nil, nil
	}
	e = root
	for element := range strings.SplitSeq(path, "/") {
		dir, ok := e.(fs.Directory)
		if !ok {
			return nil, nil, fmt.Errorf("%s: %w", path, ErrNoPath)
		}
		way = append(way, dir)
		if e, err = dir.Child(ctx, escapeName(element)); errors.Is(err, fs.ErrEntryNotFound) {
			return nil, nil, fmt.Errorf("%s: %w", path, ErrNoPath)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return e, way, nil
}

// rootOf is a snapshot's root, once every path of p is found in it.
func (p Part) rootOf(ctx context.Context, root fs.Entry) (fs.Directory, error) {
	dir, ok := root.(fs.Directory)
	if !ok {
		return nil, errors.New("the snapshot's root is no folder")
	}
	for _, path := range p.Paths {
		if _, _, err := find(ctx, dir, path); err != nil {
			return nil, err
		}
	}
	return dir, nil
}
