// Package sshconn opens SSH connections the way airlock needs them: the host key is
// pinned, every step up to the session that is used is bounded by a context and by a
// time of its own, a connection that has died is found out by keep-alives, and a server
// that lives and yet does not answer a request for files by its silence.
//
// Only algorithms without known weakness are spoken. What an old switch has instead
// (SHA-1 signatures and key exchanges, CBC ciphers) is spoken where it is named one by
// one, and then after all others.
package sshconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"airlock/silence"
)

// Errors that another try with the same configuration cannot mend.
var (
	// ErrAuth: the server refused the credentials. Servers lock accounts for trying again.
	ErrAuth = errors.New("ssh: not trusted")
	// ErrNoLogin: the credentials were not even sent. They are no credentials, or the server
	// is not known, or not the one that is, or speaks what is not trusted.
	ErrNoLogin = errors.New("ssh: no login was tried")
)

// Config says whom to reach and by what right. Either Key or Password is given.
type Config struct {
	Address    string // host:port
	User       string
	Password   string // also answers keyboard-interactive questions
	Key        []byte // an OpenSSH private key, without passphrase
	KeyFile    string // what errors call the key
	KnownHosts string // file in OpenSSH's known_hosts form
	// Legacy are old algorithms that are spoken nevertheless: some of LegacyAlgorithms.
	Legacy []string
	// MayLegacy: whoever configures this can name Legacy, so errors advise it.
	MayLegacy bool
	// BehindDoor: the server stands behind a door that is shut, so that its key has to be
	// read at the server itself, and errors say so.
	BehindDoor bool
	// KeepAlive is the time between probes; one that stays unanswered for three times
	// as long closes the connection. Default 15 s.
	KeepAlive time.Duration
	// Silence is how long an SFTP server may send not a byte while an answer is due;
	// then its connection is ended. Default 2 min: a disk that slept has to start.
	Silence time.Duration
	// Met is told of the server's host key once it is known to be the pinned one; may be nil.
	Met func(ssh.PublicKey)
}

// dialWithin bounds the way to a finished login, for a server that accepts a connection
// and then says nothing. A slow switch that asks a RADIUS server twice needs half of it.
const dialWithin = time.Minute

// Dial connects, checks the pinned host key and logs in. ctx bounds that, besides a
// minute, and nothing later.
func Dial(ctx context.Context, c Config) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, dialWithin, fmt.Errorf("%w: no login within %v", silence.Err, dialWithin))
	defer cancel()
	conf, err := c.client()
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.Address)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	return c.login(ctx, conn, conf)
}

// login owns conn: it closes it, unless it returns a client.
func (c Config) login(ctx context.Context, conn net.Conn, conf *ssh.ClientConfig) (*ssh.Client, error) {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	sc, chans, reqs, err := ssh.NewClientConn(conn, c.Address, conf)
	if !stop() || err != nil {
		conn.Close() // closed already, or of no more use: its error says nothing
		return nil, c.explain(ctx, err)
	}
	client := ssh.NewClient(sc, chans, reqs)
	go keepAlive(client, c.KeepAlive)
	return client, nil
}

func (c Config) client() (*ssh.ClientConfig, error) {
	conf := &ssh.ClientConfig{User: c.User, Config: c.algorithms()}
	for _, name := range c.Legacy {
		if !slices.Contains(LegacyAlgorithms(), name) {
			return nil, fmt.Errorf("%w: legacy algorithm %q is not known; there are %s", ErrNoLogin, name, strings.Join(LegacyAlgorithms(), ", "))
		}
	}
	if len(c.Key) == 0 && c.Password == "" {
		return nil, fmt.Errorf("%w: neither key nor password is given for %s", ErrNoLogin, c.Address)
	}
	if len(c.Key) > 0 {
		signer, err := parseKey(c.Key, cmp.Or(c.KeyFile, "FILE"))
		if err == nil {
			signer, err = c.modern(signer)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: the private key for %s (%s): %w", ErrNoLogin, c.Address, cmp.Or(c.KeyFile, "no file"), err)
		}
		conf.Auth = append(conf.Auth, ssh.PublicKeys(signer))
	}
	if c.Password != "" {
		conf.Auth = append(conf.Auth, ssh.Password(c.Password),
			ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
				answers := make([]string, len(questions))
				for i := range answers {
					answers[i] = c.Password
				}
				return answers, nil
			}))
	}
	if c.KnownHosts == "" {
		return nil, fmt.Errorf("%w: no known_hosts file is named for %s", ErrNoLogin, c.Address)
	}
	check, err := knownhosts.New(c.KnownHosts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the known_hosts file %s does not exist; %s", ErrNoLogin, c.KnownHosts, c.getKey())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: known_hosts for %s: %w; one line that cannot be read makes the whole file useless: mend it or take it out", ErrNoLogin, c.Address, err)
	}
	conf.HostKeyCallback = c.meet(check)
	conf.HostKeyAlgorithms = c.pinned(check)
	return conf, nil
}

// meet tells of a key that check takes.
func (c Config) meet(check ssh.HostKeyCallback) ssh.HostKeyCallback {
	if c.Met == nil {
		return check
	}
	return func(host string, remote net.Addr, key ssh.PublicKey) error {
		err := check(host, remote, key)
		if err == nil {
			c.Met(key)
		}
		return err
	}
}

