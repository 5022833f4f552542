package embedded

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/pkg/sftp"
)

// files answers SFTP requests from a folder the way OpenSSH's server does; in
// particular SSH_FXP_RENAME never replaces a file. fsync@openssh.com, which
// pkg/sftp's server cannot offer, is made up for by a sync on every close.
type files struct {
	root     *os.Root
	writable bool
}

// within turns a request's absolute path into one relative to the root.
func within(name string) string {
	if name = path.Clean("/" + name)[1:]; name == "" {
		return "."
	}
	return name
}

func (f files) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	return f.root.Open(within(r.Filepath))
}

func (f files) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	if !f.writable {
		return nil, sftp.ErrSSHFxPermissionDenied
	}
	flags, asked := os.O_WRONLY, r.Pflags()
	for _, x := range []struct {
		set  bool
		flag int
	}{{asked.Creat, os.O_CREATE}, {asked.Excl, os.O_EXCL}, {asked.Trunc, os.O_TRUNC}} {
		if x.set {
			flags |= x.flag
		}
	}
	opened, err := f.root.OpenFile(within(r.Filepath), flags, 0o600)
	return durable{opened}, err
}

// durable syncs what was written before the client hears that the file is closed.
type durable struct{ *os.File }

func (d durable) Close() error { return errors.Join(d.Sync(), d.File.Close()) }

func (f files) Filecmd(r *sftp.Request) error {
	if !f.writable {
		return sftp.ErrSSHFxPermissionDenied
	}
	name := within(r.Filepath)
	switch r.Method {
	case "Mkdir":
		return f.root.Mkdir(name, 0o700)
	case "Remove", "Rmdir":
		return f.root.Remove(name)
	case "Rename": // link(2) fails where the new name exists; rename(2) would replace it
		if err := f.root.Link(name, within(r.Target)); err != nil {
			return err
		}
		return f.root.Remove(name)
	case "Setstat":
		return f.setAttributes(name, r)
	}
	return sftp.ErrSSHFxOpUnsupported
}

// PosixRename is rename(2): it replaces.
func (f files) PosixRename(r *sftp.Request) error {
	if !f.writable {
		return sftp.ErrSSHFxPermissionDenied
	}
	return f.root.Rename(within(r.Filepath), within(r.Target))
}

func (f files) setAttributes(name string, r *sftp.Request) error {
	flags, attributes := r.AttrFlags(), r.Attributes()
	if flags.Size {
		opened, err := f.root.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(opened.Truncate(int64(attributes.Size)), opened.Close()); err != nil {
			return err
		}
	}
	if flags.Permissions {
		if err := f.root.Chmod(name, attributes.FileMode().Perm()); err != nil {
			return err
		}
	}
	if flags.Acmodtime {
		return f.root.Chtimes(name, time.Unix(int64(attributes.Atime), 0), time.Unix(int64(attributes.Mtime), 0))
	}
	return nil
}

func (f files) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	name := within(r.Filepath)
	switch r.Method {
	case "List":
		return f.list(name)
	case "Stat":
		info, err := f.root.Stat(name)
		return listing{info}, err
	}
	return nil, sftp.ErrSSHFxOpUnsupported
}

// Lstat tells of a symbolic link itself.
func (f files) Lstat(r *sftp.Request) (sftp.ListerAt, error) {
	info, err := f.root.Lstat(within(r.Filepath))
	return listing{info}, err
}

func (f files) list(name string) (_ listing, err error) {
	dir, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return dir.Readdir(-1)
}

// listing is a folder's entries, handed out piece by piece.
type listing []fs.FileInfo

func (l listing) ListAt(to []fs.FileInfo, from int64) (int, error) {
	if from >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(to, l[from:])
	if n < len(to) {
		return n, io.EOF
	}
	return n, nil
}
