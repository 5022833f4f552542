//go:build linux

package hostile

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// liar is an SFTP server of one kind of lie.
type liar string

// The kinds. The port of a kind is its place.
const (
	endlessFolders liar = "endless-folders" // ten folders and a file in each folder
	endlessList    liar = "endless-list"    // a folder without a last file
	deep           liar = "deep"            // a folder in a folder in a folder
	hung           liar = "hung"            // files whose first byte never comes
	lyingSizes     liar = "lying-sizes"     // files without an end, and shorter than they say
)

var liars = []liar{endlessFolders, endlessList, deep, hung, lyingSizes}

const firstPort = 2301

// info is an entry of a folder.
type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return time.Unix(1e9, 0) }
func (i info) IsDir() bool        { return i.dir }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

// lister has the entry of each number; nil ends it.
type lister func(i int64) fs.FileInfo

func (l lister) ListAt(into []fs.FileInfo, off int64) (int, error) {
	for n := range into {
		if into[n] = l(off + int64(n)); into[n] == nil {
			return n, io.EOF
		}
	}
	return len(into), nil
}

func list(all ...info) lister {
	return func(i int64) fs.FileInfo {
		if i >= int64(len(all)) {
			return nil
		}
		return all[i]
	}
}

// Filelist implements sftp.FileLister.
func (l liar) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	if r.Method != "List" {
		name := path.Base(r.Filepath)
		return list(info{name, 10, !strings.HasPrefix(name, "f")}), nil
	}
	switch l {
	case endlessFolders:
		return lister(func(i int64) fs.FileInfo {
			switch {
			case i < 10:
				return info{fmt.Sprint("d", i), 0, true}
			case i == 10:
				return info{"f", 10, false}
			}
			return nil
		}), nil
	case endlessList:
		return lister(func(i int64) fs.FileInfo { return info{fmt.Sprintf("f%d-%0200d", i, i), 10, false} }), nil
	case deep:
		return list(info{"d", 0, true}, info{"f", 10, false}), nil
	case lyingSizes:
		return list(info{"f1", 10, false}, info{"f2", 1 << 62, false}, info{"f3", -5, false}), nil
	}
	return list(info{"f1", 10, false}, info{"f2", 10, false}), nil
}

// Fileread implements sftp.FileReader.
func (l liar) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	if l == hung {
		select {}
	}
	return content{l == lyingSizes && path.Base(r.Filepath) != "f2"}, nil
}

// content is ten bytes, or has no end.
type content struct{ endless bool }

func (c content) ReadAt(p []byte, off int64) (int, error) {
	if c.endless {
		return len(p), nil
	}
	if off >= 10 {
		return 0, io.EOF
	}
	return min(len(p), int(10-off)), io.EOF
}

// serveLiars serves every kind on an address until the program is killed.
func serveLiars(address, hostKey string) error {
	text, err := os.ReadFile(hostKey)
	if err != nil {
		return err
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return err
	}
	for i, l := range liars {
		listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address, firstPort+i))
		if err != nil {
			return err
		}
		go l.accept(listener, signer)
	}
	fmt.Println("lying")
	select {}
}

func (l liar) accept(listener net.Listener, signer ssh.Signer) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go l.serve(conn, signer)
	}
}

func (l liar) serve(conn net.Conn, signer ssh.Signer) {
	defer conn.Close()
	conf := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }}
	conf.AddHostKey(signer)
	_, channels, requests, err := ssh.NewServerConn(conn, conf)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				_ = r.Reply(r.Type == "subsystem", nil) // the client finds out
			}
		}()
		go sftp.NewRequestServer(channel, sftp.Handlers{FileGet: l, FilePut: l, FileCmd: l, FileList: l}).Serve()
	}
}

// Filewrite implements sftp.FileWriter.
func (liar) Filewrite(*sftp.Request) (io.WriterAt, error) { return nil, os.ErrPermission }

// Filecmd implements sftp.FileCmder.
func (liar) Filecmd(*sftp.Request) error { return os.ErrPermission }
