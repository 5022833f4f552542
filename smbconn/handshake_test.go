package smbconn_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"airlock/collectors/collecttest"
	"airlock/smbconn"
)

func configOf(s *collecttest.SMB) smbconn.Config {
	return smbconn.Config{Address: s.Link.Address, User: s.User, Password: s.Password, Share: s.Share}
}

// kinds are servers by what they do for the line.
var kinds = map[string]struct {
	settings  []string
	encrypted bool
}{
	"signing disabled": {[]string{"server signing = disabled"}, true}, // which SMB 2 knows no more
	"encryption":       {[]string{"smb encrypt = required"}, true},
	"no encryption":    {[]string{"server smb encrypt = off", "server signing = disabled"}, false},
	"SMB 3.0":          {[]string{"server min protocol = SMB3_00", "server max protocol = SMB3_00"}, true},
	"SMB 2.1":          {[]string{"server min protocol = SMB2_10", "server max protocol = SMB2_10", "server signing = mandatory"}, false},
}

// Nothing that somebody between changes is taken for what the server sent, whatever the
// server demands of its own accord.
func TestChangedBytesAreFound(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := collecttest.Dir(t)
			server := collecttest.StartSMB(t, dir, kind.settings...)
			content := make([]byte, 3<<20)
			rand.Read(content)
			if err := os.WriteFile(filepath.Join(dir, "file"), content, 0o644); err != nil {
				t.Fatal(err)
			}
			c := configOf(server)
			c.Silence = time.Second
			conn, err := smbconn.Dial(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if conn.Encrypted != kind.encrypted {
				t.Errorf("encrypted: %v, want %v", conn.Encrypted, kind.encrypted)
			}
			if got, err := readAll(conn, "file"); err != nil || !bytes.Equal(got, content) {
				t.Fatalf("read %d bytes, %v", len(got), err)
			}
			var seen atomic.Int64
			server.Link.Spoil(func(b []byte) { // one bit, in the middle of what is read
				for at, n := int64(1<<20), seen.Add(int64(len(b))); n-int64(len(b)) <= at && at < n; at = n {
					b[at-(n-int64(len(b)))] ^= 4
				}
			})
			if got, err := readAll(conn, "file"); err == nil {
				t.Errorf("the changed bytes were taken: %d of %d, equal: %v", len(got), len(content), bytes.Equal(got, content))
			}
		})
	}
}

// readAll reads a file in calls that are bounded.
func readAll(c *smbconn.Conn, name string) ([]byte, error) {
	f, err := c.Share.Open(name)
	if err != nil {
		return nil, err
	}
	var whole bytes.Buffer
	b := make([]byte, 1<<20)
	for off := int64(0); ; {
		answered := c.Asked()
		n, err := f.ReadAt(b, off)
		answered()
		whole.Write(b[:n])
		off += int64(n)
		if err == io.EOF || err == nil && n == 0 {
			return whole.Bytes(), nil
		}
		if err != nil {
			return whole.Bytes(), err
		}
	}
}

// change has b changed where it is the answer to a command, the nth of them.
func change(link *collecttest.Link, command byte, nth int, f func(body []byte)) {
	link.Spoil(func(b []byte) {
		if len(b) <= 76 || string(b[5:8]) != "SMB" || b[16] != command {
			return
		}
		if nth--; nth == -1 {
			f(b[4+64:])
		}
	})
}

const setup, tree = 1, 3

// Somebody between makes a guest of the user: the library would sign and verify nothing.
func TestNoGuests(t *testing.T) {
	dir := collecttest.Dir(t)
	server := collecttest.StartSMB(t, dir)
	for at := range 2 { // in the first answer of the login, and in the last
		change(server.Link, setup, at, func(body []byte) { body[2] |= 1 })
		conn, err := smbconn.Dial(t.Context(), configOf(server))
		if !errors.Is(err, smbconn.ErrOpen) || errors.Is(err, smbconn.ErrAuth) {
			t.Errorf("answer %d of the login: %v, want %v", at, err, smbconn.ErrOpen)
		}
		if err == nil {
			conn.Close()
		}
		// Where the policy asks for nothing he has no key, and nobody may want one of him.
		c := configOf(server)
		c.Insecure = true
		change(server.Link, setup, at, func(body []byte) { body[2] |= 1 })
		if conn, err = smbconn.Dial(t.Context(), c); err == nil {
			conn.Close()
		}
	}
}

