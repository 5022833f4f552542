package sshconn

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// KeyFault says what is wrong with a private key, and how to mend it; nil if nothing is.
// file is what the key's file is called in what is to be typed. The key itself is told
// nobody (S13).
func KeyFault(key []byte, file string) error {
	_, err := parseKey(key, file)
	return err
}

// parseKey knows what people put where a private key belongs.
func parseKey(key []byte, file string) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(key)
	if err == nil {
		return signer, nil
	}
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) || bytes.Contains(key, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----")) {
		return nil, fmt.Errorf("it has a passphrase; take that off, and let file permissions guard the key: ssh-keygen -p -f %s", file)
	}
	if what := notPrivate(key, file); what != "" {
		return nil, errors.New(what)
	}
	if block, _ := pem.Decode(key); block != nil && strings.Contains(block.Type, "PRIVATE KEY") {
		return nil, fmt.Errorf("it is damaged, or of a kind that is not known (%w); make another with: ssh-keygen -t ed25519 -N '' -f NEW-FILE", err)
	}
	return nil, errors.New("it is no private key, or only a part of one; an OpenSSH key is whole from its line BEGIN to its line END")
}

const (
	namePrivate = "name the private half, which is the file of that name without .pub"
	inClear     = "write it anew as plain UTF-8, without a mark at its beginning"
)

// notPrivate says what a text is that is no private key; "" if that is not known.
func notPrivate(key []byte, file string) string {
	text := strings.TrimSpace(string(key))
	switch {
	case text == "":
		return "it is empty"
	case bytes.HasPrefix(key, []byte("\xef\xbb\xbf")):
		return "it begins with a byte order mark, as Notepad writes one; take that off with: sed -i '1s/^\\xEF\\xBB\\xBF//' " + file
	case bytes.HasPrefix(key, []byte("\xff\xfe")), bytes.HasPrefix(key, []byte("\xfe\xff")), bytes.IndexByte(key[:min(len(key), 64)], 0) == 1:
		return "it is UTF-16, as PowerShell's > writes; " + inClear
	case strings.HasPrefix(text, "PuTTY-User-Key-File-"):
		return "it is in PuTTY's own form (.ppk); convert it with: puttygen " + file + " -O private-openssh -o NEW-FILE"
	case strings.HasPrefix(text, "---- BEGIN SSH2 PUBLIC KEY"):
		return "it is a public key; " + namePrivate
	case strings.HasPrefix(text, "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY"):
		return "it is in the form of ssh.com; convert it with: puttygen " + file + " -O private-openssh -o NEW-FILE"
	case strings.Contains(text, "-----BEGIN CERTIFICATE"):
		return "it is a certificate; name the file of its private key"
	case strings.Contains(text, "PUBLIC KEY-----"):
		return "it is a public key; name the private half; the public line of a private key shows: ssh-keygen -y -f FILE"
	}
	return notPrivateLine(text)
}

// notPrivateLine knows the lines of OpenSSH's other files.
func notPrivateLine(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	if _, _, _, _, _, err := ssh.ParseKnownHosts([]byte(first)); err == nil && first != "" && !strings.HasPrefix(first, "#") {
		return "it is a line of known_hosts, which belongs into the file that known_hosts names"
	}
	if _, _, _, _, err := ssh.ParseAuthorizedKey([]byte(first)); err == nil && strings.Contains(first, "-cert-v01@openssh.com") {
		return "it is a certificate; " + namePrivate
	} else if err == nil {
		return "it is the public half of a key; " + namePrivate + "; the public line of a private key shows: ssh-keygen -y -f FILE"
	}
	return ""
}
