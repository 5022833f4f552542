package sftp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"airlock/silence"
	"airlock/sshconn"
)

const (
	// grace is how long a call may go on after its ctx is done, to clean up, before
	// its connection is closed: calls of pkg/sftp know no other way out.
	grace = time.Second

	// packet is the most that OpenSSH takes in one request: its messages are of
	// 256 KiB, less some room for the header. Everywhere else it is 32 KiB, which every
	// server must take.
	packet = 255 << 10

	// ownVersion is how airlock vault serve calls itself.
	ownVersion = "SSH-2.0-airlock"

	// readAhead is what one read of an open file asks for at once, in packets.
	readAhead = 4 << 20
)

// line is one SSH connection with one SFTP session. It is dialled at its first use,
// and again after it broke.
type line struct {
	conf sshconn.Config
	busy int // calls that are using it; under Store.picking
	// announced is what is shown on each connection; the Store's, nil until there is any.
	announced *atomic.Pointer[announcement]

	mu    sync.Mutex
	ssh   *ssh.Client
	sftp  *sshconn.SFTP
	shown *announcement // on this connection
}

// session gives the SFTP session, dialled if need be. Nothing is asked of it before it has
// shown what is announced: to a server that took an announcement, a connection without it is
// a stranger's.
func (l *line) session(ctx context.Context) (*sshconn.SFTP, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sftp == nil {
		if err := l.dial(ctx); err != nil {
			return nil, err
		}
	}
	if a := l.announced.Load(); a != l.shown {
		a.show(ctx, l.ssh, l.sftp.Client)
		l.shown = a
	}
	return l.sftp, nil
}

func (l *line) dial(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, l.conf.Silence, fmt.Errorf("%w: no login and no SFTP within %v", silence.Err, l.conf.Silence))
	defer cancel()
	conn, err := sshconn.Dial(ctx, l.conf)
	if err != nil {
		return err
	}
	client, err := sshconn.OpenSFTP(ctx, conn, sshconn.SFTPConfig{Silence: l.conf.Silence, Options: []sftp.ClientOption{sftp.UseConcurrentWrites(true)}})
	if err == nil && takesLarge(conn, client) {
		err = sftp.MaxPacketUnchecked(packet)(client.Client)
	}
	if err != nil {
		conn.Close() // the error that counts is the one at hand
		return fmt.Errorf("sftp on %s: %w", l.conf.Address, err)
	}
	l.ssh, l.sftp, l.shown = conn, client, nil
	go l.watch(conn)
	return nil
}

// announcement is a file that is shown on every connection, and that no server keeps.
type announcement struct {
	path string // absolute
	text []byte

	mu      sync.Mutex
	refused error // why a server did not take it, the last time; nil if it did
}

// show shows it. A server that refuses it gives what room it gives to everybody: why it did
// is told once that is not enough. When ctx ends, so does the connection (S4).
func (a *announcement) show(ctx context.Context, conn *ssh.Client, c *sftp.Client) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // its error is that of the call
	defer stop()
	f, err := c.OpenFile(a.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err == nil {
		_, err = f.Write(a.text)
		err = errors.Join(err, f.Close())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused = err
}

// why is why the server did not take the announcement; nil if it did, or there is none.
func (a *announcement) why() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused
}

// takesLarge says whether the server takes packets of 255 KiB: OpenSSH's, and our own,
// whose library cannot offer the extension.
func takesLarge(conn *ssh.Client, client *sshconn.SFTP) bool {
	_, offered := client.HasExtension("limits@openssh.com")
	return offered || string(conn.ServerVersion()) == ownVersion
}

// watch forgets a connection that has ended.
func (l *line) watch(conn *ssh.Client) {
	_ = conn.Wait() // whoever was using it learns why
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ssh == conn {
		l.ssh, l.sftp = nil, nil
	}
}

// bind closes the connection if ctx is done and the call has not ended a little later.
func (l *line) bind(ctx context.Context) (release func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-done:
		case <-time.After(grace):
			_ = l.close() // the call ends with the error of a lost connection
		}
	})
	return sync.OnceFunc(func() {
		close(done)
		stop()
	})
}

func (l *line) close() error {
	l.mu.Lock()
	conn := l.ssh
	l.ssh, l.sftp = nil, nil
	l.mu.Unlock()
	if conn == nil {
		return nil
	}
	return conn.Close()
}
