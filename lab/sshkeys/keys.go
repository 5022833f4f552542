// Package sshkeys makes the keys by which the servers of a lab know their clients and
// are known by them.
package sshkeys

import (
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// New makes an ed25519 key pair, and its private half in OpenSSH's form, without a
// passphrase.
func New(comment string) (ssh.Signer, []byte, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, fmt.Errorf("make key %s: %w", comment, err)
	}
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return nil, nil, fmt.Errorf("make key %s: %w", comment, err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("make key %s: %w", comment, err)
	}
	return signer, pem.EncodeToMemory(block), nil
}

// Authorized is a line of authorized_keys.
func Authorized(key ssh.PublicKey) string { return string(ssh.MarshalAuthorizedKey(key)) }

// WriteKnownHosts writes a known_hosts file that pins one host key for every address
// (host:port).
func WriteKnownHosts(file string, key ssh.PublicKey, addresses ...string) error {
	var lines strings.Builder
	for _, a := range addresses {
		lines.WriteString(knownhosts.Line([]string{a}, key) + "\n")
	}
	return os.WriteFile(file, []byte(lines.String()), 0o600)
}
