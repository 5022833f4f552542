// Package notetest makes the keys that tests sign notes with.
package notetest

import (
	"crypto/rand"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// Pair is a key's two halves, as text and as what is used.
type Pair struct {
	Private, Public string
	Signer          note.Signer
	Verifier        note.Verifier
}

// New makes a key of that name.
func New(t testing.TB, name string) (p Pair) {
	t.Helper()
	var err error
	if p.Private, p.Public, err = note.GenerateKey(rand.Reader, name); err != nil {
		t.Fatal(err)
	}
	if p.Signer, err = note.NewSigner(p.Private); err != nil {
		t.Fatal(err)
	}
	if p.Verifier, err = note.NewVerifier(p.Public); err != nil {
		t.Fatal(err)
	}
	return p
}

// Keys are New's signer and verifier.
func Keys(t testing.TB, name string) (note.Signer, note.Verifier) {
	t.Helper()
	p := New(t, name)
	return p.Signer, p.Verifier
}
