// Package smb keeps a vault on a share of an SMB 2 or 3 server.
//
// A file is written to incoming/, flushed to the server's disk and then renamed; how a
// name is never taken twice is told at smbconn.Session.Publish. Names are refused that
// some server would take for another (smbconn.CheckName); that servers know no
// difference between large and small letters is told nobody, since kopia's names of
// blobs have small ones only, and a name that differs in that alone counts as taken.
package smb

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"airlock/smbconn"
	"airlock/vault"
)

// Config says where the vault is.
type Config struct {
	Conn smbconn.Config
	Path string // below the share; made if the folder that it lies in is there; "" is the share itself
	// Connections is how many are used at once; 0 means 2.
	Connections int
}

const (
	defaultConnections = 2

	// defaultSilence is shorter than elsewhere: a door stands open meanwhile.
	defaultSilence = 30 * time.Second
)

// Store is a vault's folder on a share.
type Store struct {
	files  *smbconn.Files
	run    string // names this Store's temporary files
	serial atomic.Int64

	sweeping sync.Once
	sweepers sync.WaitGroup
}

// Dial connects and logs in. It succeeds with any of its connections; one that failed
// is dialled again when it is next needed.
func Dial(ctx context.Context, c Config) (*Store, error) {
	if c.Connections == 0 {
		c.Connections = defaultConnections
	}
	c.Conn.Silence = cmp.Or(c.Conn.Silence, defaultSilence)
	files, err := smbconn.NewFiles(c.Conn, c.Path, c.Connections)
	if err == nil {
		err = files.Connect(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return &Store{files: files, run: rand.Text()}, nil
}

// Close ends the connections, and whatever is still using them.
func (s *Store) Close() error {
	err := s.files.Close()
	s.sweepers.Wait()
	return err
}

// Put implements vault.Store.
func (s *Store) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	if err := checkName(name); err != nil {
		return err
	}
	return s.within(ctx, "put "+name, func(c *smbconn.Session) error {
		if _, err := c.Stat(name); err == nil {
			return fs.ErrExist
		}
		temp := incoming(vault.TempName(s.run, strconv.FormatInt(s.serial.Add(1), 10)))
		err := s.write(c, temp, size, r)
		if err == nil {
			err = context.Cause(ctx)
		}
		if err == nil {
			err = publish(c, temp, name)
		}
		if err != nil {
			_ = c.Remove(temp) // what stays behind is swept away by a later window
			return err
		}
		return c.SyncFolder(path.Dir(name))
	})
}

func incoming(name string) string { return path.Join(vault.Incoming, name) }

func (s *Store) write(c *smbconn.Session, temp string, size int64, r io.Reader) error {
	fresh, err := c.Write(temp, size, r)
	if errors.Is(err, smbconn.ErrNoFolder) {
		if err := c.MakeFolder(vault.Incoming); err != nil {
			return fmt.Errorf("%w; mount its disk, or make the folder above it", err)
		}
		fresh, err = c.Write(temp, size, r)
	}
	if err == nil {
		s.sweeping.Do(func() { s.sweepers.Go(func() { s.sweep(fresh) }) })
	}
	return err
}

// claimOf is the claim on a name, in small letters, for most servers take names that
// differ in that alone for one.
func claimOf(name string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(name)))
	return incoming(vault.TempName("claim", hex.EncodeToString(sum[:16])))
}

// publish gives a whole file its name, making its folder if that is missing.
func publish(c *smbconn.Session, temp, final string) error {
	claim := claimOf(final)
	err := c.Publish(temp, final, claim)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := c.MakeFolder(path.Dir(final)); err != nil {
		return err
	}
	return c.Publish(temp, final, claim)
}

// sweep removes what earlier cuts left in incoming/; fresh is a file just made, which
// tells the server's time. What cannot be removed costs room, not the window.
func (s *Store) sweep(fresh fs.FileInfo) {
	_ = s.files.Do(context.Background(), func(c *smbconn.Session) error {
		files, err := c.List(vault.Incoming)
		for _, f := range files {
			if vault.Leftover(f, s.run, fresh.ModTime()) {
				_ = c.Remove(incoming(f.Name()))
			}
		}
		return err
	})
}

// Open implements vault.Store.
func (s *Store) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	c, release, err := s.files.Hold(ctx)
	if err != nil {
		return nil, s.told("open "+name, err)
	}
	f, err := c.Open(name)
	if err != nil {
		err = c.Explain(err)
		release()
		return nil, s.told("open "+name, err)
	}
	if n < 0 {
		n = f.Size()
	}
	return &body{s: s, ctx: ctx, name: name, session: c, file: f, reader: f.Range(off, n), release: release}, nil
}

// body is an open file. It holds its connection until it is closed.
type body struct {
	s       *Store
	ctx     context.Context
	name    string
	session *smbconn.Session
	file    *smbconn.File
	reader  io.Reader
	release func()
}

func (b *body) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, b.s.told("read "+b.name, context.Cause(b.ctx))
	}
	n, err := b.reader.Read(p)
	if err != nil && err != io.EOF {
		err = b.s.told("read "+b.name, b.session.Explain(err))
	}
	return n, err
}

func (b *body) Close() error {
	err := b.session.Explain(b.file.Close())
	b.release()
	if err != nil {
		return b.s.told("close "+b.name, err)
	}
	return nil
}

// List implements vault.Store.
func (s *Store) List(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	if dir != "." {
		if err := smbconn.CheckName(dir); err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
	}
	var infos []fs.FileInfo
	err := s.within(ctx, "list "+dir, func(c *smbconn.Session) (err error) {
		infos, err = c.List(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return vault.Listed(infos, err)
}

// Remove implements vault.Remover.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := vault.CheckRemovable(name); err != nil {
		return err
	}
	return s.within(ctx, "remove "+name, func(c *smbconn.Session) error {
		err := c.Remove(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return c.SyncFolder(path.Dir(name))
	})
}

func checkName(name string) error {
	return errors.Join(vault.CheckName(name), smbconn.CheckName(name))
}

func (s *Store) within(ctx context.Context, what string, call func(*smbconn.Session) error) error {
	if err := s.files.Do(ctx, call); err != nil {
		return s.told(what, err)
	}
	return nil
}

func (s *Store) told(what string, err error) error {
	return fmt.Errorf("vault %s: %s: %w", s.files, what, err)
}
