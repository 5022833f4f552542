package syslog

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/time/rate"
)

// The times of a link.
const (
	dialWithin  = 10 * time.Second
	writeWithin = 20 * time.Second // also until the other side's kernel has what was written
	refusal     = 250 * time.Millisecond
)

// datagrams is how many are sent in a second at the most: a receiver's kernel drops what
// comes faster than it is read, and nobody learns of that.
const datagrams = 1000

// link is one connection to the receiver.
type link struct {
	conn    net.Conn
	framed  *bufio.Writer // nil for datagrams
	pace    *rate.Limiter // of datagrams
	ended   chan struct{} // closed once the other side ended it
	because error         // why; good once ended is closed
}

// dial reaches the receiver. Files are read anew each time, so that a renewed
// certificate needs no restart.
func dial(ctx context.Context, c Config) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	d := net.Dialer{Control: impatient, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	if c.Network == "udp" {
		conn, err := (&net.Dialer{}).DialContext(ctx, "udp", c.Address)
		if err != nil {
			return nil, err
		}
		return watched(&link{conn: conn, pace: rate.NewLimiter(datagrams, 10)}), nil
	}
	conn, err := d.DialContext(ctx, "tcp", c.Address)
	if err != nil {
		return nil, err
	}
	if c.Network == "tls" {
		if conn, err = secure(ctx, conn, c); err != nil {
			return nil, err
		}
	}
	return watched(&link{conn: conn, framed: bufio.NewWriterSize(conn, 64<<10)}), nil
}

// secure makes TLS of a connection, or closes it.
func secure(ctx context.Context, conn net.Conn, c Config) (net.Conn, error) {
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	conf := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("the certificates to believe: %w", err), conn.Close())
		}
		if conf.RootCAs = x509.NewCertPool(); !conf.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.Join(fmt.Errorf("%s holds no certificate in PEM", c.CA), conn.Close())
		}
	}
	secured := tls.Client(conn, conf)
	if err := secured.HandshakeContext(ctx); err != nil {
		var cert *tls.CertificateVerificationError
		if errors.As(err, &cert) {
			err = fmt.Errorf("the receiver's certificate cannot be believed: it has to be for %s, valid now, and of an authority in the file that ca names (the system's if it names none): %w", host, err)
		}
		return nil, errors.Join(err, conn.Close())
	}
	return secured, nil
}

// watched awaits the other side's end: a receiver says nothing else.
func watched(l *link) *link {
	l.ended = make(chan struct{})
	go func() {
		defer close(l.ended)
		_, l.because = io.Copy(io.Discard, l.conn)
	}()
	return l
}

// broken is why the other side ended the link; nil while it has not.
func (l *link) broken() error {
	select {
	case <-l.ended:
	default:
		return nil
	}
	if l.because != nil {
		return l.because
	}
	return errors.New("the receiver closed the connection")
}

// write hands a message to the link; flush sends it.
func (l *link) write(ctx context.Context, message string) error {
	if l.framed == nil {
		if err := l.pace.Wait(ctx); err != nil {
			return err
		}
		_, err := io.WriteString(l.conn, message)
		return err
	}
	if err := l.conn.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(l.framed, "%d %s", len(message), message) // RFC 6587, 3.4.1
	return err
}

func (l *link) flush() error {
	if l.framed == nil {
		return nil
	}
	return l.framed.Flush()
}

// finish ends the link from this side, and returns nil if the other side had then read
// all of it: that it ends in return, and not before, is the one receipt there is. Of
// datagrams it is only known that nobody refused them.
func (l *link) finish(ctx context.Context) error {
	if l.framed == nil {
		select {
		case <-l.ended:
			return l.broken()
		case <-time.After(refusal):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := l.broken(); err != nil {
		return err
	}
	half, ok := l.conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.New("this connection cannot be ended from one side")
	}
	if err := half.CloseWrite(); err != nil {
		return err
	}
	select {
	case <-l.ended:
		return l.because
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *link) close() error {
	err := l.conn.Close()
	<-l.ended
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
