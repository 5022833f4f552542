package sshconn

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh/knownhosts"
)

// What a connection would fail for is known without one, and told with its place.
func TestReady(t *testing.T) {
	const address = "10.77.0.13:2222"
	_, host := newKey(t, "ed25519")
	key, _ := newKey(t, "ed25519")
	line := knownhosts.Line([]string{knownhosts.Normalize(address)}, host.PublicKey())
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for name, c := range map[string]struct {
		known string
		key   []byte
		want  string // "" for ready
	}{
		"right":            {write("right", "# of the vault\n\n"+line+"\n"), pemOf(t, key, ""), ""},
		"missing":          {filepath.Join(dir, "none"), pemOf(t, key, ""), "does not exist"},
		"a folder":         {dir, pemOf(t, key, ""), "not a regular file"},
		"a pipe":           {pipe, pemOf(t, key, ""), "not a regular file"},
		"empty":            {write("empty", ""), pemOf(t, key, ""), address + " is not in "},
		"another port":     {write("port", strings.Replace(line, "2222", "22", 1)+"\n"), pemOf(t, key, ""), "is not in "},
		"another host":     {write("host", strings.Replace(line, "10.77.0.13", "10.77.0.14", 1)+"\n"), pemOf(t, key, ""), "is not in "},
		"a bad line after": {write("bad", line+"\nknown_hosts: "+line+"\n"), pemOf(t, key, ""), "bad:2: "},
		"a bad line alone": {write("words", "ssh-ed25519\n"), pemOf(t, key, ""), "words:1: "},
		"no key":           {write("r2", line+"\n"), []byte("-----BEGIN OPENSSH PRIVATE KEY-----\n"), "the private key for " + address},
		"its public half":  {write("r3", line+"\n"), []byte(line), "the private key for " + address},
		"a locked key":     {write("r4", line+"\n"), pemOf(t, key, "secret"), "has a passphrase"},
	} {
		err := Config{Address: address, User: "svc", Key: c.key, KnownHosts: c.known}.Ready()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!errors.Is(err, ErrNoLogin) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, which lacks %q", name, err, c.want)
		}
	}
}
