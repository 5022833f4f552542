// Package vault keeps the secondary: an append-only replica of the repository's
// blobs, and for each window a generation, the list of every blob that the
// repository consisted of at that window.
//
// # Layout
//
// A vault's folder is an ordinary kopia repository in kopia's own sharded layout, so
// that the stock program opens it, with three folders beside the blobs that kopia
// passes over:
//
//	.shards, kopia.repository.f, p/…/….f   the blobs, each under the name of its first version
//	versions/SHA256/NAME                   further versions of the few blobs that change (kopia.maintenance)
//	generations/00000001.json …            one manifest for each window
//	incoming/…                             blobs on their way; renamed into place once whole
//
// Nothing is ever overwritten, renamed over or removed by a window (S9). Blobs land
// in the order data, metadata, indexes, so that a cut at any instant leaves every
// earlier generation restorable (S10).
package vault

import (
	"context"
	"io"
	"io/fs"
	"time"
)

// Blob names some bytes of the repository.
type Blob struct {
	Name    string
	Size    int64
	SHA256  [32]byte
	Written time.Time
}

// Store is the far side: where a vault's files lie. Names are slash-separated and
// relative to the vault's folder. It is safe for concurrent use.
type Store interface {
	// Put writes a whole new file and makes it durable as far as the server can,
	// first under a temporary name. A name that exists is fs.ErrExist and stays
	// untouched; after any other error the name does not exist.
	Put(ctx context.Context, name string, size int64, r io.Reader) error
	// Open reads a file from off, n bytes of it (all the rest for n < 0).
	// fs.ErrNotExist if there is none.
	Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error)
	// List lists one folder; a folder that does not exist is empty.
	List(ctx context.Context, dir string) ([]fs.FileInfo, error)
	Close() error
}
