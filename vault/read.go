package vault

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"airlock/blob"
)

// GenerationInfo is what a vault's listing says of a generation.
type GenerationInfo struct {
	Number  int64
	Size    int64     // of its file, in bytes
	Written time.Time // by the vault's clock
}

// Generations lists the generations in the vault, oldest first.
func Generations(ctx context.Context, store Store) ([]GenerationInfo, error) {
	files, err := store.List(ctx, generationsDir)
	if err != nil {
		return nil, fmt.Errorf("list the generations: %w", err)
	}
	var infos []GenerationInfo
	for _, f := range files {
		if n := generationOfFile(f.Name()); n > 0 && f.Mode().IsRegular() {
			infos = append(infos, GenerationInfo{n, f.Size(), f.ModTime()})
		}
	}
	slices.SortFunc(infos, func(a, b GenerationInfo) int { return cmp.Compare(a.Number, b.Number) })
	return infos, nil
}

// Load reads one generation; number 0 is the last one. fs.ErrNotExist if there is
// none. What it returns is as [Decode] wants it and bears the number that was asked
// for; whether it is the one that was put there, its hash tells.
func Load(ctx context.Context, store Store, number int64) (*Generation, error) {
	if number == 0 {
		infos, err := Generations(ctx, store)
		if err != nil {
			return nil, err
		}
		if len(infos) == 0 {
			return nil, fmt.Errorf("the vault has no generation yet: %w", fs.ErrNotExist)
		}
		number = infos[len(infos)-1].Number
	}
	file, err := readGeneration(ctx, store, number)
	if err != nil {
		return nil, err
	}
	g, err := Decode(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", GenerationPath(number), err)
	}
	if g.Number != number {
		return nil, fmt.Errorf("%s says that it is generation %d", GenerationPath(number), g.Number)
	}
	return g, nil
}

func readGeneration(ctx context.Context, store Store, number int64) ([]byte, error) {
	r, err := store.Open(ctx, GenerationPath(number), 0, -1)
	if err != nil {
		return nil, fmt.Errorf("generation %d: %w", number, err)
	}
	return readAtMost(r, maxGeneration, GenerationPath(number))
}

// Reader reads the blobs of one generation.
type Reader struct {
	Store      Store
	Generation *Generation
}

// Open reads a blob from off, n bytes of it (all the rest for n < 0). fs.ErrNotExist
// if the generation has no such blob. A blob that is read whole ends in an error
// instead of io.EOF if its bytes are not those that were sent; for a part of a blob
// kopia's own seal on its contents must do.
func (r Reader) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	e, ok := r.Generation.Blob(name)
	if !ok {
		return nil, fmt.Errorf("generation %d has no blob %s: %w", r.Generation.Number, name, fs.ErrNotExist)
	}
	body, err := r.Store.Open(ctx, e.At(), off, n)
	if err != nil {
		return nil, fmt.Errorf("blob %s of generation %d: %w", name, r.Generation.Number, err)
	}
	if off != 0 || n >= 0 && n < e.Size {
		return body, nil
	}
	return struct {
		io.Reader
		io.Closer
	}{blob.Verify(body, e.Size, e.SHA256, nil), body}, nil
}
