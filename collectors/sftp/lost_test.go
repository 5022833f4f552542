package sftp

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/pkg/sftp"

	"airlock/collectors"
	"airlock/sshconn"
)

// closedFor is a channel that is closed when the first request of a kind is written:
// like an ssh.Channel, it then answers io.EOF.
type closedFor struct {
	io.WriteCloser
	kind byte
}

func (c closedFor) Write(p []byte) (int, error) {
	if len(p) > 4 && p[4] == c.kind { // uint32 length, byte type
		return 0, io.EOF
	}
	return c.WriteCloser.Write(p)
}

// A connection that closes between two answers must not look like the end of the
// listing, or of the file: both would be taken for the whole.
func TestLostConnectionIsNoEnd(t *testing.T) {
	const read, readdir = 5, 12 // SSH_FXP_READ, SSH_FXP_READDIR
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	for kind, call := range map[byte]func(*source) error{
		readdir: func(s *source) error {
			list, err := s.ReadDir(t.Context(), ".")
			if err == nil {
				t.Errorf("listed %d files without an error", len(list))
			}
			return err
		},
		read: func(s *source) error {
			f, err := s.Open(t.Context(), "file")
			if err != nil {
				return err
			}
			_, err = f.ReadAt(make([]byte, 5), 0)
			return errors.Join(err, f.Close())
		},
	} {
		requests, toServer := io.Pipe()
		fromServer, answers := io.Pipe()
		server, err := sftp.NewServer(struct {
			io.Reader
			io.WriteCloser
		}{requests, answers})
		if err != nil {
			t.Fatal(err)
		}
		go server.Serve()
		client, err := sftp.NewClientPipe(fromServer, closedFor{toServer, kind})
		if err != nil {
			t.Fatal(err)
		}
		err = call(&source{client: &sshconn.SFTP{Client: client}, root: dir})
		if !errors.Is(err, collectors.ErrGone) {
			t.Errorf("request type %d: %v", kind, err)
		}
		answers.Close()
		client.Close()
	}
}
