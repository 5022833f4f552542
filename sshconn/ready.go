package sshconn

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"golang.org/x/crypto/ssh/knownhosts"
)

// Ready says what Dial would fail for and what can be known without a connection: a key
// that is none, a known_hosts file that cannot be read or has a bad line, which knownhosts
// names with its number, or that has no line for the address. It reads one local file and
// changes nothing.
func (c Config) Ready() error {
	switch info, err := os.Stat(c.KnownHosts); {
	case errors.Is(err, fs.ErrNotExist): // client says so
	case err != nil:
		return fmt.Errorf("%w: known_hosts for %s: %w", ErrNoLogin, c.Address, err)
	case !info.Mode().IsRegular(): // reading a pipe would block
		return fmt.Errorf("%w: known_hosts for %s: %s is not a regular file", ErrNoLogin, c.Address, c.KnownHosts)
	}
	conf, err := c.client()
	if err != nil {
		return err
	}
	var key *knownhosts.KeyError
	if err := conf.HostKeyCallback(c.Address, &net.TCPAddr{}, noKey{}); errors.As(err, &key) && len(key.Want) == 0 {
		return c.stranger()
	}
	return nil
}

// stranger is the error for an address that no line of known_hosts is about.
func (c Config) stranger() error {
	return fmt.Errorf("%w: %s is not in %s%s; %s", ErrNoLogin, c.Address, c.KnownHosts, marked(c.KnownHosts), c.getKey())
}
