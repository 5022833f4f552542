package repository

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/content"
)

// View is a repository for reading. It is safe for concurrent use.
type View struct {
	rep     repo.DirectRepository
	kopia   kopia
	listing sync.Mutex
}

// ViewConfig is a repository seen through one generation of a vault: the listed blobs
// and no others. What was deleted or added since does not show.
type ViewConfig struct {
	Blobs []Blob
	// Open reads n bytes of a blob from off, or all the rest if n < 0. Of a blob that
	// has several versions it gives the generation's. It is called in parallel.
	Open       func(ctx context.Context, name string, off, n int64) (io.ReadCloser, error)
	Passphrase string
	CacheDir   string // made if need be; holds no secrets; may be removed afterwards
}

// OpenView opens a generation. Nothing is ever written to the vault.
func OpenView(ctx context.Context, c ViewConfig) (*View, error) {
	if err := os.MkdirAll(c.CacheDir, 0o700); err != nil {
		return nil, fmt.Errorf("open generation: %w", err)
	}
	v := &View{kopia: kopia{
		storage:    newGeneration(c),
		passphrase: c.Passphrase,
		dir:        c.CacheDir,
		cache: content.CachingOptions{
			CacheDirectory:         filepath.Join(c.CacheDir, "cache"),
			ContentCacheSizeBytes:  256 << 20,
			MetadataCacheSizeBytes: 1 << 30,
		},
		readOnly: true,
	}}
	_, err := identify(ctx, v.kopia.storage)
	if err != nil {
		return nil, fmt.Errorf("open generation of %d blobs: %w", len(c.Blobs), err)
	}
	if v.rep, err = v.kopia.open(ctx, cached); err != nil {
		return nil, fmt.Errorf("open generation: %w", err)
	}
	return v, nil
}

// Close ends all use of the view.
func (v *View) Close(ctx context.Context) error { return v.rep.Close(ctx) }

// generation is a read-only storage of the blobs that a list names.
type generation struct {
	blob.DefaultProviderImplementation
	blobs  []Blob // by name
	byName map[string]Blob
	read   func(ctx context.Context, name string, off, n int64) (io.ReadCloser, error)
}

var errReadOnly = errors.New("a generation is read-only")

func newGeneration(c ViewConfig) *generation {
	g := &generation{blobs: slices.Clone(c.Blobs), byName: map[string]Blob{}, read: c.Open}
	slices.SortFunc(g.blobs, func(a, b Blob) int { return strings.Compare(a.Name, b.Name) })
	for _, b := range g.blobs {
		g.byName[b.Name] = b
	}
	return g
}

func (g *generation) ListBlobs(_ context.Context, prefix blob.ID, each func(blob.Metadata) error) error {
	for _, b := range g.blobs {
		if strings.HasPrefix(b.Name, string(prefix)) {
			if err := each(metadata(b)); err != nil {
				return err
			}
		}
	}
	return nil
}

func metadata(b Blob) blob.Metadata {
	return blob.Metadata{BlobID: blob.ID(b.Name), Length: b.Size, Timestamp: b.Written}
}

func (g *generation) GetMetadata(_ context.Context, id blob.ID) (blob.Metadata, error) {
	b, ok := g.byName[string(id)]
	if !ok {
		return blob.Metadata{}, blob.ErrBlobNotFound
	}
	return metadata(b), nil
}

func (g *generation) GetBlob(ctx context.Context, id blob.ID, off, n int64, out blob.OutputBuffer) (err error) {
	b, ok := g.byName[string(id)]
	switch {
	case !ok:
		return blob.ErrBlobNotFound
	case off < 0 || off > b.Size || n > b.Size-off:
		return fmt.Errorf("%w: blob %s, offset %d, length %d", blob.ErrInvalidRange, id, off, n)
	}
	if n < 0 {
		off, n = 0, b.Size
	}
	body, err := g.read(ctx, b.Name, off, n)
	if err != nil {
		return fmt.Errorf("read blob %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	out.Reset()
	sum := sha256.New()
	got, err := io.Copy(io.MultiWriter(out, sum), io.LimitReader(body, n))
	switch {
	case err != nil:
		return fmt.Errorf("read blob %s: %w", id, err)
	case got != n:
		return fmt.Errorf("read blob %s: %d bytes came, not %d", id, got, n)
	case n == b.Size && [32]byte(sum.Sum(nil)) != b.SHA256:
		return fmt.Errorf("blob %s is damaged: its SHA-256 is not the one in the generation's list", id)
	}
	return nil
}

func (g *generation) PutBlob(context.Context, blob.ID, blob.Bytes, blob.PutOptions) error {
	return errReadOnly
}

func (g *generation) DeleteBlob(context.Context, blob.ID) error { return errReadOnly }
func (g *generation) IsReadOnly() bool                          { return true }
func (g *generation) DisplayName() string                       { return "a generation" }
func (g *generation) ConnectionInfo() blob.ConnectionInfo       { return lent{}.ConnectionInfo() }
