package repository

import (
	"context"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"github.com/kopia/kopia/repo/blob"
)

// blobName is the form of kopia's IDs of blobs: kopia.repository, its backups, _log_…; a
// letter or two, which say the kind, hexadecimal digits, and then sessions and counts.
// What a Mac, a NAS or a program that synchronizes folders leaves beside them has another:
// ._p0123, "p0123 (conflicted copy)", p0123-nas01.
var blobName = regexp.MustCompile(`^(kopia\.[a-z]+(\.backup\.[0-9A-Za-z@_.-]+)?|_[a-z]+_[0-9a-z_-]+|[a-z]{1,2}[0-9a-f_]+(-[sc]?[0-9a-f]+)*)$`)

// mostStrangers is how many are told; the rest look alike.
const mostStrangers = 20

// strangers are files in the repository's folder that look like blobs by their ending, and
// are none. Taken for blobs they would make it look damaged.
type strangers struct {
	mu    sync.Mutex
	told  map[string]bool
	fresh []string // not asked for yet
}

func (s *strangers) met(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told[name] || len(s.told) >= mostStrangers {
		return
	}
	if s.told == nil {
		s.told = map[string]bool{}
	}
	s.told[name] = true
	s.fresh = append(s.fresh, name)
}

// ListBlobs passes over what is no blob.
func (s *catalogued) ListBlobs(ctx context.Context, prefix blob.ID, each func(blob.Metadata) error) error {
	return s.Storage.ListBlobs(ctx, prefix, func(m blob.Metadata) error {
		if !blobName.MatchString(string(m.BlobID)) {
			s.strangers.met(s.fileOf(ctx, m.BlobID))
			return nil
		}
		return each(m)
	})
}

// fileOf names the file of a blob for people.
func (s *catalogued) fileOf(ctx context.Context, id blob.ID) string {
	if f, ok := s.Storage.(*folder); ok {
		if file, err := f.path(ctx, id); err == nil {
			return file
		}
	}
	return s.place + ": " + filepath.Base(string(id)) + ".f"
}

// Strangers are files in the repository's folder that are not its own and were passed over,
// of which nobody has been told yet.
func (r *Repository) Strangers() []string {
	s := &r.strangers
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := s.fresh
	s.fresh = nil
	slices.Sort(fresh)
	return fresh
}
