package sftp

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"airlock/collectors"
	"airlock/sshconn"
)

// endless is an SFTP server on which a folder has no last file.
type endless struct{ end int64 }

type listed struct {
	fs.FileInfo
	name string
}

func (l listed) Name() string       { return l.name }
func (l listed) Size() int64        { return 1 }
func (l listed) Mode() fs.FileMode  { return 0o644 }
func (l listed) ModTime() time.Time { return time.Unix(1e9, 0) }
func (l listed) IsDir() bool        { return false }
func (l listed) Sys() any           { return nil }

func (e endless) ListAt(into []fs.FileInfo, off int64) (int, error) {
	for i := range into {
		if off+int64(i) == e.end {
			return i, io.EOF
		}
		into[i] = listed{name: fmt.Sprintf("f%d-%s", off+int64(i), strings.Repeat("a", 200))}
	}
	return len(into), nil
}

func (e endless) Filelist(*sftp.Request) (sftp.ListerAt, error) { return e, nil }

func (endless) Fileread(*sftp.Request) (io.ReaderAt, error)  { return nil, os.ErrPermission }
func (endless) Filewrite(*sftp.Request) (io.WriterAt, error) { return nil, os.ErrPermission }
func (endless) Filecmd(*sftp.Request) error                  { return os.ErrPermission }

// over serves handlers to a source.
func over(t *testing.T, h endless) *source {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	conf := &ssh.ServerConfig{NoClientAuth: true}
	conf.AddHostKey(signer)
	go serve(l, conf, h)
	client, err := ssh.Dial("tcp", l.Addr().String(), &ssh.ClientConfig{HostKeyCallback: ssh.FixedHostKey(signer.PublicKey())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	s := &source{ssh: client}
	if s.client, err = sshconn.OpenSFTP(t.Context(), client, sshconn.SFTPConfig{Names: s.came}); err != nil {
		t.Fatal(err)
	}
	return s
}

// serve has one client.
func serve(l net.Listener, conf *ssh.ServerConfig, h endless) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
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
		_ = sftp.NewRequestServer(channel, sftp.Handlers{FileGet: h, FilePut: h, FileCmd: h, FileList: h}).Serve() // it ends with the client
	}
}

// A list of files without an end is given up, and costs no more memory than it may.
func TestEndlessListing(t *testing.T) {
	s := over(t, endless{end: -1})
	s.Bound(4 << 20)
	list, err := s.ReadDir(t.Context(), ".")
	if !errors.Is(err, collectors.ErrBounds) || errors.Is(err, collectors.ErrGone) {
		t.Errorf("listed %d, %v", len(list), err)
	}
	if s.arrived > 8<<20 {
		t.Errorf("%d bytes came", s.arrived)
	}
}

// One that has an end, and fits, is whole.
func TestLongListing(t *testing.T) {
	s := over(t, endless{end: 5000})
	for range 3 { // what came before does not count
		s.Bound(4 << 20)
		if list, err := s.ReadDir(t.Context(), "."); err != nil || len(list) != 5000 {
			t.Fatalf("listed %d, %v", len(list), err)
		}
	}
}
