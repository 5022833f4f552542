package repository

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/content"
	"github.com/kopia/kopia/repo/format"
)

const (
	formatBlob = format.KopiaRepositoryBlobID

	// Snapshots are airlock@airlock:/SYSTEM. The machine's own name stays out of it,
	// so that a replacement machine carries on where the old one stopped.
	site = "airlock"
	user = "airlock"

	storageType = "airlock"
)

// kopia knows how to open the kopia repository on a storage, as often as needed.
type kopia struct {
	storage    blob.Storage
	passphrase string
	dir        string // for kopia's configuration files
	cache      content.CachingOptions
	readOnly   bool
}

type caching bool

const (
	cached   caching = true
	uncached caching = false
)

type storageKey struct{}

// register makes kopia's opener, which builds storages from its configuration file by
// type name, take the storage that travels in the context instead. So the file holds
// no credentials, and two repositories may be open at once.
var register = sync.OnceFunc(func() {
	blob.AddSupportedStorage(storageType, struct{}{}, func(ctx context.Context, _ *struct{}, _ bool) (blob.Storage, error) {
		st, ok := ctx.Value(storageKey{}).(blob.Storage)
		if !ok {
			return nil, errors.New("this configuration is opened by airlock only")
		}
		return st, nil
	})
})

// open opens the repository. The storage stays the caller's: closing the result does
// not close it.
//
// What it gives is not safe for every concurrent use: when kopia v0.23.1 refreshes its
// index it unmaps files that another goroutine may still be iterating over
// (committedContentIndex.listContents against use), and the fault ends the process,
// doors and all. Hence airlock refreshes at chosen moments only, one goroutine at a
// time (View.manifests), and everything that writes opens a kopia of its own.
func (k kopia) open(ctx context.Context, c caching) (repo.DirectRepository, error) {
	register()
	file, err := k.configure(c)
	if err != nil {
		return nil, err
	}
	rep, err := repo.Open(context.WithValue(ctx, storageKey{}, lent{k.storage}), file, k.passphrase, &repo.Options{
		DisableRepositoryLog: true,
		DoNotWaitForUpgrade:  true,
		OnFatalError:         func(error) {}, // the same error is returned by the call that met it
	})
	switch {
	case errors.Is(err, repo.ErrInvalidPassword):
		return nil, ErrPassphrase
	case err != nil:
		return nil, fmt.Errorf("kopia: %w", err)
	}
	direct, ok := rep.(repo.DirectRepository)
	if !ok {
		return nil, errors.Join(fmt.Errorf("kopia: %T gives no direct access", rep), rep.Close(ctx))
	}
	direct.DisableIndexRefresh()
	return direct, nil
}

// write runs a write session on a kopia of its own. uploaded, which may be nil, hears
// of the bytes that reach the storage.
func (k kopia) write(ctx context.Context, purpose string, uploaded func(int64), do func(context.Context, repo.DirectRepositoryWriter) error) error {
	rep, err := k.open(ctx, cached)
	if err != nil {
		return err
	}
	err = repo.DirectWriteSession(ctx, rep, repo.WriteSessionOptions{Purpose: purpose, OnUpload: uploaded},
		func(ctx context.Context, w repo.DirectRepositoryWriter) error {
			w.DisableIndexRefresh()
			return do(ctx, w)
		})
	return errors.Join(err, rep.Close(context.WithoutCancel(ctx)))
}

// configure writes kopia's configuration file. repo.Connect would do it too, but it
// opens the repository with os.Exit as its answer to a fatal error, and removes the
// caches if that fails. Equal bytes are written each time, so it does not matter who
// else is opening.
func (k kopia) configure(c caching) (file string, err error) {
	conf := repo.LocalConfig{
		Storage: new(lent{k.storage}.ConnectionInfo()),
		Caching: &content.CachingOptions{},
		ClientOptions: repo.ClientOptions{
			Hostname: site, Username: user, ReadOnly: k.readOnly,
			FormatBlobCacheDuration: 15 * time.Minute,
		},
	}
	file = filepath.Join(k.dir, "kopia-uncached.json")
	if c == cached {
		file = filepath.Join(k.dir, "kopia.json")
		conf.Caching = &k.cache
		if conf.Caching.CacheDirectory, err = filepath.Abs(k.cache.CacheDirectory); err != nil {
			return "", err
		}
	}
	text, err := json.MarshalIndent(conf, "", "  ")
	if err != nil {
		return "", err
	}
	return file, replaceFile(file, text)
}

func replaceFile(name string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err = f.Write(text); err != nil {
		return errors.Join(err, f.Close())
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// lent is a storage as kopia gets it: it cannot be closed, and it tells nobody how it
// was reached.
type lent struct{ blob.Storage }

func (lent) Close(context.Context) error { return nil }

func (lent) ConnectionInfo() blob.ConnectionInfo {
	return blob.ConnectionInfo{Type: storageType, Config: &struct{}{}}
}
