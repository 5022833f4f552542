package collecttest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Server is a real server on 127.0.0.1 that a test may stop and start again on the
// same port. It ends with the test.
type Server struct {
	Address string // host:port
	Link    *Link  // another way to it, which can be frozen and cut
	argv    []string
	proc    *exec.Cmd
	output  bytes.Buffer
}

// Start starts the server and returns once it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.proc = exec.Command(s.argv[0], s.argv[1:]...)
	s.proc.Stdout, s.proc.Stderr = &s.output, &s.output
	if err := s.proc.Start(); err != nil {
		t.Fatalf("start %s: %v", s.argv[0], err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var d net.Dialer
	for ctx.Err() == nil {
		if conn, err := d.DialContext(ctx, "tcp", s.Address); err == nil {
			conn.Close()
			return
		}
		time.Sleep(10 * time.Millisecond) // another process has no other way to say that it listens
	}
	s.Stop(t)
	t.Fatalf("%s does not answer at %s:\n%s", s.argv[0], s.Address, &s.output)
}

// Stop kills the server as a power cut would: at once, and every process that serves
// a connection first, so that none is taken over.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if s.proc == nil {
		return
	}
	kill := func(pid int) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Errorf("stop %s: %v", s.argv[0], err)
		}
	}
	syscall.Kill(s.proc.Process.Pid, syscall.SIGSTOP) // no new children while the old are counted
	family := descendants(s.proc.Process.Pid)
	kill(s.proc.Process.Pid)
	for _, pid := range family {
		kill(pid)
	}
	s.proc.Wait() // "signal: killed"
	s.proc = nil
}

// descendants reads /proc: sshd gives every connection a session of its own, so a
// process group does not hold them.
func descendants(of int) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	children := map[int][]int{}
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // ended
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // state, ppid, …
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], pid)
	}
	var all []int
	for next := []int{of}; len(next) > 0; next = next[1:] {
		all = append(all, children[next[0]]...)
		next = append(next, children[next[0]]...)
	}
	return all
}

// SSH is an OpenSSH server that serves SFTP and nothing else.
type SSH struct {
	Server
	User       string
	Key        []byte // a private key that the server accepts
	KnownHosts string // file that pins the server's key
	HostKey    ssh.PublicKey
}

// StartSSH starts Debian's sshd. As root it serves the user nobody, so that files
// can be denied to it; else it serves whoever runs the test.
func StartSSH(t testing.TB) *SSH {
	t.Helper()
	need(t, "/usr/sbin/sshd")
	dir := Dir(t)
	s := &SSH{User: "nobody", KnownHosts: filepath.Join(dir, "known_hosts")}
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // sshd's own, made at boot
			t.Fatal(err)
		}
	} else {
		me, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		s.User = me.Username
	}
	s.Address = freeAddress(t)
	s.Link = NewLink(t, s.Address)
	hostKey, hostPublic := keyPair(t)
	s.HostKey = hostPublic
	key, public := keyPair(t)
	s.Key = key
	write(t, filepath.Join(dir, "host"), hostKey, 0o600)
	write(t, filepath.Join(dir, "authorized"), ssh.MarshalAuthorizedKey(public), 0o644)
	write(t, s.KnownHosts, []byte(knownhosts.Line([]string{s.Address, s.Link.Address}, hostPublic)+"\n"), 0o644)
	write(t, filepath.Join(dir, "sshd.conf"), fmt.Appendf(nil, `
ListenAddress %s
HostKey %[2]s/host
AuthorizedKeysFile %[2]s/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
Subsystem sftp internal-sftp
ForceCommand internal-sftp
`, s.Address, dir), 0o644)
	s.argv = []string{"/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(dir, "sshd.conf")}
	s.Start(t)
	t.Cleanup(func() { s.Stop(t) })
	return s
}

// SMB is a Samba server with one hidden share.
type SMB struct {
	Server
	Share    string
	User     string
	Password string
}

// StartSMB starts Debian's smbd with the share backup$ on dir, for the user nobody.
// It needs root. settings are further lines of the global section, which may also change
// what the share is by default: "server signing = mandatory", "read only = no".
func StartSMB(t testing.TB, dir string, settings ...string) *SMB {
	t.Helper()
	need(t, "/usr/sbin/smbd")
	if os.Getuid() != 0 {
		missing(t, "smbd needs root")
	}
	own := Dir(t)
	s := &SMB{Share: "backup$", User: "nobody", Password: "pässwörd 1"}
	s.Address = freeAddress(t)
	s.Link = NewLink(t, s.Address)
	_, port, _ := net.SplitHostPort(s.Address)
	conf := filepath.Join(own, "smb.conf")
	for _, sub := range []string{"priv", "lock", "state", "cache", "pid", "ncalrpc"} {
		if err := os.Mkdir(filepath.Join(own, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, conf, fmt.Appendf(nil, `
[global]
 server role = standalone server
 workgroup = HOSPITAL
 interfaces = 127.0.0.1/8
 bind interfaces only = yes
 smb ports = %s
 private dir = %[2]s/priv
 lock directory = %[2]s/lock
 state directory = %[2]s/state
 cache directory = %[2]s/cache
 pid directory = %[2]s/pid
 ncalrpc dir = %[2]s/ncalrpc
 passdb backend = tdbsam:%[2]s/priv/passdb.tdb
 guest account = daemon
 server min protocol = SMB3
 follow symlinks = no
 load printers = no
 disable spoolss = yes
 disable netbios = yes
 read only = yes
 %[3]s
[backup$]
 path = %[4]s
 browseable = no
 valid users = nobody
`, port, own, strings.Join(settings, "\n "), dir), 0o644)
	add := exec.Command("smbpasswd", "-c", conf, "-a", "-s", s.User)
	add.Stdin = strings.NewReader(s.Password + "\n" + s.Password + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("smbpasswd: %v\n%s", err, out)
	}
	s.argv = []string{"/usr/sbin/smbd", "-F", "--no-process-group", "--debug-stdout", "-d", "0", "-s", conf}
	s.Start(t)
	t.Cleanup(func() { s.Stop(t) })
	return s
}

// need ends the test where a program is missing: in CI as a failure.
func need(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		missing(t, program+" is not installed")
	}
}

func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// Dir is a t.TempDir that other users may enter.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "collecttest")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
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

func keyPair(t testing.TB) (private []byte, public ssh.PublicKey) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	if public, err = ssh.NewPublicKey(key.Public()); err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), public
}

func write(t testing.TB, name string, content []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, content, mode); err != nil {
		t.Fatal(err)
	}
}
