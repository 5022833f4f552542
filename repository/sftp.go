package repository

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"strconv"
	"sync"

	"airlock/sshconn"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/blob/retrying"
	"github.com/kopia/kopia/repo/blob/sharded"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// SFTPPlace is a repository's folder on an SFTP server. Either Key or Password is given.
type SFTPPlace struct {
	Host       string
	Port       int // default 22
	User       string
	Path       string // absolute on the server
	Key        []byte // an OpenSSH private key, without passphrase
	KeyFile    string // what errors call the key
	Password   string
	KnownHosts string // file in OpenSSH's known_hosts form
}

func (p *SFTPPlace) address() string {
	port := p.Port
	if port == 0 {
		port = 22
	}
	return net.JoinHostPort(p.Host, strconv.Itoa(port))
}

// open uses kopia's layout of folders with airlock's own connection, because kopia's
// SFTP storage keeps a dead connection for ever, does not sync what it wrote, makes
// the folder where none is, and takes any of a server's host keys for the pinned one.
func (p *SFTPPlace) open(ctx context.Context, create bool) (blob.Storage, error) {
	files := &sftpFiles{root: p.Path, config: sshconn.Config{
		Address: p.address(), User: p.User, Password: p.Password, Key: p.Key, KeyFile: p.KeyFile, KnownHosts: p.KnownHosts,
	}}
	err := files.do(ctx, func(c *sftp.Client) error {
		if create {
			if err := c.Mkdir(p.Path); err != nil {
				if _, statErr := c.Stat(p.Path); statErr != nil {
					return fmt.Errorf("make folder %s: %w; the folder above must exist%s", p.Path, err, sshconn.PathsCount(c.ReadDir))
				}
			}
			return nil
		}
		if err := finishReplacing(c, p.Path); err != nil {
			return err
		}
		_, err := c.Stat(path.Join(p.Path, formatBlob+sharded.CompleteBlobSuffix))
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%w; is the NAS's volume mounted? If there should be a new one, create it%s", ErrNoRepository, sshconn.PathsCount(c.ReadDir))
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, files.close())
	}
	options := sharded.Options{ListParallelism: 8}
	return retrying.NewWrapper(&sftpStorage{Storage: sharded.New(files, p.Path, options, create), files: files, name: Place{SFTP: p}.String()}), nil
}

type sftpStorage struct {
	sharded.Storage
	blob.DefaultProviderImplementation
	files *sftpFiles
	name  string
}

func (s *sftpStorage) ConnectionInfo() blob.ConnectionInfo { return lent{}.ConnectionInfo() }
func (s *sftpStorage) DisplayName() string                 { return s.name }
func (s *sftpStorage) Close(context.Context) error         { return s.files.close() }

// sftpFiles are the file operations that kopia's sharded storage is made of. It is one
// connection, made when needed and made anew when it was lost; retrying is the
// caller's.
type sftpFiles struct {
	config sshconn.Config
	root   string

	mu   sync.Mutex
	conn *sftpConn
}

type sftpConn struct {
	ssh  *ssh.Client
	sftp *sshconn.SFTP
}

// close cuts the connection. To end SFTP in good order first would wait for a server
// that may no longer answer; it closes what was open as well.
func (c *sftpConn) close() error {
	if err := c.ssh.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (s *sftpFiles) connect(ctx context.Context) (*sftpConn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		return s.conn, nil
	}
	client, err := sshconn.Dial(ctx, s.config)
	if err != nil {
		return nil, err
	}
	c, err := sshconn.OpenSFTP(ctx, client, sshconn.SFTPConfig{Silence: s.config.Silence, Options: []sftp.ClientOption{sftp.UseConcurrentWrites(true)}})
	if err != nil {
		return nil, errors.Join(sshconn.NoSFTP(err), client.Close())
	}
	s.conn = &sftpConn{ssh: client, sftp: c}
	return s.conn, nil
}

// drop forgets a connection that is of no more use.
func (s *sftpFiles) drop(c *sftpConn) {
	c.close() // it is lost already: what that says is known
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == c {
		s.conn = nil
	}
}

func (s *sftpFiles) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return nil
	}
	c := s.conn
	s.conn = nil
	return c.close()
}

