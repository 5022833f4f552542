package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// SignaturePath is where the site's signature of a generation lies: a signed note
// (golang.org/x/mod/sumdb/note) whose text is two lines,
//
//	airlock generation 7
//	SHA-256 of generations/00000007.json, in 64 hexadecimal digits
func SignaturePath(number int64) string {
	return strings.TrimSuffix(GenerationPath(number), manifestSuffix) + signatureSuffix
}

const (
	manifestSuffix  = ".json"
	signatureSuffix = ".sig"
	maxSignature    = 64 << 10 // bytes; a hundred signatures
)

// ErrUntrusted says that a generation or a receipt does not have the signature that it
// must have. Its content counts for nothing.
var ErrUntrusted = errors.New("not signed by the key that it must be signed by")

func sealText(number int64, sum Sum) string {
	return fmt.Sprintf("airlock generation %d\n%s\n", number, sum)
}

// SignGeneration makes the signature of the generation whose file has this hash.
func SignGeneration(number int64, sum Sum, site note.Signer) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: sealText(number, sum)}, site)
	if err != nil {
		return nil, fmt.Errorf("sign generation %d: %w", number, err)
	}
	return signed, nil
}

// CheckSignature wants the signature to be by one of the site's keys, of this number and
// this hash, and says ErrUntrusted otherwise.
func CheckSignature(signature []byte, number int64, sum Sum, site ...note.Verifier) error {
	n, err := note.Open(signature, note.VerifierList(site...))
	if err != nil {
		return fmt.Errorf("%w: generation %d: %w", ErrUntrusted, number, err)
	}
	if n.Text != sealText(number, sum) {
		return fmt.Errorf("%w: the signature of generation %d is of something else", ErrUntrusted, number)
	}
	return nil
}

// LoadSigned is Load, and wants the generation signed by the site. One that is not, or
// by another key, is ErrUntrusted.
func LoadSigned(ctx context.Context, store Store, number int64, site ...note.Verifier) (*Generation, error) {
	g, err := Load(ctx, store, number)
	if err != nil {
		return nil, err
	}
	sum, err := g.Hash()
	if err != nil {
		return nil, err
	}
	signature, err := readSmall(ctx, store, SignaturePath(g.Number))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: generation %d has no signature: its window was cut just then, or it is not airlock's", ErrUntrusted, g.Number)
	}
	if err != nil {
		return nil, err
	}
	return g, CheckSignature(signature, g.Number, sum, site...)
}

// Newest loads the newest generation that the site has signed. fs.ErrNotExist if there
// is none; passed names the newer ones that were passed over, and why.
func Newest(ctx context.Context, store Store, site ...note.Verifier) (g *Generation, passed []string, err error) {
	infos, err := Generations(ctx, store)
	if err != nil {
		return nil, nil, err
	}
	var refused []error
	for i := len(infos) - 1; i >= 0; i-- {
		g, err := LoadSigned(ctx, store, infos[i].Number, site...)
		if err == nil {
			return g, passed, nil
		}
		if ctx.Err() != nil {
			return nil, passed, err
		}
		passed, refused = append(passed, err.Error()), append(refused, err)
	}
	if len(passed) > 0 {
		return nil, passed, fmt.Errorf("the vault has no generation that can be trusted: %w", errors.Join(refused...))
	}
	return nil, nil, fmt.Errorf("the vault has no generation yet: no window has ended: %w", fs.ErrNotExist)
}

// readSmall reads a signature or a receipt whole.
func readSmall(ctx context.Context, store Store, name string) ([]byte, error) {
	r, err := store.Open(ctx, name, 0, maxSignature+1)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return readAtMost(r, maxSignature, name)
}

// SignedOf is the number of the generation whose signature lies at a path; 0 for any
// other file.
func SignedOf(file string) int64 {
	number := GenerationOf(strings.TrimSuffix(file, signatureSuffix) + manifestSuffix)
	if number == 0 || SignaturePath(number) != file {
		return 0
	}
	return number
}

// GenerationOf is the number of the generation whose manifest lies at a path; 0 for
// any other file.
func GenerationOf(file string) int64 {
	if path.Dir(file) != generationsDir {
		return 0
	}
	return generationOfFile(path.Base(file))
}
