package repository

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/kopia/kopia/repo/blob"
)

// Holdings are a repository's blobs and what the catalogue says of them, without kopia:
// neither the passphrase is needed, nor that the repository still opens. They are what a
// damaged repository is mended through. They may be open beside a Repository.
type Holdings struct {
	place, cache string
	storage      blob.Storage // catalogued
	catalogue    *catalogue
}

// OpenHoldings opens them. Where there is no repository (ErrNoRepository) nothing is
// created, unless anew is set: then its folder is made, as Create makes it.
func OpenHoldings(ctx context.Context, c Config, anew bool) (*Holdings, error) {
	st, err := c.Place.open(ctx, false)
	if anew && errors.Is(err, ErrNoRepository) {
		st, err = c.Place.open(ctx, true)
	}
	if err != nil {
		return nil, fmt.Errorf("open the blobs in %s: %w", c.Place, err)
	}
	if err := os.MkdirAll(c.StateDir, 0o700); err != nil {
		return nil, errors.Join(err, st.Close(ctx))
	}
	cat, err := openCatalogue(ctx, c.StateDir)
	if err != nil {
		return nil, errors.Join(err, st.Close(ctx))
	}
	h := &Holdings{place: c.Place.String(), cache: c.cacheDir(), catalogue: cat}
	h.storage = &catalogued{Storage: st, catalogue: cat, place: h.place}
	return h, nil
}

// Close ends all use of the holdings.
func (h *Holdings) Close(ctx context.Context) error {
	return errors.Join(h.catalogue.close(), h.storage.Close(ctx))
}

// Catalogued are the blobs that the repository consists of by its catalogue.
func (h *Holdings) Catalogued(ctx context.Context) (map[string]Blob, error) {
	return h.catalogue.all(ctx)
}

// Listed are the sizes of the blobs that lie in the storage, of those that a restore needs.
func (h *Holdings) Listed(ctx context.Context) (map[string]int64, error) {
	all, err := list(ctx, h.storage)
	if err != nil {
		return nil, fmt.Errorf("list the blobs in %s: %w", h.place, err)
	}
	sizes := make(map[string]int64, len(all))
	for _, m := range all {
		sizes[string(m.BlobID)] = m.Length
	}
	return sizes, nil
}

// Inspect is [Repository.Inspect].
func (h *Holdings) Inspect(ctx context.Context, blobs []Blob, read func(n int64)) ([]Fault, error) {
	return inspect(ctx, func(ctx context.Context, name string) (io.ReadCloser, error) { return h.Open(ctx, name, 0, -1) }, blobs, read)
}

// Open reads n bytes of a blob from off, or the whole blob if n < 0, as it lies in the
// storage. fs.ErrNotExist if there is none.
func (h *Holdings) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	body, err := openBlob(ctx, h.storage, blob.ID(name), off, n)
	if errors.Is(err, blob.ErrBlobNotFound) {
		err = os.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("read blob %s from %s: %w", name, h.place, err)
	}
	return body, nil
}

// Put writes a blob, in one step, over whatever lies under its name, and enters it into
// the catalogue. r is read to its end first, and must give just the blob's bytes.
func (h *Holdings) Put(ctx context.Context, b Blob, r io.Reader) error {
	var whole bytes.Buffer
	whole.Grow(int(b.Size))
	if _, err := whole.ReadFrom(r); err != nil {
		return fmt.Errorf("blob %s: %w", b.Name, err)
	}
	if sha256.Sum256(whole.Bytes()) != b.SHA256 {
		return fmt.Errorf("blob %s: other bytes came than its SHA-256 says; nothing was written", b.Name)
	}
	return h.storage.PutBlob(ctx, blob.ID(b.Name), wholeBlob(whole.Bytes()), blob.PutOptions{})
}

// asidePrefix begins the names of blobs that were set aside. Neither kopia nor a vault's
// generation takes any notice of them.
const asidePrefix = "aside-"

// SetAside keeps a copy of what lies under a blob's name in the storage, and gives the
// copy's name: "" if nothing lies there.
func (h *Holdings) SetAside(ctx context.Context, name string) (aside string, err error) {
	var whole buffer
	err = h.storage.GetBlob(ctx, blob.ID(name), 0, -1, &whole)
	if errors.Is(err, blob.ErrBlobNotFound) {
		return "", nil
	}
	if err == nil {
		aside = asidePrefix + name + "-" + time.Now().UTC().Format("20060102T150405")
		err = h.storage.PutBlob(ctx, blob.ID(aside), wholeBlob(whole.Bytes()), blob.PutOptions{})
	}
	if err != nil {
		return "", fmt.Errorf("set blob %s aside in %s: %w", name, h.place, err)
	}
	return aside, nil
}

// Forget removes a blob from the storage and from the catalogue. It is done if there is none.
func (h *Holdings) Forget(ctx context.Context, name string) error {
	if err := h.storage.DeleteBlob(ctx, blob.ID(name)); err != nil && !errors.Is(err, blob.ErrBlobNotFound) {
		return fmt.Errorf("remove blob %s from %s: %w", name, h.place, err)
	}
	return h.catalogue.remove(ctx, name)
}

// ForgetCaches removes what is remembered of the repository's contents on this machine.
func (h *Holdings) ForgetCaches() error { return os.RemoveAll(h.cache) }

// Metadata tells whether a blob belongs to what snapshots are found by: kopia's settings,
// indexes and lists of files; not to the packs of files' data.
func Metadata(name string) bool { return !strings.HasPrefix(name, "p") }

// wholeBlob is a blob as kopia's storages take it.
type wholeBlob []byte

func (b wholeBlob) Length() int               { return len(b) }
func (b wholeBlob) Reader() io.ReadSeekCloser { return nopSeekCloser{bytes.NewReader(b)} }
func (b wholeBlob) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b)
	return int64(n), err
}

type nopSeekCloser struct{ io.ReadSeeker }

func (nopSeekCloser) Close() error { return nil }
