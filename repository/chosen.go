package repository

import (
	"context"
	"path"

	"github.com/kopia/kopia/fs"
)

// chosen shows kopia what of a snapshot's folder is to be restored. It cannot fail to be
// read: kopia would leave it out without a name.
type chosen struct {
	fs.Directory
	target *target
	path   string // in the snapshot, unescaped; "" is the root
	name   string // below the root of the target, once it is begun
	left   bool   // the target does not take it
}

func (d *chosen) Iterate(ctx context.Context) (fs.DirectoryIterator, error) {
	if d.left {
		return fs.StaticIterator(nil, nil), nil
	}
	below, err := d.Directory.Iterate(ctx)
	if err != nil {
		return fs.StaticIterator(nil, nil), d.unread(ctx, err)
	}
	return &choosing{below, d}, nil
}

// unread names a folder that the repository does not give.
func (d *chosen) unread(ctx context.Context, err error) error {
	return d.target.leave(ctx, d, escapeName(d.path), readError{err})
}

type choosing struct {
	fs.DirectoryIterator
	of *chosen
}

func (c *choosing) Next(ctx context.Context) (fs.Entry, error) {
	for {
		e, err := c.DirectoryIterator.Next(ctx)
		if err != nil {
			return nil, c.of.unread(ctx, err)
		}
		if e == nil {
			return nil, nil
		}
		name := path.Join(c.of.path, unescapeName(e.Name()))
		if !c.of.target.options.Part.wants(name, e.IsDir()) {
			continue
		}
		if dir, ok := e.(fs.Directory); ok {
			return &chosen{Directory: dir, target: c.of.target, path: name}, nil
		}
		return e, nil
	}
}
