// Package sftp reads a tree behind an SSH server as a collectors.Source.
//
// The server's host key is pinned. One connection serves all calls at once; when it
// is lost, every call fails with collectors.ErrGone (see collectors.Redial). A dead
// link is found by keep-alives.
package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"sync/atomic"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"airlock/collectors"
	"airlock/silence"
	"airlock/sshconn"
)

// Config says which tree on which server.
type Config struct {
	SSH  sshconn.Config
	Root string // a path on the server; one that is not absolute starts at the user's home
}

type source struct {
	listings
	ssh    *ssh.Client
	client *sshconn.SFTP
	root   string
	closed atomic.Bool
}

// Dial connects, logs in and looks for the root: fs.ErrNotExist if it is not there,
// collectors.ErrAuth if the server does not accept the user, collectors.ErrNotEntered if
// it is not let in itself, collectors.ErrGone if it cannot be reached. ctx bounds that and nothing later.
func Dial(ctx context.Context, c Config) (collectors.Source, error) {
	conn, err := sshconn.Dial(ctx, c.SSH)
	switch {
	case ctx.Err() != nil && err != nil:
		return nil, fmt.Errorf("sftp on %s: %w", c.SSH.Address, context.Cause(ctx))
	case errors.Is(err, sshconn.ErrAuth):
		return nil, fmt.Errorf("%w: %w", collectors.ErrAuth, err)
	case errors.Is(err, sshconn.ErrNoLogin):
		return nil, fmt.Errorf("%w: %w", collectors.ErrNotEntered, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", collectors.ErrGone, err)
	}
	s := &source{ssh: conn}
	s.client, err = sshconn.OpenSFTP(ctx, conn, sshconn.SFTPConfig{
		Silence: c.SSH.Silence, Names: s.listings.came, Options: []sftp.ClientOption{sftp.MaxPacketChecked(32 << 10)},
	})
	if err == nil {
		s.root, err = collectors.Call(ctx, func() (string, error) { return s.start(c) }, nil)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sftp on %s: %w", c.SSH.Address, s.explain(ctx, err)), s.ssh.Close())
	}
	return s, nil
}

// start looks for the root, which it returns as the server has it.
func (s *source) start(c Config) (root string, err error) {
	// OpenSSH 8.5 and later announces that it takes packets beyond the 32 KiB that
	// every server must take: half the work on both sides.
	if _, ok := s.client.HasExtension("limits@openssh.com"); ok {
		if err := sftp.MaxPacketUnchecked(255 << 10)(s.client.Client); err != nil {
			return "", err
		}
	}
	root, err = s.client.RealPath(c.Root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("folder %s: %w%s", c.Root, err, sshconn.PathsCount(s.client.ReadDir))
	case err != nil:
		return "", fmt.Errorf("folder %s: %w", c.Root, err)
	}
	info, err := s.client.Stat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("folder %s: %w%s", c.Root, err, sshconn.PathsCount(s.client.ReadDir))
	case err != nil:
		return "", fmt.Errorf("folder %s: %w", c.Root, err)
	case !info.IsDir():
		return "", fmt.Errorf("folder %s: %w: it is not a folder", c.Root, fs.ErrInvalid)
	}
	return strings.TrimSuffix(root, "/"), nil
}

func (s *source) path(name string) (string, error) {
	if err := collectors.CheckName(name, ""); err != nil {
		return "", err
	}
	if name == "." {
		return s.root + "/", nil
	}
	return s.root + "/" + name, nil
}

func (s *source) ReadDir(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	path, err := s.path(dir)
	if err != nil {
		return nil, collectors.PathError("list", dir, err)
	}
	entries, err := collectors.Call(ctx, func() ([]fs.FileInfo, error) { return s.list(ctx, path) }, nil)
	if err != nil {
		return nil, collectors.PathError("list", dir, s.explain(ctx, err))
	}
	return collectors.Listing(entries), nil
}

func (s *source) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	path, err := s.path(name)
	if err != nil {
		return nil, collectors.PathError("stat", name, err)
	}
	info, err := collectors.Call(ctx, func() (fs.FileInfo, error) { return s.client.Lstat(path) }, nil)
	if err != nil {
		return nil, collectors.PathError("stat", name, s.explain(ctx, err))
	}
	return info, nil
}

type opened struct {
	*sftp.File
	info fs.FileInfo
}

func (s *source) Open(ctx context.Context, name string) (collectors.File, error) {
	path, err := s.path(name)
	if err != nil {
		return nil, collectors.PathError("open", name, err)
	}
	f, err := collectors.Call(ctx,
		func() (opened, error) { return s.open(path) },
		func(f opened) { f.Close() })
	if err != nil {
		return nil, collectors.PathError("open", name, s.explain(ctx, err))
	}
	return collectors.NewFile(ctx, name, f.File, f.info, s.lost), nil
}

// open asks for the file and for what it is in one round trip: most files are small,
// and most of their time is waiting.
func (s *source) open(path string) (opened, error) {
	type stat struct {
		info fs.FileInfo
		err  error
	}
	answer := make(chan stat, 1)
	go func() {
		info, err := s.client.Lstat(path)
		answer <- stat{info, err}
	}()
	f, err := s.client.Open(path)
	is := <-answer
	if err != nil {
		return opened{}, err
	}
	if is.err == nil && !is.info.Mode().IsRegular() {
		is.err = fmt.Errorf("%w: not a file", fs.ErrInvalid)
	}
	if is.err != nil {
		return opened{}, errors.Join(is.err, f.Close())
	}
	return opened{f, is.info}, nil
}

// Close cuts the connection: the server closes what was open.
func (s *source) Close() error {
	if s.closed.Swap(true) {
		return fs.ErrClosed
	}
	if err := s.ssh.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err // closed already: the link was lost before
	}
	return nil
}

// explain says why a call failed: its context ended, the connection is lost, or what
// the server said of the file.
func (s *source) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.lost(err)
}

func (s *source) lost(err error) error {
	var status *sftp.StatusError
	var timeout net.Error
	switch {
	case s.closed.Load():
		return fmt.Errorf("%w: %w", fs.ErrClosed, err)
	case errors.Is(err, sshconn.ErrNoSFTP):
		return err
	case errors.Is(err, sftp.ErrSSHFxConnectionLost), errors.Is(err, sftp.ErrSSHFxNoConnection),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.As(err, &timeout):
	case errors.As(err, &status) && (status.FxCode() == sftp.ErrSSHFxConnectionLost || status.FxCode() == sftp.ErrSSHFxNoConnection):
	case errors.Is(err, silence.Err):
	default:
		return err
	}
	if s.client != nil {
		err = s.client.Explain(err)
	}
	return fmt.Errorf("%w: %w", collectors.ErrGone, err)
}
