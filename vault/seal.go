package vault

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"airlock/blob"
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
	maxSignature    = 4 << 10 // bytes; some ten signatures
)

// ErrUntrusted says that a generation or a receipt does not have the signature that it
// must have. Its content counts for nothing.
var ErrUntrusted = errors.New("not signed by the key that it must be signed by")

func sealText(number int64, sum blob.Sum) string {
	return fmt.Sprintf("airlock generation %d\n%s\n", number, sum)
}

// SignGeneration makes the signature of the generation whose file has this hash.
func SignGeneration(number int64, sum blob.Sum, site note.Signer) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: sealText(number, sum)}, site)
	if err != nil {
		return nil, fmt.Errorf("sign generation %d: %w", number, err)
	}
	return signed, nil
}

// CheckSignature wants the signature to be by one of the site's keys, of this number and
// this hash, and says ErrUntrusted otherwise.
func CheckSignature(signature []byte, number int64, sum blob.Sum, site ...note.Verifier) error {
	signed, err := OpenSignature(signature, number, site...)
	if err == nil && signed != sum {
		err = fmt.Errorf("%w: the signature of generation %d is of something else", ErrUntrusted, number)
	}
	return err
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
