package repository

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/blob/filesystem"
)

// Place is where a repository's blobs lie: a folder of this machine (a mounted NAS),
// or one behind SFTP or SMB. Exactly one is given.
type Place struct {
	Path string
	SFTP *SFTPPlace
	SMB  *SMBPlace
}

// String names the place without any secret.
func (p Place) String() string {
	if p.SFTP != nil {
		return fmt.Sprintf("sftp://%s@%s%s", p.SFTP.User, p.SFTP.address(), p.SFTP.Path)
	}
	if p.SMB != nil {
		return p.SMB.String()
	}
	return p.Path
}

// open reaches the place. Unless create is set it writes nothing, not even a folder.
func (p Place) open(ctx context.Context, create bool) (blob.Storage, error) {
	if p.SFTP != nil {
		return p.SFTP.open(ctx, create)
	}
	if p.SMB != nil {
		return p.SMB.open(ctx, create)
	}
	if p.Path == "" {
		return nil, errors.New("no folder is given")
	}
	return openFolder(ctx, p.Path, create)
}

func openFolder(ctx context.Context, path string, create bool) (blob.Storage, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if create {
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("%w; is the NAS mounted? The folder above must exist", err)
		}
	} else if _, err := os.Stat(filepath.Join(path, formatBlob+".f")); errors.Is(err, os.ErrNotExist) {
		// Asked by file name, because kopia's own question would leave a .shards file
		// behind in what may be an empty mount point.
		return nil, fmt.Errorf("%w; is the NAS mounted? If there should be a new one, create it", ErrNoRepository)
	} else if err != nil {
		return nil, err
	}
	st, err := filesystem.New(ctx, &filesystem.Options{Path: path}, create)
	if err != nil {
		return nil, err
	}
	return &folder{Storage: st, root: path}, nil
}

// folder is kopia's file system storage. That one syncs a file's bytes before it
// renames it into place, but not the folder, so that a power cut can lose the name.
type folder struct {
	blob.Storage
	root string
}

func (f *folder) PutBlob(ctx context.Context, id blob.ID, data blob.Bytes, opts blob.PutOptions) error {
	if err := f.Storage.PutBlob(ctx, id, data, opts); err != nil {
		return err
	}
	file, err := f.path(ctx, id)
	if err != nil {
		return err
	}
	for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
		if err := syncDir(dir); err != nil {
			return err
		}
		if dir == f.root || len(dir) <= len(f.root) {
			return nil
		}
	}
}

// path is the file of a blob.
func (f *folder) path(ctx context.Context, id blob.ID) (string, error) {
	sharded, ok := f.Storage.(interface {
		GetShardedPathAndFilePath(context.Context, blob.ID) (dir, file string, err error)
	})
	if !ok {
		return "", fmt.Errorf("%T does not tell where a blob lies", f.Storage)
	}
	_, file, err := sharded.GetShardedPathAndFilePath(ctx, id)
	return file, err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil // network file systems do not know it
	}
	return errors.Join(err, d.Close())
}

// catalogued enters every blob into the catalogue once the storage has accepted it.
// A crash between the two leaves a blob without an entry, which Blobs adopts.
type catalogued struct {
	blob.Storage
	catalogue *catalogue
	place     string
	strangers *strangers
}

func (s *catalogued) PutBlob(ctx context.Context, id blob.ID, data blob.Bytes, opts blob.PutOptions) error {
	sum := sha256.New()
	if _, err := data.WriteTo(sum); err != nil {
		return err
	}
	switch err := s.Storage.PutBlob(ctx, id, data, opts); {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("the repository's storage %s is full; free space there and run again: %w", s.place, err)
	case err != nil:
		return fmt.Errorf("write to the repository's storage %s: %w", s.place, err)
	case !needed(string(id)):
		return nil
	}
	b := Blob{Name: string(id), Size: int64(data.Length()), Written: time.Now()}
	sum.Sum(b.SHA256[:0])
	return s.catalogue.put(context.WithoutCancel(ctx), b)
}

func (s *catalogued) DeleteBlob(ctx context.Context, id blob.ID) error {
	if err := s.Storage.DeleteBlob(ctx, id); err != nil {
		return err
	}
	return s.catalogue.remove(context.WithoutCancel(ctx), string(id))
}

// needed tells whether a restore needs the blob: data (p) and metadata (q) packs,
// indexes (x; n, m and l in older formats) and kopia's own settings. Session markers
// (s) and logs (_log_) are of use only to the client that wrote them.
func needed(name string) bool {
	return strings.HasPrefix(name, "kopia.") || name != "" && strings.ContainsRune("pqxnml", rune(name[0]))
}

// buffer takes a whole blob.
type buffer struct{ bytes.Buffer }

func (b *buffer) Length() int { return b.Len() }
