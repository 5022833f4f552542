package repository

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"strconv"
	"strings"

	"airlock/smbconn"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/blob/retrying"
	"github.com/kopia/kopia/repo/blob/sharded"
)

// SMBPlace is a repository's folder on a share of an SMB 2 or 3 server.
type SMBPlace struct {
	Host     string
	Port     int    // default 445
	User     string // name, DOMAIN\name or name@domain
	Password string
	Share    string
	Path     string // below the share; "" is the share itself
	Insecure bool   // neither encryption nor signing is asked for
}

func (p *SMBPlace) config() smbconn.Config {
	port := p.Port
	if port == 0 {
		port = 445
	}
	return smbconn.Config{Address: net.JoinHostPort(p.Host, strconv.Itoa(port)), User: p.User, Password: p.Password, Share: p.Share, Insecure: p.Insecure}
}

func (p *SMBPlace) String() string {
	return fmt.Sprintf("smb://%s@%s/%s", p.User, p.config().Address, path.Join(p.Share, p.Path))
}

// smbConnections is how many the repository uses: one that writes packs would else hold
// up those that only look for something.
const smbConnections = 3

// open uses kopia's layout of folders with airlock's own connections.
func (p *SMBPlace) open(ctx context.Context, create bool) (blob.Storage, error) {
	files, err := smbconn.NewFiles(p.config(), p.Path, smbConnections)
	if err != nil {
		return nil, err
	}
	err = files.Do(ctx, func(s *smbconn.Session) error {
		if create {
			return s.MakeFolder(".")
		}
		_, err := s.Stat(formatBlob + sharded.CompleteBlobSuffix)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w; is the NAS's volume there? If there should be a new one, create it", ErrNoRepository)
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, files.Close())
	}
	options := sharded.Options{ListParallelism: 8}
	return retrying.NewWrapper(&smbStorage{Storage: sharded.New(smbFiles{files}, ".", options, create), files: files, name: p.String()}), nil
}

type smbStorage struct {
	sharded.Storage
	blob.DefaultProviderImplementation
	files *smbconn.Files
	name  string
}

func (s *smbStorage) ConnectionInfo() blob.ConnectionInfo { return lent{}.ConnectionInfo() }
func (s *smbStorage) DisplayName() string                 { return s.name }
func (s *smbStorage) Close(context.Context) error         { return s.files.Close() }

// smbFiles are the file operations that kopia's sharded storage is made of. Retrying is
// the caller's.
type smbFiles struct{ files *smbconn.Files }

// found says in kopia's words that there is no such blob.
func found(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return blob.ErrBlobNotFound
	}
	return err
}

func (f smbFiles) GetBlobFromPath(ctx context.Context, _, name string, off, n int64, out blob.OutputBuffer) error {
	return f.files.Do(ctx, func(s *smbconn.Session) (err error) {
		file, err := s.Open(name)
		if err != nil {
			return found(err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out.Reset()
		if n < 0 {
			off, n = 0, file.Size()
		}
		if off < 0 || off+n > file.Size() {
			return fmt.Errorf("%w: %s has no %d bytes at %d", blob.ErrInvalidRange, name, n, off)
		}
		part := make([]byte, n)
		if _, err := file.ReadAt(part, off); err != nil {
			return err
		}
		_, err = out.Write(part)
		return err
	})
}

func (f smbFiles) GetMetadataFromPath(ctx context.Context, _, name string) (m blob.Metadata, err error) {
	err = f.files.Do(ctx, func(s *smbconn.Session) error {
		info, err := s.Stat(name)
		if err == nil {
			m = blob.Metadata{Length: info.Size(), Timestamp: info.ModTime()}
		}
		return found(err)
	})
	return m, err
}

// PutBlobInPath writes under a temporary name first, and replaces what has the name: of
// kopia's own few settings the newest counts.
func (f smbFiles) PutBlobInPath(ctx context.Context, dir, name string, data blob.Bytes, o blob.PutOptions) error {
	if o.HasRetentionOptions() || o.DoNotRecreate {
		return blob.ErrUnsupportedPutBlobOption
	}
	var whole buffer // kopia gives it in small pieces
	if _, err := data.WriteTo(&whole); err != nil {
		return err
	}
	return f.files.Do(ctx, func(s *smbconn.Session) error {
		temporary := name + ".tmp." + strings.ToLower(rand.Text())
		err := f.write(s, dir, temporary, whole.Bytes())
		if err == nil {
			err = s.Replace(temporary, name)
		}
		if err != nil {
			_ = s.Remove(temporary) // kopia passes over what is left of it
			return fmt.Errorf("write %s: %w", name, err)
		}
		if !o.SetModTime.IsZero() {
			if err := s.Chtimes(name, o.SetModTime); err != nil {
				return err
			}
		}
		if o.GetModTime != nil {
			info, err := s.Stat(name)
			if err != nil {
				return err
			}
			*o.GetModTime = info.ModTime()
		}
		return s.SyncFolder(dir)
	})
}

func (f smbFiles) write(s *smbconn.Session, dir, name string, data []byte) error {
	_, err := s.Write(name, int64(len(data)), bytes.NewReader(data))
	if !errors.Is(err, smbconn.ErrNoFolder) {
		return err
	}
	if _, err := s.Stat("."); err != nil { // the root is never made anew
		return fmt.Errorf("%s: %w; is the NAS's volume there?", f.files, err)
	}
	if err := s.MakeFolder(dir); err != nil {
		return err
	}
	_, err = s.Write(name, int64(len(data)), bytes.NewReader(data))
	return err
}

func (f smbFiles) DeleteBlobInPath(ctx context.Context, _, name string) error {
	return f.files.Do(ctx, func(s *smbconn.Session) error {
		if err := s.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

func (f smbFiles) ReadDir(ctx context.Context, dir string) (infos []os.FileInfo, err error) {
	err = f.files.Do(ctx, func(s *smbconn.Session) error {
		infos, err = s.List(dir)
		return err
	})
	return infos, err
}
