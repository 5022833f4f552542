package custody

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Signer is the site's own key: it signs the ledger's heads, its generations, and what is
// said to the guard. fs.ErrNotExist if the site has none.
func Signer(state string) (note.Signer, error) {
	text, err := os.ReadFile(filepath.Join(state, "keys", "site.key"))
	if err != nil {
		return nil, fmt.Errorf("the site's key: %w", err)
	}
	key, err := note.NewSigner(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("the site's key: the file site.key is damaged: %w", err) // S13: note quotes no key
	}
	return key, nil
}

// formerKey is where, beside the site's own, the public key of the machine may stand
// whose place this one took.
const formerKey = "former.pub"

// Verifiers are the public keys by which the site's generations may be signed.
// fs.ErrNotExist if the site has none.
func Verifiers(state string) ([]note.Verifier, error) {
	var keys []note.Verifier
	for _, name := range []string{"site.pub", formerKey} {
		text, err := os.ReadFile(filepath.Join(state, "keys", name))
		if errors.Is(err, fs.ErrNotExist) && len(keys) > 0 {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("the site's public key: %w", err)
		}
		key, err := note.NewVerifier(strings.TrimSpace(string(text)))
		if err != nil {
			return nil, fmt.Errorf("the site's public key: the file %s is damaged: %w", name, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// publicKey is the public key by which the ledger's heads are signed; "" where there is none.
func publicKey(state string) string {
	text, err := os.ReadFile(filepath.Join(state, "keys", "site.pub"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// FormerHint adds to err what to do where another machine's generations are this site's own.
func FormerHint(err error, state string) error {
	return fmt.Errorf("%w; if this machine took the place of another, write the public key of its recovery kit into %s", err, filepath.Join(state, "keys", formerKey))
}