// do runs f. When ctx ends the connection is closed, which is the only way out of a
// call that pkg/sftp offers; whoever else was using it reconnects.
func (s *sftpFiles) do(ctx context.Context, f func(*sftp.Client) error) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { s.drop(c) })
	err = c.sftp.Explain(f(c.sftp.Client))
	if !stop() {
		return errors.Join(context.Cause(ctx), err)
	}
	if errors.Is(err, sftp.ErrSSHFxConnectionLost) || errors.Is(err, sftp.ErrSSHFxNoConnection) || errors.Is(err, io.EOF) {
		s.drop(c)
	}
	return err
}

func (s *sftpFiles) GetBlobFromPath(ctx context.Context, _, name string, off, n int64, out blob.OutputBuffer) error {
	return s.do(ctx, func(c *sftp.Client) error {
		f, err := c.Open(name)
		if errors.Is(err, os.ErrNotExist) {
			return blob.ErrBlobNotFound
		}
		if err != nil {
			return err
		}
		out.Reset()
		if n < 0 {
			_, err = f.WriteTo(out)
			return errors.Join(err, f.Close())
		}
		part := make([]byte, n)
		got, err := f.ReadAt(part, off)
		if err == io.EOF {
			err = nil
			if int64(got) < n {
				err = fmt.Errorf("%w: %s has no %d bytes at %d", blob.ErrInvalidRange, name, n, off)
			}
		}
		if err == nil {
			_, err = out.Write(part)
		}
		return errors.Join(err, f.Close())
	})
}

func (s *sftpFiles) GetMetadataFromPath(ctx context.Context, _, name string) (m blob.Metadata, err error) {
	err = s.do(ctx, func(c *sftp.Client) error {
		info, err := c.Stat(name)
		if errors.Is(err, os.ErrNotExist) {
			return blob.ErrBlobNotFound
		}
		if err == nil {
			m = blob.Metadata{Length: info.Size(), Timestamp: info.ModTime()}
		}
		return err
	})
	return m, err
}

// PutBlobInPath writes under a temporary name first: writes are in flight side by side
// and a failed one can leave a hole.
func (s *sftpFiles) PutBlobInPath(ctx context.Context, dir, name string, data blob.Bytes, o blob.PutOptions) error {
	if o.HasRetentionOptions() || o.DoNotRecreate {
		return blob.ErrUnsupportedPutBlobOption
	}
	var whole buffer // pkg/sftp sends what it is given; kopia gives it in small pieces
	if _, err := data.WriteTo(&whole); err != nil {
		return err
	}
	return s.do(ctx, func(c *sftp.Client) error {
		temporary := name + ".tmp." + rand.Text()
		if err := s.write(c, dir, temporary, whole.Bytes()); err != nil {
			return err
		}
		if err := replace(c, temporary, name); err != nil {
			return errors.Join(fmt.Errorf("rename %s into place: %w", temporary, err), c.Remove(temporary))
		}
		if !o.SetModTime.IsZero() {
			if err := c.Chtimes(name, o.SetModTime, o.SetModTime); err != nil {
				return err
			}
		}
		info, err := c.Stat(name)
		switch {
		case err != nil:
			return err
		case info.Size() != int64(whole.Len()):
			return fmt.Errorf("%s has %d bytes after %d were written", name, info.Size(), whole.Len())
		case o.GetModTime != nil:
			*o.GetModTime = info.ModTime()
		}
		return nil
	})
}

func (s *sftpFiles) write(c *sftp.Client, dir, name string, data []byte) error {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	f, err := c.OpenFile(name, flags)
	if errors.Is(err, os.ErrNotExist) {
		if _, err = c.Stat(s.root); err != nil { // the root is never made anew
			return fmt.Errorf("%s: %w; is the NAS's volume mounted?", s.root, err)
		}
		if err = c.MkdirAll(dir); err == nil {
			f, err = c.OpenFile(name, flags)
		}
	}
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	_, err = f.ReadFromWithConcurrency(bytes.NewReader(data), 0)
	if _, ok := c.HasExtension("fsync@openssh.com"); ok && err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w; is the storage full?", name, err), c.Remove(name))
	}
	return nil
}

func (s *sftpFiles) DeleteBlobInPath(ctx context.Context, _, name string) error {
	return s.do(ctx, func(c *sftp.Client) error {
		if err := c.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	})
}

func (s *sftpFiles) ReadDir(ctx context.Context, dir string) (infos []os.FileInfo, err error) {
	err = s.do(ctx, func(c *sftp.Client) error {
		infos, err = c.ReadDir(dir)
		return err
	})
	return infos, err
}
