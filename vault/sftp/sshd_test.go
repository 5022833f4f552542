package sftp

import (
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"airlock/sshconn"
	"airlock/vault/vaulttest"
)

// startSSHD starts OpenSSH's own server on a port of the loopback, for one test.
func startSSHD(t testing.TB) sshconn.Config {
	t.Helper()
	program := "/usr/sbin/sshd"
	_, err := os.Stat(program)
	vaulttest.Need(t, err == nil, "OpenSSH's sshd (apt install openssh-server)")
	dir := t.TempDir()
	host, client := newKey(t, dir, "host"), newKey(t, dir, "client")
	write(t, filepath.Join(dir, "authorized_keys"), ssh.MarshalAuthorizedKey(client.PublicKey()))
	address := freeAddress(t)
	write(t, filepath.Join(dir, "known_hosts"), []byte(knownhosts.Line([]string{address}, host.PublicKey())+"\n"))
	write(t, filepath.Join(dir, "config"), fmt.Appendf(nil, `ListenAddress %s
HostKey %s/host
AuthorizedKeysFile %s/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
MaxStartups 100
PidFile none
Subsystem sftp internal-sftp
`, address, dir, dir))
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where sshd separates its privileges
			t.Fatal(err)
		}
	}
	run(t, address, exec.Command(program, "-D", "-e", "-f", filepath.Join(dir, "config")))
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "client"))
	if err != nil {
		t.Fatal(err)
	}
	return sshconn.Config{Address: address, User: me.Username, Key: key, KnownHosts: filepath.Join(dir, "known_hosts")}
}

// run keeps a server running until the test ends, and returns once it answers.
func run(t testing.TB, address string, server *exec.Cmd) {
	t.Helper()
	var log strings.Builder
	server.Stderr = &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		server.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("sshd: %s", log.String())
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("sshd ended: %v\n%s", err, log.String())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("sshd does not answer on %s: %v", address, err)
		}
	}
}

func newKey(t testing.TB, dir, name string) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, name), pem.EncodeToMemory(block))
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func write(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
