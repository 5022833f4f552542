// Package repository keeps the primary: an encrypted, de-duplicated kopia repository
// of every system's backups, on a local folder or behind SFTP or SMB. The stock kopia
// program opens what this package writes, and the other way round.
//
// What is promised beyond kopia:
//
//   - A snapshot is saved as complete only if the whole source was walked. A file that
//     could not be read is named in the Result and left out; a source that is gone, a
//     cancelled context or a storage that takes no more ends the snapshot with an
//     error. What had been read by then is kept as an incomplete snapshot, from which
//     the next run carries on.
//   - Nothing but Expire removes a snapshot.
//   - Every blob enters the catalogue (catalogue.db in the state folder) with the
//     SHA-256 of its bytes, taken when it is written. Blobs reconciles it with what
//     really lies in the storage; that list is what a vault's generation is made of.
//   - Verify reads from the storage, never from a cache.
//   - Restore writes inside the given folder only, whatever the snapshot's names say.
//   - No credential is written to the state folder, and kopia prints nothing.
package repository

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/content"
	"github.com/kopia/kopia/repo/format"
	"github.com/kopia/kopia/repo/maintenance"
	"github.com/kopia/kopia/snapshot/policy"
)

// Errors on which callers branch.
var (
	// ErrExist: Create found a repository; it was left as it is. It is fs.ErrExist too.
	ErrExist = fmt.Errorf("there is a repository already: %w", fs.ErrExist)
	// ErrNoRepository: the place holds none. Nothing was created there.
	ErrNoRepository = errors.New("no repository")
	// ErrPassphrase: the repository does not open with this passphrase.
	ErrPassphrase = errors.New("the passphrase does not open the repository")
	// ErrNoSnapshot: no snapshot has this ID.
	ErrNoSnapshot = errors.New("no such snapshot")
	// ErrReplaced: another repository lies where the known one lay.
	ErrReplaced = errors.New("this is another repository than before")
)

// Config says which repository, and where this machine keeps what belongs to it.
type Config struct {
	Place      Place
	Passphrase string
	StateDir   string // catalogue.db, caches and kopia's configuration; no secrets

	keyDerivation string // of a new repository; kopia's default (scrypt) if empty
}

// Repository is an open repository. It is safe for concurrent use.
type Repository struct {
	View

	place, id string
	storage   blob.Storage // catalogued; the owner's, so closed by Close
	catalogue *catalogue
	strangers strangers
	upkeep    sync.Mutex // a list of blobs and maintenance exclude each other

	checkpointEvery time.Duration // of the uploader; 0 is kopia's 45 minutes, the longest
}

// Create makes a new repository and closes it. The folder above a local place must
// exist: a NAS that is not mounted is not replaced by a folder on the system disk.
// If a repository is there already the error is ErrExist, and nothing was changed.
func Create(ctx context.Context, c Config) error {
	if c.Passphrase == "" {
		return errors.New("create repository: the passphrase is empty")
	}
	st, err := c.Place.open(ctx, true)
	if err != nil {
		return fmt.Errorf("create repository in %s: %w", c.Place, err)
	}
	return errors.Join(c.create(ctx, st), st.Close(ctx))
}

func (c Config) create(ctx context.Context, st blob.Storage) error {
	if err := os.MkdirAll(c.StateDir, 0o700); err != nil {
		return fmt.Errorf("create repository: %w", err)
	}
	switch _, err := identify(ctx, st); {
	case err == nil:
		return fmt.Errorf("create repository in %s: %w", c.Place, ErrExist)
	case !errors.Is(err, ErrNoRepository):
		return fmt.Errorf("create repository in %s: %w", c.Place, err)
	}
	cat, err := openCatalogue(ctx, c.StateDir)
	if err != nil {
		return err
	}
	// What is left of a repository that is no more would spoil the new one.
	err = errors.Join(cat.clear(ctx), os.RemoveAll(c.cacheDir()))
	if err == nil {
		err = c.initialize(ctx, &catalogued{Storage: st, catalogue: cat, place: c.Place.String(), strangers: &strangers{}})
	}
	return errors.Join(err, cat.close())
}

