// Package smbconn makes connections with shares of SMB 2 and 3 servers, the way airlock
// needs them: every step up to the mounted share is bounded by a context, a connection
// that has died is found out by echoes, and a server that lives and yet does not answer
// a request for files by its silence.
//
// What goes over the line is encrypted where the server can, and signed where it cannot:
// with a server that gives neither, as to a guest, there is no connection. Its dialect may
// be any from 2.0.2 to 3.1.1; SMB 1 is not spoken.
//
// [Files] are whole files in a folder of a share, for whoever keeps blobs there: they
// are written under a temporary name and have their own once they are whole.
package smbconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	smb2 "github.com/cloudsoda/go-smb2"

	"airlock/silence"
)

// Errors on which callers branch.
var (
	// ErrAuth: the server did not accept the user. Servers lock accounts for trying
	// again.
	ErrAuth = errors.New("smb: the user was not accepted")
	// ErrGone: the server cannot be reached, or the connection is lost; the error says
	// nothing about a file.
	ErrGone = errors.New("smb: the connection is lost")
)

// Config says which share, and by what right.
type Config struct {
	Address  string // host, or host:port; the port is 445 where none is given
	User     string // name, DOMAIN\name, DOMAIN;name or name@domain
	Password string
	Share    string // hidden ones too: backup$
	// Insecure asks for neither encryption nor signing. What the server requires is done.
	Insecure bool
	// KeepAlive is the time between echoes; one unanswered for three times as long
	// ends the connection. Default 15 s.
	KeepAlive time.Duration
	// Grace is how long a call of [Files] may go on after its ctx is done, until what is
	// on its way has arrived and what is unfinished is removed; then the connection is
	// closed, as the library's calls know no other way out. Default 5 s.
	Grace time.Duration
	// Silence is how long no answer may come while one is due; then the connection is
	// ended. Default 2 min: a disk that slept has to start.
	Silence time.Duration
}

const (
	defaultGrace   = 5 * time.Second
	defaultSilence = 2 * time.Minute
)

// Conn is one connection with one share. Calls to the share take no context: whoever
// does not want to wait for one leaves it behind, and it ends when it is answered or
// when the connection closes. (The library may spoil a connection on which a call's own
// context ends in the middle of a write.) Each is announced by Asked.
type Conn struct {
	Share     *smb2.Share
	Encrypted bool // else it is signed, unless Config.Insecure was set

	conn  *life
	stop  context.CancelFunc
	watch *silence.Watch
}

// dialWithin bounds the way to a mounted share, for a server that accepts a connection
// and then says nothing.
const dialWithin = 30 * time.Second

// Dial connects, logs in and mounts the share: fs.ErrNotExist if the server has no such
// share. ctx bounds that, besides half a minute, and nothing later.
func Dial(ctx context.Context, c Config) (*Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, dialWithin, fmt.Errorf("%w: it did not answer within %v", ErrGone, dialWithin))
	defer cancel()
	address := c.Address
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host, address = strings.Trim(address, "[]"), net.JoinHostPort(strings.Trim(address, "[]"), "445")
	}
	var d net.Dialer
	socket, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, refused(ctx, err, c.User)
	}
	mounted := &Conn{}
	mounted.watch = silence.New(cmp.Or(c.Silence, defaultSilence), func() { go mounted.Close() }) // the calls tell of it
	conn := &life{Conn: socket, watch: mounted.watch}
	domain, user := account(c.User)
	login := &handshake{Conn: conn, open: c.Insecure, faults: make(chan error, 1)}
	// The library's own balance lets a dozen listings at once run out of credits.
	session, err := (&smb2.Dialer{
		MaxCreditBalance: 2048,
		// Also of an encrypted session, whose answers the library would else take in clear.
		Negotiator: smb2.Negotiator{RequireMessageSigning: !c.Insecure},
		Initiator:  &smb2.NTLMInitiator{User: user, Password: c.Password, Domain: domain},
	}).DialConn(ctx, login, address)
	if err != nil {
		return nil, errors.Join(refused(ctx, cmp.Or(login.fault(), err), c.User), conn.Close())
	}
	share, err := session.WithContext(ctx).Mount(`\\` + host + `\` + c.Share)
	if err != nil {
		return nil, errors.Join(refused(ctx, cmp.Or(login.fault(), err), c.User), conn.Close())
	}
	standing, stop := context.WithCancel(context.WithoutCancel(ctx))
	mounted.Share, mounted.conn, mounted.stop, mounted.Encrypted = share.WithContext(standing), conn, stop, login.sealed
	go mounted.keepAlive(standing, session, c.KeepAlive)
	return mounted, nil
}

// keepAlive cuts the connection once an echo stays unanswered.
func (c *Conn) keepAlive(standing context.Context, session *smb2.Session, every time.Duration) {
	if every == 0 {
		every = 15 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-standing.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(standing, 3*every)
		// The library keeps to no context where a write before this one is stuck.
		late := time.AfterFunc(3*every, func() { c.Close() })
		c.conn.echoing.Store(true)
		err := session.WithContext(ctx).Echo()
		c.conn.echoing.Store(false)
		late.Stop()
		cancel()
		if err != nil {
			c.Close() // its own error would say no more than the calls that now fail
			return
		}
	}
}

// Close ends the connection, and whatever is still using it; the server closes what was
// open. It is not the library's Logoff, which panics in calls that are in progress.
// The connection closes before the context ends, so that those say what happened.
func (c *Conn) Close() error {
	defer c.stop()
	if err := c.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// account takes a user name apart as Windows does. A name@domain goes to the server
// whole, which knows how to look it up.
func account(user string) (domain, name string) {
	if i := strings.IndexAny(user, `\;`); i >= 0 {
		return user[:i], user[i+1:]
	}
	return "", user
}
