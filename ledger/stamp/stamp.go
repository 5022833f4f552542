// Package stamp has an authority outside say when a head of the ledger existed
// (RFC 3161). A head that was stamped cannot have been made afterwards, by whomever: so
// somebody who holds the site's key, and makes the ledger anew, can at best make it as
// old as the last stamp.
//
// What is stamped is the SHA-256 of the head's signed note. A token is taken, and found
// sound later, only if its one signer's certificate is for time-stamping and comes from
// the authorities that the caller names, as they stood at the time that the token says.
// Only package ask needs a network: what checks a token runs on an auditor's laptop.
package stamp

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"airlock/ledger/proof"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"
	"golang.org/x/mod/sumdb/note"
)

// Authorities reads the certificates to believe from a PEM file.
func Authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the time-stamp authorities to believe: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("the time-stamp authorities to believe: %s holds no certificate in PEM", file)
	}
	return pool, nil
}

// Check returns when the head existed, if the token says so and can be believed.
func Check(token []byte, head proof.Head, roots *x509.CertPool) (time.Time, error) {
	at, _, err := check(token, head, roots)
	return at, err
}

// check is Check, and returns who signed the token, as the certificate says.
func check(token []byte, head proof.Head, roots *x509.CertPool) (at time.Time, by string, err error) {
	said, err := timestamp.Parse(token)
	if err != nil {
		return at, "", fmt.Errorf("the time-stamp: %w", err)
	}
	digest := sha256.Sum256([]byte(head.Note))
	if said.HashAlgorithm != crypto.SHA256 || !bytes.Equal(said.HashedMessage, digest[:]) {
		return at, "", errors.New("the time-stamp is of something else")
	}
	signed, err := pkcs7.Parse(token)
	if err != nil {
		return at, "", fmt.Errorf("the time-stamp: %w", err)
	}
	signer := signed.GetOnlySigner()
	if signer == nil {
		return at, "", errors.New("the time-stamp has not one signer, or lacks its certificate")
	}
	between := x509.NewCertPool()
	for _, c := range signed.Certificates {
		between.AddCert(c)
	}
	err = signed.VerifyWithOpts(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: said.Time, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	})
	if err != nil {
		return at, "", fmt.Errorf("the time-stamp is signed by %q, and cannot be believed: if that is the authority that was asked, its certificates are to be named (ca): %w", signer.Subject, err)
	}
	return said.Time.UTC(), signer.Subject.String(), nil
}

// Audit is what became of a ledger's time-stamps.
type Audit struct {
	All     int       `json:"all"`
	Checked int       `json:"checked"` // that can be believed, of heads of this ledger
	Newest  time.Time `json:"newest,omitzero"`
	Last    Held      `json:"last,omitzero"`   // the newest
	Held    []Held    `json:"held,omitempty"`  // those that were checked, in the ledger's order; at most 10,000
	Wrong   []string  `json:"wrong,omitempty"` // at most 1,000
}

// An export is read in bounded memory, whatever it holds.
const (
	mostHeld  = 10_000
	mostWrong = 1_000
)

// Held is a time-stamp that can be believed: so many entries existed at that time.
type Held struct {
	Entries int64     `json:"entries"`
	At      time.Time `json:"at"`
	By      string    `json:"by"` // the authority, as its certificate names it
}

// Take checks one time-stamp, whose head one of the keys must have signed; with no roots
// it is only counted. fits says why the head is not of this ledger; nil if it is.
func (a *Audit) Take(one proof.Stamp, keys []note.Verifier, roots *x509.CertPool, fits error) {
	a.All++
	if roots == nil {
		return
	}
	_, err := proof.OpenHead([]byte(one.Head.Note), keys...)
	held := Held{Entries: one.Head.Size}
	if err == nil {
		held.At, held.By, err = check(one.Token, one.Head, roots)
	}
	if err = errors.Join(err, fits); err != nil && len(a.Wrong) < mostWrong {
		a.Wrong = append(a.Wrong, fmt.Sprintf("the time-stamp of the head of %d entries: %v", one.Head.Size, err))
	}
	if err != nil {
		return
	}
	if a.Checked++; a.Checked <= mostHeld {
		a.Held = append(a.Held, held)
	}
	if !held.At.Before(a.Newest) {
		a.Newest, a.Last = held.At, held
	}
}
