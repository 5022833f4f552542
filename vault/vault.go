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
// Nothing is ever overwritten, renamed over or removed by a window (S9), save
// airlock's own temporary files in incoming/: a [Store] removes the one of a failed
// Put at once, and those that an earlier cut left behind a day later. Blobs land in
// the order data, metadata, indexes, kopia's own, so that a cut at any instant leaves
// every earlier generation restorable (S10).
//
// # A window
//
// With the doors shut, [NewPlan] compares the catalogue with the [Memory] of what the
// vault holds. With the door open, [Plan.Send] asks the vault in one round trip
// whether the memory is true, streams what lacks, and puts the manifest last. A vault
// that turns out to be another than remembered is listed, and is sent what it lacks.
//
// A generation is read by [Load], through a [Reader]; [Check] reads one back.
package vault

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// Store is the far side: where a vault's files lie. Names are slash-separated and
// relative to the vault's folder, as [CheckName] wants them. It is safe for
// concurrent use. It cannot replace a file, and no driver may offer to; what can be
// removed, and by whom, is told at [Remover].
//
// Every call ends soon after its ctx does, with an error that wraps the cause of it.
type Store interface {
	// Put writes a whole new file, reading r to its end, and makes it and its name
	// durable as far as the server can. Until it is whole it lies in incoming/.
	// A name that exists is fs.ErrExist and stays untouched. An error of r is
	// wrapped, and leaves no file; so do more or fewer bytes than size. A disk
	// without room is syscall.ENOSPC. After any other error the file is there whole
	// or not at all: not at all, unless the link broke in the very last step.
	Put(ctx context.Context, name string, size int64, r io.Reader) error
	// Open reads a file from off, n bytes of it (all the rest for n < 0), fewer if
	// it ends before. ctx also bounds the reading. fs.ErrNotExist if there is none.
	Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error)
	// List lists one folder ("." for the vault's own), sorted by name; a folder
	// that does not exist is empty.
	List(ctx context.Context, dir string) ([]fs.FileInfo, error)
	Close() error
}

// Stager is a Store that can have a file whole and durable before it gets its name, so
// that the bytes of blobs whose turn to land has not come need not wait for it.
type Stager interface {
	// Stage is Put up to the name: the file lies in incoming/. After an error nothing is
	// left, as after Put.
	Stage(ctx context.Context, name string, size int64, r io.Reader) (Staged, error)
}

// Staged is a file that has yet to get its name. Either method is called, once.
type Staged interface {
	// Publish is the rest of Put.
	Publish(ctx context.Context) error
	// Abandon removes the file, as far as it can: a later window does otherwise.
	Abandon()
}

// Origin is the near side: the repository's blobs. It is safe for concurrent use.
type Origin interface {
	// Open reads a blob from its start. fs.ErrNotExist if the repository has none.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
}

// Listed is the end of every Store's List: what a folder has, sorted by name, or why it could
// not be listed.
func Listed(infos []fs.FileInfo, err error) ([]fs.FileInfo, error) {
	if err != nil {
		return nil, err
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return infos, nil
}

// Incoming is the folder of files on their way. Only a Store writes there.
const Incoming = "incoming"

// CheckName refuses a file's name that could lead out of the vault's folder, on any
// server, or into [Incoming]. The error is for whoever looks at a forged manifest.
func CheckName(name string) error {
	odd := func(r rune) bool { return r < ' ' || r == '\\' || r == 0x7f }
	if !fs.ValidPath(name) || name == "." || strings.ContainsFunc(name, odd) {
		return fmt.Errorf("%q is not a name inside the vault: %w", name, fs.ErrInvalid)
	}
	if first, _, _ := strings.Cut(name, "/"); strings.EqualFold(first, Incoming) {
		return fmt.Errorf("%q lies in %s, which only unfinished files do: %w", name, Incoming, fs.ErrInvalid)
	}
	return nil
}
