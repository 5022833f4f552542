package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"airlock/blob"
	"airlock/vault"

	"golang.org/x/mod/sumdb/note"
)

// detail is evidence as the ledger takes it.
func detail(evidence any) json.RawMessage {
	if evidence == nil {
		return nil
	}
	// What is put into the ledger is made of texts, numbers and times.
	text, _ := json.Marshal(evidence)
	return text
}

// takeStock compares the index with the folder: a file without a record gets one, to be
// read; a record without its file is damage. It wants to be alone.
func (h *Host) takeStock(ctx context.Context) error {
	known, err := h.records(ctx)
	if err != nil {
		return err
	}
	err = fs.WalkDir(h.folder.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		if d.IsDir() && ours(name) {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		size, recorded := known[name]
		delete(known, name)
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !recorded {
			return h.index.discover(ctx, name, info.Size(), info.ModTime())
		}
		if size != info.Size() {
			return h.damage(ctx, name, fmt.Sprintf("%d bytes instead of %d", info.Size(), size))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("taking stock of %s: %w", h.conf.Folder, err)
	}
	for name := range known {
		if err := h.damage(ctx, name, "missing"); err != nil {
			return err
		}
	}
	return nil
}

// records are the sizes of all recorded files but those that are known to be damaged.
func (h *Host) records(ctx context.Context) (map[string]int64, error) {
	known := map[string]int64{}
	for r, err := range h.index.all(ctx) {
		if err != nil {
			return nil, err
		}
		if r.damage == "" {
			known[r.path] = r.size
		}
	}
	return known, nil
}

// damage notes that a file is not as it was. What a record does not know the hash of
// cannot be told from what should be there: its record goes, and it is as new.
func (h *Host) damage(ctx context.Context, name, why string) error {
	r, err := h.index.find(ctx, name)
	if err != nil {
		return err
	}
	if r.sum == nil {
		return h.index.forget(ctx, []string{name})
	}
	known := r.damage != ""
	r.damage, r.read = why, h.conf.Now()
	if err := h.index.seen(ctx, r); err != nil || known {
		return err
	}
	h.alarm("a file of the vault is damaged", name+": "+why+"; the next receipt asks the site to send it again")
	return nil
}

// readUnread reads the files whose hash nobody knows.
func (s *serving) readUnread(ctx context.Context) {
	for r, err := range s.index.due(ctx, time.Unix(0, 1), 1<<30) {
		if err == nil {
			_, err = s.readFile(ctx, r, func(int64) {})
		}
		if err != nil && ctx.Err() == nil {
			s.conf.Log.Error("reading what nobody knows the hash of", "error", err)
		}
		if err != nil {
			return
		}
	}
}

// readFile reads all bytes of a file, past the kernel's cache, and notes what it found.
func (h *Host) readFile(ctx context.Context, r record, moved func(n int64)) (record, error) {
	sum, size, err := h.hash(ctx, r.path, moved)
	var disk *fs.PathError
	switch {
	case ctx.Err() != nil:
		return r, context.Cause(ctx)
	case errors.Is(err, fs.ErrNotExist):
		if _, gone := h.index.find(ctx, r.path); gone != nil {
			return r, nil // it was dropped meanwhile
		}
		r.damage = "missing"
	case errors.As(err, &disk):
		r.damage = "cannot be read: " + disk.Err.Error()
	case err != nil:
		return r, err
	case r.sum == nil:
		r.sum, r.size = &sum, size
	case *r.sum != sum || r.size != size:
		r.damage = fmt.Sprintf("%d bytes with SHA-256 %s instead of %d with %s", size, sum, r.size, r.sum)
	default:
		r.damage = ""
	}
	if r.damage != "" {
		return r, h.damage(ctx, r.path, r.damage)
	}
	r.read = h.conf.Now()
	return r, h.index.seen(ctx, r)
}

func (h *Host) hash(ctx context.Context, name string, moved func(n int64)) (sum blob.Sum, size int64, err error) {
	f, err := h.folder.openRegular(name)
	if err != nil {
		return sum, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := forget(f); err != nil {
		return sum, 0, err
	}
	hash := newHash()
	size, err = io.Copy(hash, &stoppable{ctx, f, moved})
	hash.Sum(sum[:0])
	return sum, size, err
}

// stoppable is a reader that ends with its ctx.
type stoppable struct {
	ctx   context.Context
	r     io.Reader
	moved func(n int64)
}

func (s *stoppable) Read(b []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	n, err := s.r.Read(b)
	s.moved(int64(n))
	return n, err
}

// numbers are the generations whose manifests lie in the folder, oldest first by number.
func (h *Host) numbers() ([]int64, error) {
	files, err := fs.ReadDir(h.folder.FS(), "generations")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var numbers []int64
	for _, f := range files { // sorted by name, and so by number
		if n := vault.GenerationOf("generations/" + f.Name()); n > 0 && f.Type().IsRegular() {
			numbers = append(numbers, n)
		}
	}
	return numbers, err
}

// near refuses a generation's number that is too far: the last number that there is, taken
// by anybody, would end them all. 0 is none.
func (h *Host) near(number int64) error {
	if number <= vault.Farthest {
		return nil
	}
	numbers, err := h.numbers()
	if err == nil && (len(numbers) == 0 || number-numbers[len(numbers)-1] > vault.Farthest) {
		err = fmt.Errorf("generation %d is too far beyond those that are here: %w", number, fs.ErrInvalid)
	}
	return err
}

// manifest reads a generation and its hash.
func (h *Host) manifest(number int64) (*vault.Generation, blob.Sum, error) {
	var sum blob.Sum
	name := vault.GenerationPath(number)
	file, err := h.readWhole(name, maxManifest)
	if err != nil {
		return nil, sum, err
	}
	hash := newHash()
	hash.Write(file)
	hash.Sum(sum[:0])
	g, err := vault.Decode(file)
	if err != nil {
		return nil, sum, fmt.Errorf("%s: %w", name, err)
	}
	if g.Number != number {
		return nil, sum, fmt.Errorf("%s says that it is generation %d", name, g.Number)
	}
	return g, sum, nil
}

// Bounds of what is read into memory, in bytes.
const (
	maxManifest = 256 << 20
	maxSmall    = 4 << 10
	maxReceipt  = 8 << 20
)

func (h *Host) readWhole(name string, limit int64) (data []byte, err error) {
	f, err := h.folder.openRegular(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var b strings.Builder
	n, err := io.Copy(&b, io.LimitReader(f, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	return []byte(b.String()), err
}

// signed gives the hash that a generation's file has by the site's signature, which is
// read before it: ErrUntrusted if there is none.
func (h *Host) signed(number int64) (sum blob.Sum, err error) {
	signature, err := h.readWhole(vault.SignaturePath(number), maxSmall)
	if errors.Is(err, fs.ErrNotExist) {
		return sum, fmt.Errorf("%w: it has no signature", vault.ErrUntrusted)
	}
	if err != nil {
		return sum, fmt.Errorf("%w: %w", vault.ErrUntrusted, err)
	}
	return vault.OpenSignature(signature, number, h.conf.Site)
}

// counts gives the hash of a generation that counts: one that the site has signed, or for
// which this host has given a receipt, which it does for no other. So one still counts
// whose signature is damaged, or by a key that the site has no more.
func (h *Host) counts(number int64) (blob.Sum, error) {
	sum, err := h.signed(number)
	if err == nil {
		return sum, nil
	}
	file, missing := h.readWhole(vault.ReceiptPath(number), maxReceipt)
	if missing != nil {
		return sum, err
	}
	key, broken := note.NewVerifier(h.public)
	if broken != nil {
		return sum, broken
	}
	r, other := vault.OpenReceipt(file, key)
	if other != nil || r.Generation != number {
		return sum, err
	}
	return r.Hash, nil
}

// scan reads a generation that counts, blob by blob: ErrUntrusted if its bytes are not
// those that were signed. What it shows of such a one is shown before that is known.
func (h *Host) scan(number int64, want blob.Sum, each func(vault.Entry) error) (g *vault.Generation, err error) {
	name := vault.GenerationPath(number)
	f, err := h.folder.openRegular(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	g, sum, err := vault.Scan(f, each)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case sum != want:
		return nil, fmt.Errorf("%w: %s has SHA-256 %s instead of %s", vault.ErrUntrusted, name, sum, want)
	case g.Number != number:
		return nil, fmt.Errorf("%s says that it is generation %d", name, g.Number)
	}
	return g, nil
}
