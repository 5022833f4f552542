package sshconn

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// TestLegacySSHD: OpenSSH's own server, forced to what old switches speak. One algorithm
// after the other is refused with what to write, and written, until the login succeeds.
func TestLegacySSHD(t *testing.T) {
	c := oldSSHD(t, "KexAlgorithms diffie-hellman-group14-sha1", "Ciphers aes128-cbc", "MACs hmac-sha1-96",
		"HostKeyAlgorithms ssh-rsa")
	// Where Legacy cannot be named, nobody is told to.
	if _, err := Dial(t.Context(), c); !errors.Is(err, ErrNoLogin) || strings.Contains(err.Error(), "legacy:") {
		t.Errorf("%v", err)
	}
	c.MayLegacy = true
	all := []string{"diffie-hellman-group14-sha1", "ssh-rsa", "aes128-cbc", "hmac-sha1-96"}
	for len(c.Legacy) < len(all) {
		_, err := Dial(t.Context(), c)
		_, rest, found := strings.Cut(fmt.Sprint(err), "write legacy: [")
		name, _, _ := strings.Cut(rest, "]")
		if !errors.Is(err, ErrNoLogin) || !found || !slices.Contains(all, name) || slices.Contains(c.Legacy, name) {
			t.Fatalf("with %q: %v", c.Legacy, err)
		}
		c.Legacy = append(c.Legacy, name)
	}
	client, err := Dial(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := session.Output("echo old"); err != nil || string(out) != "old\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// TestLegacyUserKey: an RSA key signs with SHA-1 only where that is written. OpenSSH's
// server, unlike old switches, says that it takes SHA-2 whatever it is told.
func TestLegacyUserKey(t *testing.T) {
	_, host := newKey(t, "ed25519")
	key, user := newKey(t, "rsa")
	s := serve(t, &ssh.ServerConfig{PublicKeyAuthAlgorithms: []string{"ssh-rsa"}, PublicKeyCallback: accept(user.PublicKey())}, host)
	c := Config{Address: s.address, User: "svc", Key: pemOf(t, key, ""), KnownHosts: knownHosts(t, s.address, host.PublicKey()), MayLegacy: true}
	if _, err := Dial(t.Context(), c); !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "legacy: [ssh-rsa]") {
		t.Errorf("%v", err)
	}
	c.Legacy = []string{"ssh-rsa"}
	client, err := Dial(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
}

// TestLegacyServers: what OpenSSH no longer has, by the library's own server.
func TestLegacyServers(t *testing.T) {
	_, modern := newKey(t, "ed25519")
	for name, test := range map[string]struct {
		host   ssh.Signer
		server ssh.Config
		legacy []string
	}{
		"group1 and 3des": {modern, ssh.Config{KeyExchanges: []string{"diffie-hellman-group1-sha1"}, Ciphers: []string{"3des-cbc"}},
			[]string{"diffie-hellman-group1-sha1", "3des-cbc"}},
		"group exchange with sha1": {modern, ssh.Config{KeyExchanges: []string{"diffie-hellman-group-exchange-sha1"}},
			[]string{"diffie-hellman-group-exchange-sha1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, &ssh.ServerConfig{Config: test.server, PasswordCallback: acceptPassword}, test.host)
			c := Config{Address: s.address, User: "svc", Password: password, KnownHosts: knownHosts(t, s.address, test.host.PublicKey()), MayLegacy: true}
			for i := range test.legacy {
				c.Legacy = test.legacy[:i]
				if _, err := Dial(t.Context(), c); !errors.Is(err, ErrNoLogin) || !strings.Contains(err.Error(), "legacy: ["+test.legacy[i]+"]") {
					t.Errorf("with %q: %v", c.Legacy, err)
				}
			}
			c.Legacy = test.legacy
			client, err := Dial(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			client.Close()
		})
	}
}

// TestLegacyIsNoWayAround: another host key than the pinned one stays another, and a
// name that is none is told.
func TestLegacyIsNoWayAround(t *testing.T) {
	_, pinned := newKey(t, "ed25519")
	_, stranger := newKey(t, "rsa")
	s := serve(t, &ssh.ServerConfig{PasswordCallback: acceptPassword}, stranger)
	c := Config{Address: s.address, User: "svc", Password: password, KnownHosts: knownHosts(t, s.address, pinned.PublicKey()), MayLegacy: true}
	for _, legacy := range [][]string{nil, LegacyAlgorithms()} {
		c.Legacy = legacy
		if _, err := Dial(t.Context(), c); !errors.Is(err, ErrNoLogin) || !strings.Contains(err.Error(), "somebody stands between") {
			t.Errorf("with %q: %v", legacy, err)
		}
	}
	c.Legacy = []string{"arcfour"}
	if _, err := Dial(t.Context(), c); !errors.Is(err, ErrNoLogin) || !strings.Contains(err.Error(), "ssh-rsa") {
		t.Errorf("%v", err)
	}
}

// oldSSHD starts OpenSSH's server with a host key and a user key of RSA.
func oldSSHD(t *testing.T, settings ...string) Config {
	t.Helper()
	const program = "/usr/sbin/sshd"
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("OpenSSH's sshd is missing (apt install openssh-server)")
		}
		t.Skip("OpenSSH's sshd is missing (apt install openssh-server)")
	}
	dir := t.TempDir()
	hostKey, host := newKey(t, "rsa")
	userKey, client := newKey(t, "rsa")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	config := append([]string{"ListenAddress " + address, "HostKey " + dir + "/host", "AuthorizedKeysFile " + dir + "/authorized_keys",
		"StrictModes no", "UsePAM no", "PermitRootLogin yes", "PasswordAuthentication no", "PidFile none"}, settings...)
	for name, text := range map[string][]byte{"host": pemOf(t, hostKey, ""), "authorized_keys": ssh.MarshalAuthorizedKey(client.PublicKey()),
		"config": []byte(strings.Join(config, "\n") + "\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where sshd separates its privileges
			t.Fatal(err)
		}
	}
	run(t, address, exec.Command(program, "-D", "-e", "-f", filepath.Join(dir, "config")))
	return Config{Address: address, User: me.Username, Key: pemOf(t, userKey, ""), KnownHosts: knownHosts(t, address, host.PublicKey())}
}

// run keeps a server running until the test ends, and returns once it answers.
func run(t *testing.T, address string, server *exec.Cmd) {
	t.Helper()
	var log bytes.Buffer
	server.Stderr = &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		server.Process.Kill()
		<-ended
		if t.Failed() {
			t.Log(log.String())
		}
	})
	for range 100 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("sshd ended: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatal("sshd does not answer")
}
