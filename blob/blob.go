// Package blob says what the repository consists of and a vault holds, what is wrong with
// one, and reads one for certain.
package blob

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// Blob is one blob of the repository. SHA256 was taken when the blob was written, in the
// only place where its bytes were certain.
type Blob struct {
	Name    string // kopia's blob ID: "p0123…", "kopia.repository"
	Size    int64  // bytes
	SHA256  Sum
	Written time.Time // when it was entered into the catalogue
}

// Fault is a blob that is not as it was written, or not there.
type Fault struct {
	Name string `json:"name"`
	Why  string `json:"why"`
	Was  Blob   `json:"-"` // as it was written, where that is known
}

// Sum is a SHA-256, in text 64 lower-case hexadecimal digits.
type Sum [sha256.Size]byte

func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// MarshalText is String.
func (s Sum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes what MarshalText gives and nothing else.
func (s *Sum) UnmarshalText(text []byte) error {
	if len(text) != 2*len(s) || bytes.ContainsFunc(text, func(r rune) bool { return 'A' <= r && r <= 'F' }) {
		return fmt.Errorf("%.80q is not a SHA-256 of 64 lower-case hexadecimal digits", text)
	}
	_, err := hex.Decode(s[:], text)
	return err
}
