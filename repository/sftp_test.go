package repository

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"airlock/sshconn"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// need skips a test for lack of something that CI must have.
func need(t testing.TB, ok bool, what string) {
	t.Helper()
	switch {
	case ok:
	case os.Getenv("CI") == "true":
		t.Fatalf("CI needs %s", what)
	default:
		t.Skipf("needs %s", what)
	}
}

// sftpServer is OpenSSH's, reached through a line that can be cut.
type sftpServer struct {
	place SFTPPlace
	mu    sync.Mutex
	conns []net.Conn
}

func startSSHD(t *testing.T, subsystem ...string) *sftpServer {
	t.Helper()
	sshd, err := exec.LookPath("/usr/sbin/sshd")
	need(t, err == nil && os.Getuid() == 0, "root and OpenSSH's sshd")
	must(t, os.MkdirAll("/run/sshd", 0o755))
	dir := t.TempDir()
	hostKey, hostPub := newKey(t)
	key, pub := newKey(t)
	must(t, os.WriteFile(dir+"/host", hostKey, 0o600))
	must(t, os.WriteFile(dir+"/authorized", ssh.MarshalAuthorizedKey(pub), 0o600))
	port := freePort(t)
	config := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %[2]s/authorized\n"+
		"PermitRootLogin yes\nStrictModes no\nUsePAM no\nPidFile none\nSubsystem sftp internal-sftp %s\n", port, dir, strings.Join(subsystem, " "))
	must(t, os.WriteFile(dir+"/config", []byte(config), 0o600))
	cmd := exec.Command(sshd, "-D", "-e", "-f", dir+"/config")
	log, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(log)
	for lines.Scan() && !strings.Contains(lines.Text(), "Server listening") {
		t.Log(lines.Text())
	}
	go io.Copy(io.Discard, log)

	s := &sftpServer{place: SFTPPlace{Host: "127.0.0.1", User: "root", Key: key, KnownHosts: dir + "/known_hosts", Path: filepath.Join(t.TempDir(), "nas")}}
	s.place.Port = s.forward(t, fmt.Sprint("127.0.0.1:", port))
	line := knownhosts.Line([]string{s.place.address()}, hostPub)
	must(t, os.WriteFile(s.place.KnownHosts, []byte(line+"\n"), 0o600))
	return s
}

func newKey(t *testing.T) ([]byte, ssh.PublicKey) {
	t.Helper()
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	must(t, err)
	key, err := ssh.NewPublicKey(pub)
	must(t, err)
	return pem.EncodeToMemory(block), key
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().(*net.TCPAddr).Port
}

func (s *sftpServer) forward(t *testing.T, to string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close(); s.cut() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			s.mu.Lock()
			s.conns = append(s.conns, near, far)
			s.mu.Unlock()
			go func() { io.Copy(far, near); far.Close() }()
			go func() { io.Copy(near, far); near.Close() }()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// cut breaks every connection there is; new ones are let through.
func (s *sftpServer) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

func TestSFTP(t *testing.T)        { testRemote(t, startSSHD(t).remote()) }
func TestSFTPLineCut(t *testing.T) { testLineCut(t, startSSHD(t).remote()) }

func (s *sftpServer) remote() remote {
	return remote{Place{SFTP: &s.place}, s.place.Path, s.cut, string(s.place.Key[60:100])}
}

func TestSFTPWrongHostKey(t *testing.T) {
	server := startSSHD(t)
	_, other := newKey(t)
	line := knownhosts.Line([]string{server.place.address()}, other)
	must(t, os.WriteFile(server.place.KnownHosts, []byte(line+"\n"), 0o600))
	if err := Create(t.Context(), configFor(t, Place{SFTP: &server.place})); !errors.Is(err, sshconn.ErrNoLogin) {
		t.Errorf("another host key: %v", err)
	}
}

// A server without OpenSSH's rename keeps a repository as well. What is replaced is whole
// under one name or another at every instant.
func TestSFTPWithoutPosixRename(t *testing.T) {
	s := startSSHD(t, "-P", "posix-rename")
	testRemote(t, remote{Place{SFTP: &s.place}, s.place.Path, s.cut, "no secret"})

	c := configFor(t, Place{SFTP: &s.place})
	r := reopen(t, c)
	must(t, r.Maintain(t.Context()))
	must(t, r.Maintain(t.Context())) // which replaces kopia.maintenance
	left, err := filepath.Glob(filepath.Join(s.place.Path, "*.old.*"))
	must(t, err)
	if len(left) != 0 {
		t.Errorf("left aside: %q", left)
	}

	// A cut after the old one was put aside: the repository's own description, say.
	file := filepath.Join(s.place.Path, "kopia.repository.f")
	must(t, os.Rename(file, strings.TrimSuffix(file, ".f")+aside+"CUT"))
	res := snap(t, reopen(t, c), "imaging", disk(hospital(t)))
	if res.Files == 0 {
		t.Error("nothing was gathered after the cut")
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}
