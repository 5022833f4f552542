package sshconn

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

const password = "correct-horse-9"

// server is an SSH server that serves nothing: only the login is looked at.
type server struct {
	address string
	conf    *ssh.ServerConfig
}

func serve(t *testing.T, conf *ssh.ServerConfig, hostKeys ...ssh.Signer) server {
	t.Helper()
	for _, k := range hostKeys {
		conf.AddHostKey(k)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go login(conn, conf)
		}
	}()
	return server{listener.Addr().String(), conf}
}

func login(conn net.Conn, conf *ssh.ServerConfig) {
	sc, chans, reqs, err := ssh.NewServerConn(conn, conf)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(reqs)
	for range chans {
	}
	sc.Close()
}

func newKey(t *testing.T, kind string) (crypto.PrivateKey, ssh.Signer) {
	t.Helper()
	var key crypto.Signer
	var err error
	if kind == "rsa" {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, signer
}

func pemOf(t *testing.T, key crypto.PrivateKey, passphrase string) []byte {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

func knownHosts(t *testing.T, address string, keys ...ssh.PublicKey) string {
	t.Helper()
	var lines strings.Builder
	for _, k := range keys {
		lines.WriteString(knownhosts.Line([]string{address}, k) + "\n")
	}
	name := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(name, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func acceptPassword(_ ssh.ConnMetadata, given []byte) (*ssh.Permissions, error) {
	if string(given) != password {
		return nil, errors.New("no")
	}
	return nil, nil
}

func acceptAnswer(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	answers, err := ask("", "", []string{"Password: ", "Again: "}, []bool{false, false})
	if err != nil || len(answers) != 2 || answers[0] != password || answers[1] != password {
		return nil, errors.New("no")
	}
	return nil, nil
}

func accept(key ssh.PublicKey) func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
	return func(_ ssh.ConnMetadata, given ssh.PublicKey) (*ssh.Permissions, error) {
		if string(given.Marshal()) != string(key.Marshal()) {
			return nil, errors.New("no")
		}
		return nil, nil
	}
}

func TestDial(t *testing.T) {
	_, host := newKey(t, "ed25519")
	_, rsaHost := newKey(t, "rsa")
	_, stranger := newKey(t, "ed25519")
	key, user := newKey(t, "ed25519")
	otherKey, _ := newKey(t, "ed25519")

	byKey := &ssh.ServerConfig{PublicKeyCallback: accept(user.PublicKey())}
	byPassword := &ssh.ServerConfig{PasswordCallback: acceptPassword}
	byQuestion := &ssh.ServerConfig{KeyboardInteractiveCallback: acceptAnswer}

	for name, test := range map[string]struct {
		server  *ssh.ServerConfig
		hosts   []ssh.Signer
		pinned  []ssh.PublicKey // nil: no known_hosts file
		config  Config
		refused string // a part of the error; "" is success
	}{
		"key":                           {byKey, []ssh.Signer{host}, keys(host), Config{Key: pemOf(t, key, "")}, ""},
		"password":                      {byPassword, []ssh.Signer{host}, keys(host), Config{Password: password}, ""},
		"keyboard-interactive":          {byQuestion, []ssh.Signer{host}, keys(host), Config{Password: password}, ""},
		"two host keys, rsa pinned":     {byKey, []ssh.Signer{host, rsaHost}, keys(rsaHost), Config{Key: pemOf(t, key, "")}, ""},
		"two host keys, ed25519 pinned": {byKey, []ssh.Signer{rsaHost, host}, keys(host), Config{Key: pemOf(t, key, "")}, ""},
		"two pinned, one shown":         {byKey, []ssh.Signer{host}, keys(rsaHost, host), Config{Key: pemOf(t, key, "")}, ""},

		"another host key":         {byKey, []ssh.Signer{host}, keys(stranger), Config{Key: pemOf(t, key, "")}, "another host key"},
		"another kind of host key": {byKey, []ssh.Signer{host}, keys(rsaHost), Config{Key: pemOf(t, key, "")}, "host key"},
		"host not in the file":     {byKey, []ssh.Signer{host}, []ssh.PublicKey{}, Config{Key: pemOf(t, key, "")}, "compare its key by hand"},
		"no known_hosts":           {byKey, []ssh.Signer{host}, nil, Config{Key: pemOf(t, key, "")}, "known_hosts"},
		"another user key":         {byKey, []ssh.Signer{host}, keys(host), Config{Key: pemOf(t, otherKey, "")}, "did not accept user svc"},
		"another password":         {byPassword, []ssh.Signer{host}, keys(host), Config{Password: "wrong-horse-8"}, "did not accept user svc"},
		"another answer":           {byQuestion, []ssh.Signer{host}, keys(host), Config{Password: "wrong-horse-8"}, "did not accept user svc"},
		"key with a passphrase":    {byKey, []ssh.Signer{host}, keys(host), Config{Key: pemOf(t, key, "x")}, "ssh-keygen -p"},
		"not a key":                {byKey, []ssh.Signer{host}, keys(host), Config{Key: []byte("wrong-horse-8")}, "private key"},
		"nothing given":            {byKey, []ssh.Signer{host}, keys(host), Config{}, "neither key nor password"},
	} {
		t.Run(name, func(t *testing.T) {
			conf := *test.server
			s := serve(t, &conf, test.hosts...)
			c := test.config
			c.Address, c.User, c.KnownHosts = s.address, "svc", filepath.Join(t.TempDir(), "missing")
			if test.pinned != nil {
				c.KnownHosts = knownHosts(t, s.address, test.pinned...)
			}
			client, err := Dial(t.Context(), c)
			if err == nil {
				defer client.Close()
			}
			switch {
			case test.refused == "" && err != nil:
				t.Error(err)
			case test.refused != "" && !strings.Contains(fmt.Sprint(err), test.refused):
				t.Errorf("%v, want an error with %q", err, test.refused)
			case test.refused != "" && errors.Is(err, ErrAuth) != strings.Contains(test.refused, "did not accept"),
				test.refused != "" && errors.Is(err, ErrAuth) == errors.Is(err, ErrNoLogin):
				t.Errorf("%v: whose fault is it?", err)
			}
			if err != nil && (strings.Contains(err.Error(), "horse") || strings.Contains(err.Error(), "closed network")) {
				t.Errorf("S13: the error tells a secret, or talks of itself: %v", err)
			}
		})
	}
}

func keys(signers ...ssh.Signer) []ssh.PublicKey {
	public := []ssh.PublicKey{}
	for _, s := range signers {
		public = append(public, s.PublicKey())
	}
	return public
}

func TestDialNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	_, err = Dial(t.Context(), Config{Address: address, Password: password, KnownHosts: knownHosts(t, address)})
	if err == nil || errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), address) {
		t.Errorf("%v", err)
	}
}

func TestLoginEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mine, theirs := net.Pipe()
		go io.Copy(io.Discard, theirs) // takes everything and never answers
		c := Config{Address: "vault:22", Password: password, KnownHosts: knownHosts(t, "vault:22")}
		conf, err := c.client()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		if _, err := c.login(ctx, mine, conf); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrAuth) {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("took %v", took)
		}
		if _, err := mine.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the connection is still open: %v", err)
		}
	})
}

// cable is the server's end of a connection. Unlike net.Pipe it holds what was
// written until it is read, and once cut nothing arrives, and nobody is told.
type cable struct {
	net.Conn
	flow chan []byte
	cut  chan struct{}
}

func newCable(ctx context.Context, end net.Conn) cable {
	c := cable{end, make(chan []byte, 100), make(chan struct{})}
	go func() {
		for {
			select {
			case p := <-c.flow:
				if _, err := end.Write(p); err != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return c
}

func (c cable) Write(p []byte) (int, error) {
	select {
	case <-c.cut:
	default:
		c.flow <- bytes.Clone(p)
	}
	return len(p), nil
}

// addressed is a connection that comes from somewhere, as known_hosts wants to know.
type addressed struct{ net.Conn }

func (addressed) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 22} }

func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, host := newKey(t, "ed25519")
		server := &ssh.ServerConfig{PasswordCallback: acceptPassword}
		server.AddHostKey(host)
		mine, theirs := net.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		cable := newCable(ctx, theirs)
		go login(cable, server)
		c := Config{
			Address: "vault:22", User: "svc", Password: password,
			KnownHosts: knownHosts(t, "vault:22", host.PublicKey()), KeepAlive: time.Minute,
		}
		conf, err := c.client()
		if err != nil {
			t.Fatal(err)
		}
		client, err := c.login(t.Context(), addressed{mine}, conf)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- client.Wait() }()

		time.Sleep(24 * time.Hour)
		select {
		case err := <-ended:
			t.Fatalf("an idle connection was closed: %v", err)
		default:
		}
		close(cable.cut)
		died := time.Now()
		<-ended
		if took := time.Since(died); took > 4*time.Minute {
			t.Errorf("found the dead connection after %v, want a minute to the probe and three for its answer", took)
		}
	})
}
