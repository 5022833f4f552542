package sftp

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"airlock/sshconn"
	"airlock/vault/vaulttest"
)

// A server that lets in one connection at a time, and for a moment none, gets the window
// nevertheless: on one connection.
func TestOneConnectionAtATime(t *testing.T) {
	conf := startSSHD(t)
	conf = crowdedWay(t, conf, func(n int64) bool { return n <= 4 || n > 5 }) // the fifth alone passes
	s, err := Dial(t.Context(), Config{Conn: conf, Path: filepath.Join(t.TempDir(), "vault")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	vaulttest.Put(t, s, "p/x", []byte(strings.Repeat("x", 3<<20)))
	if len(s.lines) != 1 {
		t.Errorf("%d connections", len(s.lines))
	}
}

// One that never lets any in is told as what it is, and soon.
func TestNoConnectionAtAll(t *testing.T) {
	conf := crowdedWay(t, startSSHD(t), func(int64) bool { return true })
	if s, err := Dial(t.Context(), Config{Conn: conf, Path: "/nowhere"}); err == nil {
		s.Close()
		t.Error("there is a connection")
	}
}

// crowdedWay is another way to a server, on which the nth connection is cut off before a
// word is said if cuts says so.
func crowdedWay(t *testing.T, conf sshconn.Config, cuts func(n int64) bool) sshconn.Config {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	server, came := conf.Address, atomic.Int64{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if cuts(came.Add(1)) {
				c.(*net.TCPConn).SetLinger(0) // a reset, as the kernel sends for sshd
				c.Close()
				continue
			}
			there, err := net.Dial("tcp", server)
			if err != nil {
				c.Close()
				continue
			}
			go func() { io.Copy(there, c); there.Close() }()
			go func() { io.Copy(c, there); c.Close() }()
		}
	}()
	known, err := os.ReadFile(conf.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	conf.Address, conf.KnownHosts = l.Addr().String(), filepath.Join(t.TempDir(), "known_hosts")
	_, port, _ := net.SplitHostPort(server)
	_, own, _ := net.SplitHostPort(conf.Address)
	if err := os.WriteFile(conf.KnownHosts, []byte(strings.ReplaceAll(string(known), ":"+port, ":"+own)), 0o600); err != nil {
		t.Fatal(err)
	}
	return conf
}
