package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"airlock/blob"
	"airlock/vault"
)

// CheckoutReport is what a checkout laid out.
type CheckoutReport struct {
	Generation int64    `json:"generation"`
	Blobs      int      `json:"blobs"`
	Bytes      int64    `json:"bytes"`
	Missing    []string `json:"missing,omitempty"` // blobs that are not there in their size
	// Untrusted says why the generation's signature is not the site's; "" if it is.
	Untrusted string `json:"untrusted,omitempty"`
}

// Checkout lays a generation out in a folder as an ordinary kopia repository, which the
// stock program opens: dir is made, or empty. The files are hard links to the vault's,
// which are not writable; give kopia --readonly. With byCopy they are copies, hashed on
// the way, for another disk. What the vault has lost is in the report, and the rest is
// laid out all the same.
func (h *Host) Checkout(ctx context.Context, number int64, dir string, byCopy bool) (report CheckoutReport, err error) {
	sum, err := h.readable(ctx, number, &report)
	if err != nil {
		return report, err
	}
	if err := h.outside(dir); err != nil {
		return report, err
	}
	if err := emptyFolder(dir); err != nil {
		return report, err
	}
	_, err = h.scan(number, sum, func(e vault.Entry) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := h.layOut(ctx, e, filepath.Join(dir, filepath.FromSlash(vault.BlobPath(e.Name))), byCopy)
		switch {
		case errors.Is(err, errAmiss):
			report.Missing = append(report.Missing, err.Error())
			return nil
		case errors.Is(err, syscall.EXDEV):
			return fmt.Errorf("%s is on another disk than the vault: name a folder beside %s, or use --copy: %w", dir, h.conf.Folder, err)
		case err != nil:
			return fmt.Errorf("blob %s: %w", e.Name, err)
		}
		report.Blobs++
		report.Bytes += e.Size
		return nil
	})
	if err != nil {
		return report, err
	}
	return report, os.WriteFile(filepath.Join(dir, vault.ShardsName), []byte(vault.ShardsFile), 0o600)
}

// readable looks through a generation before anything is laid out by it, and gives the hash
// of its file. One that the site has not signed is a person's own choice, and told of.
func (h *Host) readable(ctx context.Context, number int64, report *CheckoutReport) (sum blob.Sum, err error) {
	report.Generation = number
	sum, _, err = h.hash(ctx, vault.GenerationPath(number), func(int64) {})
	if errors.Is(err, fs.ErrNotExist) {
		return sum, fmt.Errorf("there is no generation %d; airlock vault generations lists them: %w", number, err)
	}
	if err != nil {
		return sum, err
	}
	if signed, err := h.signed(number); err != nil {
		report.Untrusted = err.Error()
	} else if signed != sum {
		report.Untrusted = fmt.Sprintf("the signature of generation %d is of something else", number)
	}
	_, err = h.scan(number, sum, func(vault.Entry) error { return ctx.Err() })
	return sum, err
}

// outside refuses a folder inside the vault's, whose files would be taken for its own.
func (h *Host) outside(dir string) error {
	own, err := os.Stat(h.conf.Folder)
	if err != nil {
		return err
	}
	for above := dir; ; above = filepath.Dir(above) {
		if info, err := os.Stat(above); err == nil && os.SameFile(info, own) {
			return fmt.Errorf("%s lies in the vault's own folder; name one outside of %s", dir, h.conf.Folder)
		}
		if above == filepath.Dir(above) {
			return nil
		}
	}
}

func emptyFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	files, err := os.ReadDir(dir)
	if err == nil && len(files) > 0 {
		err = fmt.Errorf("%s is not empty; name a new folder", dir)
	}
	return err
}

// errAmiss says that the vault does not have a blob as it is listed.
var errAmiss = errors.New("not as it is listed")

func (h *Host) layOut(ctx context.Context, e vault.Entry, to string, byCopy bool) error {
	info, err := h.folder.Lstat(e.At())
	if errors.Is(err, fs.ErrNotExist) || err == nil && (info.Size() != e.Size || !info.Mode().IsRegular()) {
		return fmt.Errorf("%s: %w", e.Name, errAmiss)
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if !byCopy {
		return os.Link(filepath.Join(h.conf.Folder, filepath.FromSlash(e.At())), to)
	}
	return h.copyOut(ctx, e, to)
}

func (h *Host) copyOut(ctx context.Context, e vault.Entry, to string) (err error) {
	from, err := h.folder.openRegular(e.At())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	hash := newHash()
	_, err = io.Copy(io.MultiWriter(f, hash), &stoppable{ctx, from, func(int64) {}})
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	var sum blob.Sum
	if hash.Sum(sum[:0]); sum != e.SHA256 {
		return errors.Join(fmt.Errorf("%s: SHA-256 %s instead of %s: %w", e.Name, sum, e.SHA256, errAmiss), os.Remove(to))
	}
	return nil
}
