package sshconn

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Whatever people put where a private key belongs is called what it is.
func TestKeyFault(t *testing.T) {
	key, signer := newKey(t, "ed25519")
	whole := pemOf(t, key, "")
	public := ssh.MarshalAuthorizedKey(signer.PublicKey())
	cert := &ssh.Certificate{Key: signer.PublicKey(), CertType: ssh.UserCert, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(strings.NewReader(strings.Repeat("x", 1000)), signer); err != nil {
		t.Fatal(err)
	}
	utf16 := []byte("\xff\xfe")
	for _, c := range whole {
		utf16 = append(utf16, c, 0)
	}
	for name, test := range map[string]struct {
		key  []byte
		says string // "" is no fault
	}{
		"sound":           {whole, ""},
		"CRLF":            {[]byte(strings.ReplaceAll(string(whole), "\n", "\r\n")), ""},
		"no last newline": {[]byte(strings.TrimSpace(string(whole))), ""},
		"empty":           {[]byte(" \n"), "empty"},
		"public half":     {public, "public half"},
		"public, SSH2":    {[]byte("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n"), "public key"},
		"public, PEM":     {[]byte("-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n"), "public key"},
		"certificate":     {ssh.MarshalAuthorizedKey(cert), "certificate"},
		"X.509":           {[]byte("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"), "certificate"},
		"PuTTY":           {[]byte("PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\n"), "-O private-openssh"},
		"BOM":             {append([]byte("\xef\xbb\xbf"), public...), "byte order mark"},
		"UTF-16":          {utf16, "UTF-16"},
		"passphrase":      {pemOf(t, key, "x"), "ssh-keygen -p -f /k"},
		"PKCS #8 locked":  {[]byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGb\n-----END ENCRYPTED PRIVATE KEY-----\n"), "ssh-keygen -p -f /k"},
		"a known_hosts":   {append([]byte("[10.77.0.13]:22 "), public...), "known_hosts"},
		"damaged":         {[]byte(string(whole[:50]) + strings.Repeat("A", 20) + string(whole[70:])), "damaged"},
		"cut":             {whole[:100], "no private key"},
		"a password":      {[]byte("wrong-horse-8"), "no private key"},
	} {
		err := KeyFault(test.key, "/k")
		if (err != nil) != (test.says != "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
		if err != nil && strings.Contains(err.Error(), "horse") {
			t.Errorf("S13: %s: %v", name, err)
		}
	}
	withMark := append([]byte("\xef\xbb\xbf"), whole...) // which the parser passes over, as OpenSSH's does not
	if err := KeyFault(withMark, "/k"); err != nil && !strings.Contains(err.Error(), "byte order mark") {
		t.Errorf("BOM before a whole key: %v", err)
	}
}

// What is typed to mend a key mends it.
func TestKeyIsMended(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	key, _ := newKey(t, "ed25519")
	if err := os.WriteFile(file, pemOf(t, key, "secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ssh-keygen", "-p", "-f", file, "-P", "secret", "-N", "").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	mended, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := KeyFault(mended, file); err != nil {
		t.Error(err)
	}
}

// What can be seen without a connection is seen without one.
func TestSound(t *testing.T) {
	key, host := newKey(t, "ed25519")
	c := Config{Address: "vault:22", User: "svc", Key: pemOf(t, key, ""), KnownHosts: knownHosts(t, "vault:22", host.PublicKey())}
	if err := c.Ready(); err != nil {
		t.Error(err)
	}
	for says, change := range map[string]func(*Config){
		"is not in":      func(c *Config) { c.Address = "other:22" },
		"does not exist": func(c *Config) { c.KnownHosts += ".missing" },
		"public half":    func(c *Config) { c.Key = ssh.MarshalAuthorizedKey(host.PublicKey()) },
		"byte order mark": func(c *Config) {
			text, err := os.ReadFile(c.KnownHosts)
			if err != nil {
				t.Fatal(err)
			}
			c.KnownHosts = filepath.Join(t.TempDir(), "marked")
			if err := os.WriteFile(c.KnownHosts, append([]byte("\xef\xbb\xbf"), text...), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		other := c
		change(&other)
		if err := other.Ready(); !errors.Is(err, ErrNoLogin) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}
