package sshconn

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"airlock/silence"
)

// openWithin is how long a server may take until a session on it has begun.
const openWithin = 30 * time.Second

const defaultSilence = 2 * time.Minute

// Session opens a session and has begin start it: a terminal, a subsystem. It returns at
// the latest when ctx ends, when the connection does, or after half a minute; unless the
// session began, the connection is then closed.
//
// The library alone would wait for ever: when a connection ends, it first tells the
// channels that there are, then refuses new ones, and a channel opened between the two
// is never answered, not even by closing the connection. What it leaves behind is one
// goroutine, which holds nothing of ours.
func Session(ctx context.Context, client *ssh.Client, begin func(*ssh.Session) error) (*ssh.Session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, openWithin, fmt.Errorf("%w: no session within %v", silence.Err, openWithin))
	defer cancel()
	type result struct {
		session *ssh.Session
		err     error
	}
	opened := make(chan result, 1)
	go func() {
		session, err := client.NewSession()
		if err == nil {
			err = begin(session)
		}
		opened <- result{session, err}
	}()
	ended := make(chan error, 1)
	go func() { ended <- client.Wait() }()
	select {
	case r := <-opened:
		if r.err != nil {
			return nil, errors.Join(fmt.Errorf("ssh to %s: open a session: %w", client.RemoteAddr(), r.err), context.Cause(ctx))
		}
		return r.session, nil
	case err := <-ended:
		return nil, fmt.Errorf("ssh to %s: open a session: the connection ended: %w", client.RemoteAddr(), err)
	case <-ctx.Done():
		_ = client.Close() // the error that counts is the one at hand
		return nil, fmt.Errorf("ssh to %s: open a session: %w", client.RemoteAddr(), context.Cause(ctx))
	}
}

// SFTP is the files of one server over one connection. Its calls take no context; each
// ends when the connection does, and that ends when an answer is due and not a byte came
// for as long as SFTP was made with.
type SFTP struct {
	*sftp.Client
	watch *silence.Watch
}

// SFTPConfig says how a server's files are used.
type SFTPConfig struct {
	Silence time.Duration // as Config.Silence
	// Names is told the size in bytes of each answer that holds names of files, before
	// the library has it: that collects a whole listing before it gives any of it.
	Names   func(size int64)
	Options []sftp.ClientOption
}

// OpenSFTP starts the server's SFTP, within the bounds of [Session]; the exchange of
// versions counts as a part of that.
func OpenSFTP(ctx context.Context, client *ssh.Client, c SFTPConfig) (*SFTP, error) {
	s := &SFTP{watch: silence.New(cmp.Or(c.Silence, defaultSilence), func() { go client.Close() })} // its error would say no more than the calls' own
	_, err := Session(ctx, client, func(session *ssh.Session) error {
		in, err1 := session.StdinPipe()
		out, err2 := session.StdoutPipe()
		aside, err3 := session.StderrPipe()
		if err := errors.Join(err1, err2, err3, session.RequestSubsystem("sftp")); err != nil {
			return err
		}
		go io.Copy(io.Discard, aside) // what nobody reads would fill the connection's window
		files, err := sftp.NewClientPipe(&answers{Reader: out, watch: s.watch, names: c.Names}, &requests{WriteCloser: in, watch: s.watch}, c.Options...)
		s.Client = files
		return err
	})
	if err != nil {
		return nil, s.watch.Explain(NoSFTP(err))
	}
	return s, nil
}

// Explain adds to an error of a call why the connection was ended, if silence did that.
func (s *SFTP) Explain(err error) error {
	if s.watch == nil { // nobody watches a Client that was opened otherwise
		return err
	}
	return s.watch.Explain(err)
}

// requests counts the messages that are sent: SFTP answers each by one.
type requests struct {
	io.WriteCloser
	watch *silence.Watch
	cut   messages
}

func (r *requests) Write(p []byte) (int, error) {
	r.cut.begun(p, func(byte, int64) { r.watch.Asked() })
	n, err := r.WriteCloser.Write(p)
	if n > 0 {
		r.watch.Heard()
	}
	return n, err
}

// answers counts the messages that come.
type answers struct {
	io.Reader
	watch *silence.Watch
	names func(size int64) // nil tells nobody
	cut   messages
}

func (a *answers) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if n > 0 {
		a.watch.Heard()
	}
	a.cut.begun(p[:n], func(kind byte, size int64) {
		a.watch.Answered()
		if kind == fxpName && a.names != nil {
			a.names(size)
		}
	})
	return n, err
}

// messages finds SFTP's messages in a stream: four bytes of length, and as many of body
// as those say, the first of which is the kind (draft-ietf-secsh-filexfer-02, section 3).
type messages struct {
	mu   sync.Mutex
	head []byte // length and kind of the next message, as far as they have come
	left int64  // bytes of the present body
}

const fxpName = 104 // SSH_FXP_NAME

// begun tells each the messages whose heads are whole in the stream with p.
func (m *messages) begun(p []byte, each func(kind byte, size int64)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(p) > 0 {
		if m.left > 0 {
			skip := min(m.left, int64(len(p)))
			m.left -= skip
			p = p[skip:]
			continue
		}
		take := min(5-len(m.head), len(p))
		m.head = append(m.head, p[:take]...)
		p = p[take:]
		if len(m.head) == 5 {
			size := int64(binary.BigEndian.Uint32(m.head))
			each(m.head[4], size)
			m.left, m.head = max(size-1, 0), m.head[:0]
		}
	}
}