// pinned lists the algorithms of the keys that known_hosts has for the address, so that
// a server with several host keys shows the one that is pinned.
func (c Config) pinned(check ssh.HostKeyCallback) []string {
	var unknown *knownhosts.KeyError
	if err := check(c.Address, &net.TCPAddr{}, noKey{}); !errors.As(err, &unknown) || len(unknown.Want) == 0 {
		return c.allowed(ssh.SupportedAlgorithms().HostKeys, ssh.InsecureAlgorithms().HostKeys)
	}
	var algorithms []string
	for _, k := range unknown.Want {
		t := k.Key.Type()
		if t == ssh.KeyAlgoRSA {
			algorithms = append(algorithms, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		}
		if !slices.Contains(LegacyAlgorithms(), t) || slices.Contains(c.Legacy, t) {
			algorithms = append(algorithms, t)
		}
	}
	if algorithms == nil { // the empty list would stand for all
		algorithms = []string{"none"}
	}
	return algorithms
}

type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return nil }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }

func (c Config) explain(ctx context.Context, err error) error {
	var key *knownhosts.KeyError
	var auth *ssh.ServerAuthError
	var kind *ssh.AlgorithmNegotiationError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("ssh to %s: %w", c.Address, context.Cause(ctx))
	case errors.As(err, &key) && len(key.Want) == 0:
		return c.stranger()
	case errors.As(err, &key):
		return fmt.Errorf("%w: %s shows another host key than %s pins; it was reinstalled, or somebody stands between", ErrNoLogin, c.Address, key.Want[0].String())
	case errors.As(err, &kind) && len(wanted(c.Legacy, kind.RequestedAlgorithms)) > 0 && c.cures(kind):
		return fmt.Errorf("%w: %s knows only old ways for its %s (%s); %s",
			ErrNoLogin, c.Address, kind.What, strings.Join(kind.RequestedAlgorithms, ", "), c.wayOut(kind.What, wanted(c.Legacy, kind.RequestedAlgorithms)))
	case err != nil && strings.Contains(err.Error(), "no common public key signature algorithm"):
		return fmt.Errorf("%w: %s takes RSA keys only with SHA-1; use an ed25519 or ecdsa key; %s", ErrAuth, c.Address, c.wayOut("", []string{ssh.KeyAlgoRSA}))
	case errors.As(err, &kind) && kind.What == "host key":
		return fmt.Errorf("%w: %s has no host key of a kind that %s pins: it shows %s; it was reinstalled, or somebody stands between",
			ErrNoLogin, c.Address, c.KnownHosts, strings.Join(kind.RequestedAlgorithms, ", "))
	case errors.As(err, &auth), isAuthFailure(err):
		return fmt.Errorf("%w: %s did not accept user %s: %w", ErrAuth, c.Address, c.User, err)
	case errors.As(err, &kind):
		return fmt.Errorf("%w: %s: %w", ErrNoLogin, c.Address, err)
	}
	return fmt.Errorf("ssh to %s: %w", c.Address, err)
}

// getKey says how the server's key is got into known_hosts.
func (c Config) getKey() string {
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil {
		host, port = c.Address, "22"
	}
	if c.BehindDoor {
		return fmt.Sprintf("it stands behind a shut door, where ssh-keyscan does not reach it; print its key at that host itself (`airlock vault keys --known-hosts`; of another server `cat /etc/ssh/ssh_host_ed25519_key.pub`), and add this line to %s: %s ssh-ed25519 AAAA…",
			c.KnownHosts, knownhosts.Normalize(c.Address))
	}
	return fmt.Sprintf("get its key with: ssh-keyscan -p %s %s >> %s; compare its key by hand with the server's own (ssh-keygen -lf) before it is trusted", port, host, c.KnownHosts)
}

// marked says that a file begins with what no text of OpenSSH's does, "" if it does not.
func marked(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	var first [3]byte
	n, _ := io.ReadFull(f, first[:]) // a shorter file has no mark
	switch text := string(first[:n]); {
	case text == "\xef\xbb\xbf":
		return ", which begins with a byte order mark: its first line counts for nothing"
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"):
		return ", which is UTF-16: write it anew as plain text"
	}
	return ""
}

// wayOut is what to do about a server that knows old algorithms alone.
func (c Config) wayOut(what string, old []string) string {
	if c.MayLegacy {
		return fmt.Sprintf("newer firmware cures it; where there is none, and the way there is safe, write legacy: [%s]", strings.Join(old, ", "))
	}
	if what == "host key" {
		return "give the server an ed25519 or ecdsa host key, or newer firmware; where it can have neither, reach its files by SMB"
	}
	return "newer firmware cures it; where there is none, reach its files by SMB"
}

// isAuthFailure knows the client side's refusal, for which x/crypto/ssh has no type.
func isAuthFailure(err error) bool {
	const prefix = "ssh: handshake failed: ssh: unable to authenticate"
	return err != nil && strings.HasPrefix(err.Error(), prefix)
}

// keepAlive closes the client once three probes in a row went unanswered: calls of
// pkg/sftp take no context, and a closed connection is their way out.
func keepAlive(client *ssh.Client, every time.Duration) {
	if every == 0 {
		every = 15 * time.Second
	}
	done := make(chan struct{})
	go func() { client.Wait(); close(done) }()
	answered := make(chan struct{}, 1)
	for {
		select {
		case <-done:
			return
		case <-time.After(every):
		}
		go func() {
			if _, _, err := client.SendRequest("keepalive@openssh.com", true, nil); err == nil {
				answered <- struct{}{}
			}
		}()
		select {
		case <-done:
			return
		case <-answered:
		case <-time.After(3 * every):
			client.Close()
			return
		}
	}
}