func (c Config) initialize(ctx context.Context, st blob.Storage) error {
	if err := repo.Initialize(ctx, st, &repo.NewRepositoryOptions{FormatBlockKeyDerivationAlgorithm: c.keyDerivation}, c.Passphrase); err != nil {
		if errors.Is(err, repo.ErrAlreadyInitialized) {
			err = ErrExist
		}
		return fmt.Errorf("create repository in %s: %w", c.Place, err)
	}
	err := c.kopia(st).write(ctx, "create", nil, func(ctx context.Context, w repo.DirectRepositoryWriter) error {
		if err := policy.SetPolicy(ctx, w, policy.GlobalPolicySourceInfo, uploadPolicy()); err != nil {
			return err
		}
		p := maintenance.DefaultParams()
		p.Owner = w.ClientOptions().UsernameAtHost()
		return maintenance.SetParams(ctx, w, &p)
	})
	if err != nil {
		return fmt.Errorf("create repository in %s: %w", c.Place, err)
	}
	return nil
}

// Open opens a repository that exists. Where none is, it says so (ErrNoRepository)
// and creates nothing: the usual cause is a NAS that is not mounted.
func Open(ctx context.Context, c Config) (*Repository, error) {
	st, err := c.Place.open(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("open repository in %s: %w", c.Place, err)
	}
	r, err := c.openOn(ctx, st)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open repository in %s: %w", c.Place, err), st.Close(ctx))
	}
	return r, nil
}

func (c Config) openOn(ctx context.Context, st blob.Storage) (*Repository, error) {
	id, err := identify(ctx, st)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.StateDir, 0o700); err != nil {
		return nil, err
	}
	cat, err := openCatalogue(ctx, c.StateDir)
	if err != nil {
		return nil, err
	}
	r := &Repository{place: c.Place.String(), id: id, catalogue: cat}
	r.storage = &catalogued{Storage: st, catalogue: cat, place: r.place, strangers: &r.strangers}
	r.kopia = c.kopia(r.storage)
	if err = cat.claim(ctx, id); err == nil { // first: the caches are the known one's
		r.rep, err = r.kopia.open(ctx, cached)
	}
	if err != nil {
		return nil, errors.Join(err, cat.close())
	}
	return r, nil
}

func (c Config) kopia(st blob.Storage) kopia {
	return kopia{
		storage:    st,
		passphrase: c.Passphrase,
		dir:        c.StateDir,
		cache: content.CachingOptions{
			CacheDirectory:         c.cacheDir(),
			ContentCacheSizeBytes:  256 << 20,
			MetadataCacheSizeBytes: 1 << 30,
		},
	}
}

// Opens tells by nil whether a passphrase opens the repository, by ErrPassphrase that it
// does not. It asks the storage, and no cache.
func (r *Repository) Opens(ctx context.Context, passphrase string) error {
	other := r.kopia
	other.passphrase = passphrase
	rep, err := other.open(ctx, uncached)
	if err != nil {
		return err
	}
	return rep.Close(ctx)
}

func (c Config) cacheDir() string { return filepath.Join(c.StateDir, "cache") }

// Close ends all use of the repository.
func (r *Repository) Close(ctx context.Context) error {
	return errors.Join(r.View.Close(ctx), r.catalogue.close(), r.storage.Close(ctx))
}

// identify gives the identity of the repository in st, or ErrNoRepository. It does not
// need the passphrase, and no cache answers for it.
func identify(ctx context.Context, st blob.Storage) (string, error) {
	var text buffer
	switch err := st.GetBlob(ctx, formatBlob, 0, -1, &text); {
	case errors.Is(err, blob.ErrBlobNotFound):
		return "", ErrNoRepository
	case err != nil:
		return "", err
	}
	f, err := format.ParseKopiaRepositoryJSON(text.Bytes())
	if err != nil {
		return "", fmt.Errorf("blob %s is damaged: %w", formatBlob, err)
	}
	return hex.EncodeToString(f.UniqueID), nil
}
