// Package cli drives switches by their command lines over SSH.
//
// What a platform's screens look like and what is typed there is data, not code: a file
// in platforms/, or in a folder of the user's own, says it (see Platform). Prompts and
// privilege levels are scrapligo's; the SSH connection below it is airlock's own, so
// that host keys are pinned, contexts end every call, and what disturbs a screen (log
// lines, pagers, dialogs) is taken out before anybody looks for a prompt.
//
// A session is one login; calls on it take turns, and a context bounds each, waiting for
// the turn included. A call that was broken off breaks its login too, because nobody can
// know what the screen shows by then: the next call logs in anew.
//
// A command that the switch refused is an error that wraps switchctl.ErrRefused, with
// the switch's own words; nothing of the sequence after it is sent. What was sent and
// not answered may have been carried out: such an error wraps switchctl.ErrTimeout,
// whatever broke. Commands carry no names but those that the switch itself listed, and
// of these only such as cannot be anything but a name. Nothing secret is in any error or
// recording (S13).
package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"airlock/sshconn"
	"airlock/switchctl"
)

// Config says which switch, what it is, and by what right it is entered.
type Config struct {
	Address     string // host or host:port; port 22 where none is given
	Platform    string // the name of a platform file, without .yaml
	PlatformDir string // the user's own platform files, which go before those built in; may be empty
	User        string
	Password    string   // this or Key; it answers keyboard-interactive questions too
	Key         []byte   // an OpenSSH private key, without passphrase
	KeyFile     string   // what errors call the key
	KnownHosts  string   // file that pins the switch's host key; there is no way without
	Legacy      []string // SSH algorithms of old switches that are spoken nevertheless: see sshconn
	Enable      string   // the password of the platform's enable command, where it asks for one
	// Timeout bounds one command. Default 30 s: consoles are slow while a stack elects.
	Timeout time.Duration
	// Sessions is where logins are recorded, without secrets. A recording that fails keeps
	// no command from being sent (S2); Recording.Broken and Switch.Close tell of it.
	Sessions Sessions
}

const defaultTimeout = 30 * time.Second

// Dial logs in once, so that a wrong address, host key, credential or platform is told
// now. What it returns outlives restarts of the switch. ctx bounds the dialling only.
func Dial(ctx context.Context, c Config) (switchctl.Switch, error) {
	platform, err := Load(c.PlatformDir, c.Platform)
	if err != nil {
		return nil, err
	}
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		c.Address = net.JoinHostPort(c.Address, "22")
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	s := newSession(c, platform)
	if err := s.do(ctx, func(*console) error { return nil }); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &agent{s}, nil
}

func (c Config) ssh(loginSuffix string) sshconn.Config {
	return sshconn.Config{Address: c.Address, User: c.User + loginSuffix, Password: c.Password, Key: c.Key, KnownHosts: c.KnownHosts, Legacy: c.Legacy, MayLegacy: true, KeyFile: c.KeyFile}
}

// trust names what no second try can mend.
func trust(err error) error {
	if errors.Is(err, sshconn.ErrAuth) {
		return fmt.Errorf("%w: %w", switchctl.ErrAuth, err)
	}
	if errors.Is(err, sshconn.ErrNoLogin) {
		return fmt.Errorf("%w: %w", switchctl.ErrNotEntered, err)
	}
	return err
}
