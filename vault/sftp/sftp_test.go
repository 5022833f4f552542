package sftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/knownhosts"

	"airlock/silence"
	"airlock/sshconn"
	"airlock/vault"
	"airlock/vault/vaulttest"
)

func dial(t *testing.T, conn sshconn.Config, folder string) *Store {
	t.Helper()
	s, err := Dial(t.Context(), Config{Conn: conn, Path: folder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	conn := startSSHD(t)
	vaulttest.Conformance(t, func(t *testing.T) vault.Store { return dial(t, conn, filepath.Join(t.TempDir(), "v")) })
}

func TestDiskFull(t *testing.T) {
	vaulttest.DiskFull(t, dial(t, startSSHD(t), vaulttest.TinyDisk(t)))
}

// S9: a window removes only its own temporary files.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	kept := vaulttest.PlantLeftovers(t, dir)
	s := dial(t, startSSHD(t), dir)
	vaulttest.Put(t, s, "p/x", []byte("x"))
	s.sweepers.Wait()
	vaulttest.OnlyIncoming(t, dir, kept)
}

func TestFolderAboveMissing(t *testing.T) {
	s := dial(t, startSSHD(t), filepath.Join(t.TempDir(), "not", "mounted"))
	if err := s.Put(t.Context(), "x", 1, strings.NewReader("x")); err == nil || !strings.Contains(err.Error(), "mount its disk") {
		t.Errorf("got %v", err)
	}
}

// A server that stops answering must not hold a call beyond its ctx: S4's deadline
// counts on it.
func TestHangingLink(t *testing.T) {
	server := startSSHD(t)
	link := newLink(t, server.Address)
	conn := server
	conn.Address = link.address
	conn.KnownHosts = repin(t, server, link.address)
	s := dial(t, conn, t.TempDir())
	vaulttest.Put(t, s, "p/there", vaulttest.Random(1, 1<<20))

	over := errors.New("the window is over")
	for what, call := range map[string]func(ctx context.Context, hang func()) error{
		"put": func(ctx context.Context, hang func()) error {
			return s.Put(ctx, "p/hangs", 64<<20, &trigger{bytes.NewReader(make([]byte, 64<<20)), 8 << 20, hang})
		},
		"open": func(ctx context.Context, hang func()) error {
			hang()
			_, err := s.Open(ctx, "p/there", 0, -1)
			return err
		},
		"read": func(ctx context.Context, hang func()) error {
			r, err := s.Open(ctx, "p/there", 0, -1)
			if err != nil {
				return err
			}
			hang()
			_, err = io.ReadAll(r)
			return errors.Join(err, r.Close())
		},
		"list": func(ctx context.Context, hang func()) error {
			hang()
			_, err := s.List(ctx, "p")
			return err
		},
		"announce": func(ctx context.Context, hang func()) error {
			hang()
			s.Announce(ctx, vault.AnnouncementPath(1), []byte("text"))
			return context.Cause(ctx)
		},
	} {
		t.Run(what, func(t *testing.T) {
			ctx, end := context.WithCancelCause(t.Context())
			begun := time.Now()
			err := call(ctx, func() { link.hang(func() { end(over) }) })
			if !errors.Is(err, over) {
				t.Errorf("got %v, want the cause of the cancellation", err)
			}
			if took := time.Since(begun); took > 30*time.Second { // TCP alone would hold it for longer
				t.Errorf("took %v", took)
			}
			link.mend()
			for _, err = s.List(t.Context(), "p"); err != nil && time.Since(begun) < 30*time.Second; {
				_, err = s.List(t.Context(), "p") // until the break is noticed
			}
			if got := vaulttest.Get(t, s, "p/there"); !bytes.Equal(got, vaulttest.Random(1, 1<<20)) {
				t.Error("the store is of no use after the link came back")
			}
		})
	}
}

// A connection that was being made while a window was announced announces it before it is
// used: the server would take it for a stranger's, and refuse it what the others have sent.
func TestAnnouncedWhileJoining(t *testing.T) {
	dir := t.TempDir()
	name := vault.AnnouncementPath(1)
	if err := os.Mkdir(filepath.Join(dir, path.Dir(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	s := &Store{root: dir}
	late := &line{conf: startSSHD(t), announced: &s.announced}
	late.conf.Silence = defaultSilence
	t.Cleanup(func() { late.close() })
	if _, err := late.session(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Announce(t.Context(), name, []byte("text"))
	s.lines = append(s.lines, late)
	if _, err := s.List(t.Context(), "."); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, name)); string(text) != "text" {
		t.Errorf("the server was shown %q: %v", text, err)
	}
}

// trigger calls do once n bytes are read.
type trigger struct {
	r  io.Reader
	n  int
	do func()
}

func (r *trigger) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	if r.n -= n; r.n <= 0 && r.do != nil {
		r.do()
		r.do = nil
	}
	return n, err
}

func TestDialGivesUpWithCtx(t *testing.T) {
	server := startSSHD(t)
	link := newLink(t, server.Address)
	link.hang(func() {})
	server.KnownHosts = repin(t, server, link.address)
	server.Address = link.address
	ctx, end := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer end()
	if _, err := Dial(ctx, Config{Conn: server, Path: t.TempDir()}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestStage: a staged file has no name until it is published, and is not there at all
// once it is abandoned.
func TestStage(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "v")
	s := dial(t, startSSHD(t), folder)
	for i, publish := range []bool{true, false} {
		name := fmt.Sprintf("p/abc/%d.f", i)
		f, err := s.Stage(t.Context(), name, 5, strings.NewReader("bytes"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open(t.Context(), name, 0, -1); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a staged file is there under its name already: %v", err)
		}
		if publish {
			if err := f.Publish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := vaulttest.Get(t, s, name); string(got) != "bytes" {
				t.Errorf("published %q", got)
			}
			continue
		}
		f.Abandon()
		vaulttest.Absent(t, s, name)
	}
}

// TestOneConnectionIsEnough: nobody waits for a further connection, neither to begin nor
// to end.
func TestOneConnectionIsEnough(t *testing.T) {
	server := startSSHD(t)
	link := newLink(t, server.Address)
	link.passes.Store(1)
	server.KnownHosts = repin(t, server, link.address)
	server.Address = link.address
	s, err := Dial(t.Context(), Config{Conn: server, Path: filepath.Join(t.TempDir(), "v"), Connections: 3})
	if err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", largeFile)
	for i, text := range []string{"x", "x", large, large} {
		if err := s.Put(t.Context(), strconv.Itoa(i), int64(len(text)), strings.NewReader(text)); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// link passes TCP on to a server until it is made to hang, as behind a shut door:
// nothing arrives any more, and nobody says so.
type link struct {
	address string
	hung    atomic.Pointer[func()] // called for what does not arrive
	passes  atomic.Int32           // if not 0, how many connections get through
	mu      sync.Mutex
	conns   []net.Conn
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{address: listener.Addr().String()}
	t.Cleanup(func() { listener.Close(); l.mend() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			l.mu.Lock()
			l.conns = append(l.conns, near, far)
			connections := len(l.conns) / 2
			l.mu.Unlock()
			if most := int(l.passes.Load()); most > 0 && connections > most {
				continue
			}
			go l.pass(near, far)
			go l.pass(far, near)
		}
	}()
	return l
}

func (l *link) pass(from, to net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if lost := l.hung.Load(); lost != nil {
			(*lost)()
			return
		}
		if err == nil {
			_, err = to.Write(b[:n])
		}
		if err != nil {
			from.Close()
			to.Close()
			return
		}
	}
}

func (l *link) hang(lost func()) { l.hung.Store(&lost) }

// mend lets new connections through, and lets go of those that hung.
func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.Close()
	}
	l.conns = nil
	l.hung.Store(nil)
}

// repin pins the server's key under another address too.
func repin(t *testing.T, c sshconn.Config, address string) string {
	t.Helper()
	line := readFile(t, c.KnownHosts)
	key := line[bytes.IndexByte(line, ' '):]
	file := filepath.Join(t.TempDir(), "known_hosts")
	write(t, file, append([]byte(knownhosts.Normalize(address)), key...))
	return file
}

// S4: a server that lives and yet says nothing more to a call is left after the silence
// that is allowed it, long before the window's end; what did not need it goes on after.
func TestSilence(t *testing.T) {
	server := startSSHD(t)
	link := newLink(t, server.Address)
	conn := server
	conn.Address, conn.KnownHosts, conn.Silence = link.address, repin(t, server, link.address), 1500*time.Millisecond
	s := dial(t, conn, t.TempDir())
	vaulttest.Put(t, s, "p/there", vaulttest.Random(1, 1<<20))
	for what, call := range map[string]func(hang func()) error{
		"put": func(hang func()) error {
			return s.Put(t.Context(), "p/hangs", 64<<20, &trigger{bytes.NewReader(make([]byte, 64<<20)), 8 << 20, hang})
		},
		"open": func(hang func()) error {
			hang()
			_, err := s.Open(t.Context(), "p/there", 0, -1)
			return err
		},
		"read": func(hang func()) error {
			r, err := s.Open(t.Context(), "p/there", 0, -1)
			if err != nil {
				return err
			}
			hang()
			_, err = io.ReadAll(r)
			return errors.Join(err, r.Close())
		},
		"list": func(hang func()) error {
			hang()
			_, err := s.List(t.Context(), "p")
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			ended := make(chan error, 1)
			go func() { ended <- call(func() { link.hang(func() {}) }) }()
			select {
			case err := <-ended:
				if !errors.Is(err, silence.Err) {
					t.Errorf("got %v, want that it was silent", err)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("the call goes on")
			}
			link.mend()
			begun := time.Now()
			for _, err := s.List(t.Context(), "p"); err != nil && time.Since(begun) < 30*time.Second; {
				_, err = s.List(t.Context(), "p") // until the break is noticed
			}
			if got := vaulttest.Get(t, s, "p/there"); !bytes.Equal(got, vaulttest.Random(1, 1<<20)) {
				t.Error("the store is of no use after the link came back")
			}
		})
	}
}
