// Package smb reads a share of an SMB 2 or 3 server as a collectors.Source.
//
// Listing and reading have a connection each: many listings at once on one that
// also reads run out of the credits that a server grants. When either is lost, every
// call fails with collectors.ErrGone (see collectors.Redial). A dead link is found by
// echoes.
//
// Links, junctions and other name surrogates are left out; other reparse points, as
// Windows makes them of deduplicated and of tiered files, are files like any other.
// A Samba server that follows links shows them as what they lead to.
package smb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"
	"time"

	smb2 "github.com/cloudsoda/go-smb2"

	"airlock/collectors"
	"airlock/smbconn"
)

// Config says which folder of which share, and by what right.
type Config struct {
	Conn smbconn.Config
	Root string // folder below the share, slash-separated; "" is the share itself
}

type source struct {
	collectors.Room
	lists, reads *smbconn.Conn
	root         string // "" or ends in a slash
	closed       atomic.Bool
}

// Dial connects, logs in and looks for the root: fs.ErrNotExist if share or folder
// are not there, collectors.ErrAuth if the server does not accept the user,
// collectors.ErrGone if it cannot be reached. ctx bounds that and nothing later.
func Dial(ctx context.Context, c Config) (collectors.Source, error) {
	root := strings.Trim(c.Root, "/")
	if root != "" {
		if err := collectors.CheckName(root, `\`); err != nil {
			return nil, fmt.Errorf("folder %s: %w", c.Root, err)
		}
		root += "/"
	}
	lists, err := dial(ctx, c)
	if err != nil {
		return nil, err
	}
	reads, err := dial(ctx, c)
	if err != nil {
		return nil, errors.Join(err, lists.Close())
	}
	s := &source{lists: lists, reads: reads, root: root}
	info, err := s.Stat(ctx, ".")
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%w: it is not a folder", fs.ErrInvalid)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf(`folder %s of share \\%s\%s: %w`, c.Root, c.Conn.Address, c.Conn.Share, err), s.Close())
	}
	return s, nil
}

// answerWithin is how long a server may say nothing: it may have to fetch a tiered file from a
// tape first.
const answerWithin = 5 * time.Minute

func dial(ctx context.Context, c Config) (*smbconn.Conn, error) {
	c.Conn.Silence = cmp.Or(c.Conn.Silence, answerWithin)
	conn, err := smbconn.Dial(ctx, c.Conn)
	if err != nil {
		return nil, fmt.Errorf(`share \\%s\%s: %w`, c.Conn.Address, c.Conn.Share, told(err))
	}
	return conn, nil
}

// told says in this room's words what the connection said.
func told(err error) error {
	switch {
	case errors.Is(err, smbconn.ErrAuth):
		return fmt.Errorf("%w: %w", collectors.ErrAuth, err)
	case errors.Is(err, smbconn.ErrOpen):
		return fmt.Errorf("%w: %w", collectors.ErrNotEntered, err)
	case errors.Is(err, smbconn.ErrGone):
		return fmt.Errorf("%w: %w", collectors.ErrGone, err)
	}
	return err
}

func (s *source) path(name string) (string, error) {
	if err := collectors.CheckName(name, `\`); err != nil {
		return "", err
	}
	if name == "." {
		return strings.TrimSuffix(s.root, "/"), nil
	}
	return s.root + name, nil
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

// list reads a folder piece by piece.
func (s *source) list(ctx context.Context, path string) (_ []fs.FileInfo, err error) {
	defer s.lists.Asked()()
	f, err := s.lists.Share.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	list := s.Begin()
	defer list.End()
	for ctx.Err() == nil {
		some, end := f.Readdir(1000)
		for _, e := range some {
			if err := list.Add(collectors.NewEntry(entry(e), marks(e))); err != nil {
				return nil, err
			}
		}
		if end == io.EOF {
			break
		}
		if end != nil {
			return nil, end
		}
	}
	return list.End(), nil
}

// marks are an entry's own. Some servers give one number to several folders, so its times
// are a part of its ID: one folder by two names has the same ones. (Not the time when it was
// made, which Samba tells differently of a folder and of a link to it.)
func marks(info fs.FileInfo) collectors.Marks {
	is, ok := info.Sys().(*smb2.FileStat)
	if !ok {
		return collectors.Marks{}
	}
	m := collectors.Marks{Changed: is.ChangeTime}
	if is.FileId != 0 {
		m.ID = collectors.FileID{uint64(is.FileId), uint64(is.ChangeTime.UnixNano()) ^ uint64(is.LastWriteTime.UnixNano())<<1}
	}
	return m
}

func (s *source) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	path, err := s.path(name)
	if err != nil {
		return nil, collectors.PathError("stat", name, err)
	}
	stat := s.stat
	if name == "." {
		stat = s.statRoot
	}
	info, err := collectors.Call(ctx, func() (fs.FileInfo, error) { return stat(path) }, nil)
	if err != nil {
		return nil, collectors.PathError("stat", name, s.explain(ctx, err))
	}
	return collectors.NewEntry(info, marks(info)), nil
}

// statRoot opens the root, since only of an open file the server tells its number.
func (s *source) statRoot(path string) (fs.FileInfo, error) {
	defer s.lists.Asked()()
	f, err := s.lists.Share.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	return info, errors.Join(err, f.Close())
}

// stat has to ask what kind of reparse point it met: only a listing tells the tag.
func (s *source) stat(path string) (fs.FileInfo, error) {
	defer s.lists.Asked()()
	info, err := s.lists.Share.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return info, err
	}
	if _, err := s.lists.Share.Readlink(path); err == nil {
		return info, nil
	}
	return plain{info}, nil
}

// opened is an open file, each of whose calls is announced.
type opened struct {
	file *smb2.File
	on   *smbconn.Conn
	info fs.FileInfo
}

func (f opened) ReadAt(p []byte, off int64) (int, error) {
	defer f.on.Asked()()
	return f.file.ReadAt(p, off)
}

func (f opened) Close() error {
	defer f.on.Asked()()
	return f.file.Close()
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
	return collectors.NewFile(ctx, name, f, f.info, s.lost), nil
}

func (s *source) open(path string) (opened, error) {
	defer s.reads.Asked()()
	f, err := s.reads.Share.Open(path)
	if err != nil {
		return opened{}, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%w: not a file", fs.ErrInvalid)
	}
	if err != nil {
		return opened{}, errors.Join(err, f.Close())
	}
	return opened{f, s.reads, plain{info}}, nil // the server opened it, so it is no link
}

// Close cuts the connections: the server closes what was open.
func (s *source) Close() error {
	if s.closed.Swap(true) {
		return fs.ErrClosed
	}
	return errors.Join(s.lists.Close(), s.reads.Close())
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
	if s.closed.Load() {
		return fmt.Errorf("%w: %w", fs.ErrClosed, err)
	}
	return told(s.reads.Explain(s.lists.Explain(err)))
}

// entry takes the mark of a link off every reparse point that is none. The N bit of
// a tag says that the entry stands for another name (MS-FSCC 2.1.2.1).
func entry(info fs.FileInfo) fs.FileInfo {
	const surrogate, nfs = 0x2000_0000, 0x8000_0014 // NFS: a link or a device of a Unix
	if is, ok := info.Sys().(*smb2.FileStat); ok && info.Mode()&fs.ModeSymlink != 0 &&
		is.ReparsePointTag&surrogate == 0 && is.ReparsePointTag != nfs {
		return plain{info}
	}
	return info
}

type plain struct{ fs.FileInfo }

func (p plain) Mode() fs.FileMode { return p.FileInfo.Mode() &^ fs.ModeSymlink }
func (p plain) IsDir() bool       { return p.Mode().IsDir() }
