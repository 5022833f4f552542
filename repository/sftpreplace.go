package repository

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/kopia/kopia/repo/blob/sharded"
	"github.com/pkg/sftp"
)

// The protocol's own rename (version 3) fails where the new name is taken; OpenSSH's
// posix-rename replaces, at once. Where a server lacks that, the old file is put aside first:
// it and the new one are whole at every instant, and what a cut left in between is finished
// when the repository is opened next. Hardly anything but kopia.maintenance is ever replaced.
const (
	replaces = "posix-rename@openssh.com"
	aside    = sharded.CompleteBlobSuffix + ".old."
)

// replace gives a file its name, and takes that from whichever has it.
func replace(c *sftp.Client, from, to string) error {
	if _, ok := c.HasExtension(replaces); ok {
		return c.PosixRename(from, to)
	}
	if _, err := c.Lstat(to); errors.Is(err, os.ErrNotExist) {
		return c.Rename(from, to)
	} else if err != nil {
		return err
	}
	old := strings.TrimSuffix(to, sharded.CompleteBlobSuffix) + aside + rand.Text()
	if err := c.Rename(to, old); err != nil {
		return fmt.Errorf("put the old one aside, for the server cannot replace files: %w", err)
	}
	if err := c.Rename(from, to); err != nil {
		return errors.Join(err, c.Rename(old, to))
	}
	return c.Remove(old)
}

// finishReplacing puts back what a cut left aside, in the folder where all that is ever
// replaced lies. Of several the newest counts.
func finishReplacing(c *sftp.Client, root string) error {
	if _, ok := c.HasExtension(replaces); ok {
		return nil
	}
	files, err := c.ReadDir(root)
	if errors.Is(err, os.ErrNotExist) {
		return nil // then there is no repository
	}
	if err != nil {
		return err
	}
	newest := map[string]os.FileInfo{}
	for _, f := range files {
		name, _, is := strings.Cut(f.Name(), aside)
		if last := newest[name]; is && (last == nil || f.ModTime().After(last.ModTime())) {
			newest[name] = f
		}
	}
	for name, f := range newest {
		to := path.Join(root, name+sharded.CompleteBlobSuffix)
		if _, err := c.Lstat(to); !errors.Is(err, os.ErrNotExist) {
			continue // the new one got its name
		}
		if err := c.Rename(path.Join(root, f.Name()), to); err != nil {
			return fmt.Errorf("put %s back, which a cut left aside: %w", to, err)
		}
	}
	return nil
}
