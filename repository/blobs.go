package repository

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/maintenance"
)

// Inventory is what the repository consists of.
type Inventory struct {
	// Blobs are those that a restore needs, by name; session markers and logs are left
	// out.
	Blobs []Blob
	// Adopted names blobs that were found in the storage without an entry in the
	// catalogue, or settings (kopia.*) with another one, and have been read back and
	// entered: a crash came between the two, or another client wrote them.
	Adopted []string
	// Faults are what the catalogue has and the storage has not, or not so. The rest of
	// the inventory may not restore.
	Faults []Fault
}

// Blobs lists the storage and reconciles the catalogue with it. It may run beside a
// snapshot: what it then returns holds everything that its own indexes name.
func (r *Repository) Blobs(ctx context.Context) (Inventory, error) {
	r.upkeep.Lock()
	defer r.upkeep.Unlock()
	known, err := r.catalogue.all(ctx) // first: what is written from now on is not missed
	if err != nil {
		return Inventory{}, err
	}
	listed, err := list(ctx, r.storage)
	if err != nil {
		return Inventory{}, fmt.Errorf("list the blobs in %s: %w", r.place, err)
	}
	var inv Inventory
	for _, m := range listed {
		if err := r.reconcile(ctx, m, known, &inv); err != nil {
			return Inventory{}, err
		}
		delete(known, string(m.BlobID))
	}
	for _, b := range known {
		inv.Faults = append(inv.Faults, Fault{Name: b.Name, Why: "it is missing from the storage", Was: b})
	}
	slices.SortFunc(inv.Blobs, func(a, b Blob) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(inv.Faults, func(a, b Fault) int { return cmp.Compare(a.Name, b.Name) })
	return inv, nil
}

// list lists the needed blobs. The order of the prefixes matters: kopia writes packs
// before the indexes that name them, so whatever an index in the list names was there
// when the packs were listed.
func list(ctx context.Context, st blob.Storage) ([]blob.Metadata, error) {
	var all []blob.Metadata
	for _, prefix := range []blob.ID{"x", "n", "m", "l", "kopia.", "q", "p"} {
		some, err := blob.ListAllBlobs(ctx, st, prefix)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func (r *Repository) reconcile(ctx context.Context, m blob.Metadata, known map[string]Blob, inv *Inventory) error {
	b, ok := known[string(m.BlobID)]
	if !ok { // perhaps it was written a moment ago
		var err error
		if b, ok, err = r.catalogue.get(ctx, string(m.BlobID)); err != nil {
			return err
		}
	}
	switch {
	case !ok, strings.HasPrefix(b.Name, "kopia."): // these few may be written anew by any client
		now, err := r.adopt(ctx, m.BlobID, b)
		if bad := (unsoundError{}); ok && errors.As(err, &bad) {
			inv.Faults = append(inv.Faults, Fault{Name: b.Name, Why: bad.Error(), Was: b})
			return nil
		}
		if err != nil {
			return fmt.Errorf("blob %s: %w", m.BlobID, err)
		}
		if now.SHA256 != b.SHA256 {
			inv.Adopted = append(inv.Adopted, now.Name)
		}
		inv.Blobs = append(inv.Blobs, now)
	case b.Size != m.Length:
		inv.Faults = append(inv.Faults, Fault{Name: b.Name, Why: fmt.Sprintf("it has %d bytes; %d were written", m.Length, b.Size), Was: b})
	default:
		inv.Blobs = append(inv.Blobs, b)
	}
	return nil
}

// adopt reads a blob back and enters it, unless it is the one that is known.
func (r *Repository) adopt(ctx context.Context, id blob.ID, known Blob) (Blob, error) {
	var whole buffer
	if err := r.storage.GetBlob(ctx, id, 0, -1, &whole); err != nil {
		return Blob{}, fmt.Errorf("read back blob %s from %s: %w", id, r.place, err)
	}
	b := Blob{Name: string(id), Size: int64(whole.Len()), SHA256: sha256.Sum256(whole.Bytes()), Written: time.Now()}
	if b.SHA256 == known.SHA256 {
		return known, nil
	}
	if err := r.sound(ctx, id); err != nil {
		return Blob{}, err
	}
	return b, r.catalogue.put(ctx, b)
}

// unsoundError marks settings that kopia itself cannot read.
type unsoundError struct{ error }

// sound holds one of kopia's own settings to what kopia makes of it. Any client may
// write these anew, so a hash that is not the known one is no damage yet; but what cannot
// be opened with the passphrase would make a vault's next generation one that does not
// open either.
func (r *Repository) sound(ctx context.Context, id blob.ID) error {
	if !strings.HasPrefix(string(id), "kopia.") {
		return nil
	}
	rep, err := r.kopia.open(ctx, uncached)
	if err == nil {
		_, err = maintenance.GetSchedule(ctx, rep)
		err = errors.Join(err, rep.Close(context.WithoutCancel(ctx)))
	}
	if err != nil && ctx.Err() == nil {
		return unsoundError{fmt.Errorf("it has other bytes, which kopia cannot read: %w", err)}
	}
	return err
}

// OpenBlob reads one blob as it lies in the storage. fs.ErrNotExist if there is none.
func (r *Repository) OpenBlob(ctx context.Context, name string) (io.ReadCloser, error) {
	body, err := openBlob(ctx, r.storage, blob.ID(name), 0, -1)
	if errors.Is(err, blob.ErrBlobNotFound) {
		err = os.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("read blob %s from %s: %w", name, r.place, err)
	}
	return body, nil
}

// openBlob reads n bytes of a blob from off, or the whole blob if n < 0.
func openBlob(ctx context.Context, st blob.Storage, id blob.ID, off, n int64) (io.ReadCloser, error) {
	if c, ok := st.(*catalogued); ok {
		if f, ok := c.Storage.(*folder); ok { // no need to hold it in memory
			path, err := f.path(ctx, id)
			if err != nil {
				return nil, err
			}
			return openPart(path, off, n)
		}
	}
	if n < 0 {
		m, err := st.GetMetadata(ctx, id)
		if err != nil {
			return nil, err
		}
		n = max(0, m.Length-off)
	}
	p := &pieces{ctx: ctx, storage: st, id: id, off: off, left: n}
	return p, p.next()
}

// piece is how much of a remote blob is in memory at once, in bytes: packs are of 20 MB,
// and several are read side by side.
const piece = 4 << 20

// pieces reads a blob from a storage that gives no less than it is asked for.
type pieces struct {
	ctx     context.Context
	storage blob.Storage
	id      blob.ID
	off     int64 // of the next piece
	left    int64 // bytes from there to the end
	part    buffer
}

func (p *pieces) next() error {
	n := min(p.left, piece)
	p.part.Reset()
	if err := p.storage.GetBlob(p.ctx, p.id, p.off, n, &p.part); err != nil {
		return err
	}
	p.off += n
	p.left -= n
	return nil
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.part.Len() == 0 && p.left > 0 {
		if err := p.next(); err != nil {
			return 0, err
		}
	}
	return p.part.Read(b)
}

func (p *pieces) Close() error { return nil }

func openPart(path string, off, n int64) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if n < 0 {
		return f, nil
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, off, n), f}, nil
}
