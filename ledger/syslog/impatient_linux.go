package syslog

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// impatient makes a TCP connection fail once what was sent stays unacknowledged for
// writeWithin. The kernel would otherwise try for a quarter of an hour, and what lies
// in its buffer would pass for sent.
func impatient(network, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(writeWithin.Milliseconds()))
	})
	return errors.Join(err, failed)
}
