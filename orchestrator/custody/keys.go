package custody

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"airlock/state"

	"golang.org/x/mod/sumdb/note"
)

// Signer is the site's own key: it signs the ledger's heads, its generations, and what is
// said to the guard. fs.ErrNotExist if the site has none.
func Signer(state state.Folder) (note.Signer, error) {
	text, err := os.ReadFile(state.SiteKey())
	if err != nil {
		return nil, fmt.Errorf("the site's key: %w", err)
	}
	key, err := note.NewSigner(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("the site's key: the file site.key is damaged: %w", err) // S13: note quotes no key
	}
	return key, nil
}

// Verifiers are the public keys by which the site's generations may be signed.
// fs.ErrNotExist if the site has none.
func Verifiers(state state.Folder) ([]note.Verifier, error) {
	var keys []note.Verifier
	for _, file := range []string{state.PublicKey(), state.FormerKey()} {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) && len(keys) > 0 {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("the site's public key: %w", err)
		}
		key, err := note.NewVerifier(strings.TrimSpace(string(text)))
		if err != nil {
			return nil, fmt.Errorf("the site's public key: the file %s is damaged: %w", filepath.Base(file), err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// publicKey is the public key by which the ledger's heads are signed; "" where there is none.
func publicKey(state state.Folder) string {
	text, err := os.ReadFile(state.PublicKey())
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// FormerHint adds to err what to do where another machine's generations are this site's own.
func FormerHint(err error, state state.Folder) error {
	return fmt.Errorf("%w; if this machine took the place of another, write the public key of its recovery kit into %s", err, state.FormerKey())
}
