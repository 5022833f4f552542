package sshconn

import (
	"errors"
	"testing"
)

// What is known of a server that gives no SFTP is not told of one that went away.
func TestNoSFTP(t *testing.T) {
	for text, none := range map[string]bool{
		"sftp: unexpected packet: want 2, got 87":                   true,
		"packet too long":                                           true,
		"ssh: subsystem request failed":                             true,
		"ssh: unexpected packet in response to channel open: <nil>": false,
	} {
		if got := errors.Is(NoSFTP(errors.New(text)), ErrNoSFTP); got != none {
			t.Errorf("%s: gives no SFTP: %t", text, got)
		}
	}
}