// S14: an answer that demands encryption where none was negotiated ends the connection, not
// the program.
func TestNoEncryptionOutOfNothing(t *testing.T) {
	server := collecttest.StartSMB(t, collecttest.Dir(t), "server smb encrypt = off")
	for _, insecure := range []bool{false, true} {
		c := configOf(server)
		c.Insecure = insecure
		for command, f := range map[byte]func([]byte){
			setup: func(body []byte) { body[2] |= 4 },
			tree:  func(body []byte) { body[5] |= 0x80 },
		} {
			change(server.Link, command, map[byte]int{setup: 1}[command], f)
			conn, err := smbconn.Dial(t.Context(), c)
			if err == nil {
				t.Errorf("command %d, insecure %v: it was taken", command, insecure)
				conn.Close()
			}
		}
	}
}

// A server that lets anybody in as a guest is refused, unless the policy says that the line
// is safe.
func TestGuestsOnlyWhereSaid(t *testing.T) {
	dir := collecttest.Dir(t)
	server := collecttest.StartSMB(t, dir, "map to guest = Bad User", "guest ok = yes")
	c := configOf(server)
	c.User, c.Share = "somebody", "backup$"
	_, err := smbconn.Dial(t.Context(), c)
	if !errors.Is(err, smbconn.ErrOpen) || !strings.Contains(err.Error(), "insecure: true") {
		t.Errorf("as a guest: %v, want %v, and what to do", err, smbconn.ErrOpen)
	}
	c = configOf(server)
	c.Insecure = true
	conn, err := smbconn.Dial(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if conn.Encrypted {
		t.Error("encrypted, although nothing asks for it")
	}
}

// What speaks SMB 1, or no SMB at all, is said as what it is, and not as a lost connection.
func TestNoSMB2(t *testing.T) {
	for name, greet := range map[string]func(net.Conn){
		"closes":        func(c net.Conn) {},
		"answers SMB 1": func(c net.Conn) { c.Write(append([]byte{0, 0, 0, 72, 0xff, 'S', 'M', 'B'}, make([]byte, 68)...)) },
		"a web server":  func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"+strings.Repeat(" ", 100)) },
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				io.ReadFull(c, make([]byte, 64)) // of the request
				greet(c)
				c.Close()
			}
		}()
		_, err = smbconn.Dial(t.Context(), smbconn.Config{Address: l.Addr().String(), User: "u", Password: "p", Share: "s"})
		if !errors.Is(err, smbconn.ErrOld) || errors.Is(err, smbconn.ErrGone) {
			t.Errorf("%s: %v, want %v", name, err, smbconn.ErrOld)
		}
	}
	server := collecttest.StartSMB(t, collecttest.Dir(t), "server min protocol = NT1", "server max protocol = NT1")
	if _, err := smbconn.Dial(t.Context(), configOf(server)); !errors.Is(err, smbconn.ErrOld) {
		t.Errorf("Samba with SMB 1 alone: %v, want %v", err, smbconn.ErrOld)
	}
}

// One answer that never comes ends the connection, although it is alive otherwise.
func TestUnanswered(t *testing.T) {
	server := collecttest.StartSMB(t, collecttest.Dir(t))
	c := configOf(server)
	c.Silence = 50 * time.Millisecond
	conn, err := smbconn.Dial(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	server.Link.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		answered := conn.Asked()
		_, err := conn.Share.ReadDir("")
		answered()
		ended <- smbconn.Explain(err)
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, smbconn.ErrGone) {
			t.Errorf("%v, want %v", err, smbconn.ErrGone)
		}
	case <-ctx.Done():
		t.Error("the call still waits")
	}
}
