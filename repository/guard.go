package repository

import (
	"context"
	"errors"
	"sync"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/repo/object"
)

// guarded is the repository as kopia's uploader gets it, because every 45 minutes the
// uploader saves a checkpoint, and that has two dangers:
//
// It applies retention, by whatever policy it finds: through guarded nothing can be
// removed. And it runs in a goroutine that Upload does not wait for: shut does, and
// what comes later is refused. Else it would go on reading an index that is unmapped
// when the session ends, and the fault would end the process.
type guarded struct {
	repo.RepositoryWriter
	mu     sync.RWMutex // held for reading by every call in progress
	isShut bool
}

var errUploadOver = errors.New("the upload is over")

// shut waits for calls in progress and refuses all further ones.
func (g *guarded) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isShut = true
}

func guard[T any](g *guarded, call func() (T, error)) (T, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.isShut {
		var none T
		return none, errUploadOver
	}
	return call()
}

func (g *guarded) DeleteManifest(context.Context, manifest.ID) error { return nil }

func (g *guarded) FindManifests(ctx context.Context, labels map[string]string) ([]*manifest.EntryMetadata, error) {
	return guard(g, func() ([]*manifest.EntryMetadata, error) { return g.RepositoryWriter.FindManifests(ctx, labels) })
}

func (g *guarded) GetManifest(ctx context.Context, id manifest.ID, data any) (*manifest.EntryMetadata, error) {
	return guard(g, func() (*manifest.EntryMetadata, error) { return g.RepositoryWriter.GetManifest(ctx, id, data) })
}

func (g *guarded) PutManifest(ctx context.Context, labels map[string]string, payload any) (manifest.ID, error) {
	return guard(g, func() (manifest.ID, error) { return g.RepositoryWriter.PutManifest(ctx, labels, payload) })
}

func (g *guarded) Flush(ctx context.Context) error {
	_, err := guard(g, func() (struct{}, error) { return struct{}{}, g.RepositoryWriter.Flush(ctx) })
	return err
}

func (g *guarded) NewObjectWriter(ctx context.Context, o object.WriterOptions) object.Writer {
	return &guardedObject{g.RepositoryWriter.NewObjectWriter(ctx, o), g}
}

type guardedObject struct {
	object.Writer
	guarded *guarded
}

func (o *guardedObject) Write(p []byte) (int, error) {
	return guard(o.guarded, func() (int, error) { return o.Writer.Write(p) })
}

func (o *guardedObject) Checkpoint() (object.ID, error) { return guard(o.guarded, o.Writer.Checkpoint) }
func (o *guardedObject) Result() (object.ID, error)     { return guard(o.guarded, o.Writer.Result) }
