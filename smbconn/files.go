package smbconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Files are the files of one folder of a share, reached over one or more connections.
// One that was lost is dialled again by the next call; to repeat the call that found it
// lost is the caller's business. It is safe for concurrent use.
type Files struct {
	root    string // "" or slash-separated
	label   string // for errors
	buffers sync.Pool

	picking sync.Mutex
	lines   []*line
}

// line is one connection, dialled at its first use and again after it was lost.
type line struct {
	conf Config
	busy int // calls that are using it; under Files.picking

	dialling chan struct{} // holds one token: who has it may dial
	mu       sync.Mutex
	conn     *Conn
}

// NewFiles dials nothing yet. root is the folder below the share, slash-separated, ""
// for the share itself.
func NewFiles(c Config, root string, connections int) (*Files, error) {
	root = strings.Trim(root, "/")
	if root != "" {
		if err := CheckName(root); err != nil {
			return nil, err
		}
	}
	f := &Files{root: root, label: "smb://" + c.User + "@" + path.Join(c.Address, c.Share, root), lines: make([]*line, max(1, connections))}
	f.buffers.New = func() any { return new([piece]byte) }
	for i := range f.lines {
		f.lines[i] = &line{conf: c, dialling: make(chan struct{}, 1)}
	}
	return f, nil
}

// String names the folder without any secret.
func (f *Files) String() string { return f.label }

// device are the names that Windows has for devices, with whatever extension.
var device = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)`)

// CheckName refuses, as fs.ErrInvalid, a name that is not one below a folder, or that
// a server might take for another: a colon begins a stream of a file, dots and spaces
// at the end of a name are dropped, some names are devices.
func CheckName(name string) error {
	if !fs.ValidPath(name) || name == "." {
		return fmt.Errorf("%q is not a name below a folder: %w", name, fs.ErrInvalid)
	}
	for element := range strings.SplitSeq(name, "/") {
		odd := func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`\:*?"<>|`, r) }
		if strings.ContainsFunc(element, odd) || strings.HasSuffix(element, ".") || strings.HasSuffix(element, " ") || device.MatchString(element) {
			return fmt.Errorf("%q is not a name that every SMB server can have: %w", name, fs.ErrInvalid)
		}
	}
	return nil
}

// Connect dials every connection, and succeeds with any of them.
func (f *Files) Connect(ctx context.Context) error {
	var dialling sync.WaitGroup
	failed := make([]error, len(f.lines))
	for i, l := range f.lines {
		dialling.Go(func() { _, failed[i] = l.session(ctx) })
	}
	dialling.Wait()
	if slices.Contains(failed, nil) {
		return nil
	}
	return fmt.Errorf("%s: %w", f.label, failed[0])
}

// Close ends the connections, and whatever is still using them.
func (f *Files) Close() error {
	var err error
	for _, l := range f.lines {
		err = errors.Join(err, l.close())
	}
	return err
}

// Do runs one call on the connection that has least to do. The call ends soon after
// ctx does, with an error that wraps the cause of it.
func (f *Files) Do(ctx context.Context, call func(*Session) error) error {
	s, release, err := f.Hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	return s.Explain(call(s))
}

// Hold gives a connection until release is called; when ctx ends, and a little has
// passed, it is closed.
func (f *Files) Hold(ctx context.Context) (s *Session, release func(), err error) {
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	l := f.take()
	conn, err := l.session(ctx)
	if err != nil {
		f.give(l)
		return nil, nil, err
	}
	unbind := l.bind(ctx, conn)
	s = &Session{ctx: ctx, files: f, line: l, conn: conn}
	return s, sync.OnceFunc(func() { unbind(); f.give(l) }), nil
}

func (f *Files) take() *line {
	f.picking.Lock()
	defer f.picking.Unlock()
	l := slices.MinFunc(f.lines, func(a, b *line) int { return cmp.Compare(a.busy, b.busy) })
	l.busy++
	return l
}

func (f *Files) give(l *line) {
	f.picking.Lock()
	defer f.picking.Unlock()
	l.busy--
}

// session gives the connection, dialled if need be.
func (l *line) session(ctx context.Context) (*Conn, error) {
	select {
	case l.dialling <- struct{}{}:
		defer func() { <-l.dialling }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	conn, err := Dial(ctx, l.conf)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
	return conn, nil
}

// drop closes a connection that is of no more use, and forgets it.
func (l *line) drop(conn *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == conn {
		l.conn = nil
	}
	_ = conn.Close() // it is lost already: what that says is known
}

func (l *line) bind(ctx context.Context, conn *Conn) (release func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-done:
		case <-time.After(cmp.Or(l.conf.Grace, defaultGrace)):
			l.drop(conn) // the call ends with the error of a lost connection
		}
	})
	return func() {
		close(done)
		stop()
	}
}

func (l *line) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return nil
	}
	conn := l.conn
	l.conn = nil
	return conn.Close()
}
