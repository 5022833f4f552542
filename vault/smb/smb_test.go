package smb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"airlock/collectors/collecttest"
	"airlock/silence"
	"airlock/smbconn"
	"airlock/vault"
	"airlock/vault/vaulttest"
)

// share starts a real Samba server that may be written to.
func share(t testing.TB, dir string, settings ...string) *collecttest.SMB {
	return collecttest.StartSMB(t, dir, append([]string{"read only = no", "force user = root"}, settings...)...)
}

func conn(s *collecttest.SMB) smbconn.Config {
	return smbconn.Config{Address: s.Address, User: s.User, Password: s.Password, Share: s.Share}
}

func dial(t testing.TB, c smbconn.Config, folder string) *Store {
	t.Helper()
	s, err := Dial(context.WithoutCancel(t.Context()), Config{Conn: c, Path: folder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	for name, settings := range map[string][]string{
		"SMB3 signed": {"server smb encrypt = off"},
		// As many a NAS has it.
		"SMB3 encrypted": {"smb encrypt = required", "vfs objects = catia fruit streams_xattr", "fruit:metadata = stream"},
		"SMB2.0.2":       {"server min protocol = SMB2_02", "server max protocol = SMB2_02", "server signing = mandatory"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := collecttest.Dir(t)
			if err := os.Mkdir(filepath.Join(dir, "病院"), 0o755); err != nil {
				t.Fatal(err)
			}
			server := share(t, dir, settings...)
			var vaults atomic.Int32
			vaulttest.Conformance(t, func(t *testing.T) vault.Store {
				return dial(t, conn(server), fmt.Sprintf("病院/v%d", vaults.Add(1)))
			})
		})
	}
}

func TestDiskFull(t *testing.T) {
	for name, settings := range map[string][]string{
		"as it is":  nil,
		"allocated": {"strict allocate = yes"},
	} {
		t.Run(name, func(t *testing.T) {
			vaulttest.DiskFull(t, dial(t, conn(share(t, vaulttest.TinyDisk(t), settings...)), ""))
		})
	}
}

// S9: a window removes only its own temporary files.
func TestLeftovers(t *testing.T) {
	dir := collecttest.Dir(t)
	kept := vaulttest.PlantLeftovers(t, dir)
	s := dial(t, conn(share(t, dir)), "")
	vaulttest.Put(t, s, "p/x", []byte("x"))
	s.sweepers.Wait()
	vaulttest.OnlyIncoming(t, dir, kept)
}

func TestNoSMB1(t *testing.T) {
	server := share(t, collecttest.Dir(t), "server min protocol = NT1", "server max protocol = NT1")
	if _, err := Dial(t.Context(), Config{Conn: conn(server)}); err == nil {
		t.Error("an SMB 1 server was spoken to")
	}
}

func TestDialRefused(t *testing.T) {
	server := share(t, collecttest.Dir(t))
	for name, test := range map[string]struct {
		change func(*smbconn.Config)
		want   error
	}{
		"wrong password": {func(c *smbconn.Config) { c.Password = "other" }, smbconn.ErrAuth},
		"missing share":  {func(c *smbconn.Config) { c.Share = "other" }, fs.ErrNotExist},
		"nobody listens": {func(c *smbconn.Config) { c.Address = "127.0.0.1:1" }, smbconn.ErrGone},
	} {
		c := conn(server)
		test.change(&c)
		_, err := Dial(t.Context(), Config{Conn: c})
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), server.Password) {
			t.Errorf("S13: %s: the password is in the error: %v", name, err)
		}
	}
	s := dial(t, conn(server), "not/there")
	if err := s.Put(t.Context(), "x", 1, strings.NewReader("x")); err == nil || !strings.Contains(err.Error(), "mount its disk") {
		t.Errorf("without the folder above: %v", err)
	}
}

// S9: where a name that differs in large and small letters is the same file, it is
// taken.
func TestLettersOfOneName(t *testing.T) {
	s := dial(t, conn(share(t, collecttest.Dir(t), "case sensitive = no")), "")
	vaulttest.Put(t, s, "p/abc/Blob.f", []byte("first"))
	for _, name := range []string{"p/abc/blob.f", "P/ABC/BLOB.F"} {
		if err := s.Put(t.Context(), name, 6, strings.NewReader("second")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("put %s: %v", name, err)
		}
	}
	if got := vaulttest.Get(t, s, "p/abc/Blob.f"); string(got) != "first" {
		t.Errorf("it reads %q", got)
	}
}

// S9: two windows of two machines put one name, and just one of them has it.
func TestTwoStores(t *testing.T) {
	server := share(t, collecttest.Dir(t))
	stores := []*Store{dial(t, conn(server), ""), dial(t, conn(server), "")}
	for round := range 10 {
		name := fmt.Sprintf("p/same%d", round)
		results := make(chan error, len(stores))
		for i, s := range stores {
			go func() { results <- s.Put(t.Context(), name, 1, bytes.NewReader([]byte{byte(i)})) }()
		}
		won := 0
		for range stores {
			if err := <-results; err == nil {
				won++
			} else if !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		}
		if won != 1 {
			t.Fatalf("%d of %d won", won, len(stores))
		}
	}
	if left, err := stores[0].List(t.Context(), vault.Incoming); err != nil || len(left) > 0 {
		t.Errorf("incoming/ holds %d files, %v", len(left), err)
	}
}

// S10: the link is cut while a blob is sent: there is no such blob, and the next try
// brings it.
func TestCutInMidWrite(t *testing.T) {
	dir := collecttest.Dir(t)
	server := share(t, dir)
	c := conn(server)
	c.Address = server.Link.Address
	s := dial(t, c, "")
	data := vaulttest.Random(1, 20<<20)
	for _, at := range []int{0, 1 << 20, 7 << 20, len(data) - 1} {
		cut := &trigger{bytes.NewReader(data), at, server.Link.Cut}
		if err := s.Put(t.Context(), "p/abc/cut.f", int64(len(data)), cut); !errors.Is(err, smbconn.ErrGone) {
			t.Fatalf("cut after %d bytes: %v", at, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "p/abc/cut.f")); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("cut after %d bytes: %v", at, err)
		}
	}
	s = dial(t, c, "") // as the next window does
	vaulttest.Put(t, s, "p/abc/cut.f", data)
	if got, err := os.ReadFile(filepath.Join(dir, "p/abc/cut.f")); err != nil || !bytes.Equal(got, data) {
		t.Errorf("other bytes: %v", err)
	}
}

// A claim that a cut left behind holds nobody up.
func TestStaleClaim(t *testing.T) {
	server := share(t, collecttest.Dir(t))
	files, err := smbconn.NewFiles(conn(server), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	s := dial(t, conn(server), "")
	vaulttest.Put(t, s, "p/first", []byte("1"))
	err = files.Do(t.Context(), func(c *smbconn.Session) error {
		_, err := c.Write(claimOf("p/x"), 0, strings.NewReader(""))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	vaulttest.Put(t, s, "p/x", []byte("x"))
	if left, err := s.List(t.Context(), vault.Incoming); err != nil || len(left) > 0 {
		t.Errorf("incoming/ holds %d files, %v", len(left), err)
	}
}

// S4: a server that stops answering does not hold a call beyond its ctx.
func TestHangingLink(t *testing.T) {
	server := share(t, collecttest.Dir(t))
	c := conn(server)
	c.Address, c.Grace = server.Link.Address, 200*time.Millisecond
	s := dial(t, c, "")
	vaulttest.Put(t, s, "p/there", vaulttest.Random(1, 1<<20))
	over := errors.New("the window is over")
	for what, call := range map[string]func(ctx context.Context, hang func()) error{
		"put": func(ctx context.Context, hang func()) error {
			return s.Put(ctx, "p/hangs", 64<<20, &trigger{bytes.NewReader(make([]byte, 64<<20)), 8 << 20, hang})
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
	} {
		t.Run(what, func(t *testing.T) {
			ctx, end := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, over)
			defer end()
			begun := time.Now()
			err := call(ctx, server.Link.Freeze)
			if !errors.Is(err, over) {
				t.Errorf("got %v, want the cause of the cancellation", err)
			}
			if took := time.Since(begun); took > 30*time.Second { // TCP alone would hold it for longer
				t.Errorf("took %v", took)
			}
			server.Link.Cut()
			server.Link.Thaw()
			for _, err = s.List(t.Context(), "p"); errors.Is(err, smbconn.ErrGone) && time.Since(begun) < 30*time.Second; {
				_, err = s.List(t.Context(), "p") // until each connection's loss is noticed
			}
			if got := vaulttest.Get(t, s, "p/there"); !bytes.Equal(got, vaulttest.Random(1, 1<<20)) {
				t.Error("the store is of no use after the link came back")
			}
		})
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

// BenchmarkPut is one pack of 20 MB after the other, eight at once, over the loopback.
func BenchmarkPut(b *testing.B) {
	for name, settings := range map[string][]string{
		"plain":     nil,
		"signed":    {"server signing = mandatory"},
		"encrypted": {"smb encrypt = required"},
	} {
		b.Run(name, func(b *testing.B) {
			s := dial(b, conn(share(b, collecttest.Dir(b), settings...)), "")
			pack := vaulttest.Random(1, 20_000_000)
			var serial atomic.Int64
			b.SetBytes(int64(len(pack)))
			b.SetParallelism(4)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := s.Put(b.Context(), fmt.Sprintf("p/%d", serial.Add(1)), int64(len(pack)), bytes.NewReader(pack)); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// S4: a server that says nothing more to a call is left after the silence that is allowed
// it, long before the window's end and before its echoes are missed.
func TestSilence(t *testing.T) {
	server := share(t, collecttest.Dir(t))
	c := conn(server)
	c.Address, c.Silence = server.Link.Address, 1500*time.Millisecond
	s := dial(t, c, "")
	vaulttest.Put(t, s, "p/there.f", vaulttest.Random(1, 8<<20))
	for what, call := range map[string]func() error{
		"put": func() error {
			return s.Put(t.Context(), "p/hangs.f", 64<<20, &trigger{bytes.NewReader(make([]byte, 64<<20)), 8 << 20, server.Link.Freeze})
		},
		"open": func() error {
			server.Link.Freeze()
			_, err := s.Open(t.Context(), "p/there.f", 0, -1)
			return err
		},
		"read": func() error {
			r, err := s.Open(t.Context(), "p/there.f", 0, -1)
			if err != nil {
				return err
			}
			server.Link.Freeze()
			_, err = io.ReadAll(r)
			return errors.Join(err, r.Close())
		},
		"close": func() error {
			r, err := s.Open(t.Context(), "p/there.f", 0, 1)
			if err != nil {
				return err
			}
			server.Link.Freeze()
			return r.Close()
		},
		"list": func() error {
			server.Link.Freeze()
			_, err := s.List(t.Context(), "p")
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			ended := make(chan error, 1)
			go func() { ended <- call() }()
			select {
			case err := <-ended:
				if !errors.Is(err, silence.Err) || !errors.Is(err, smbconn.ErrGone) {
					t.Errorf("got %v, want that it was silent", err)
				}
			case <-time.After(30 * time.Second):
				t.Error("the call goes on")
			}
			server.Link.Cut()
			server.Link.Thaw()
			if got := vaulttest.Get(t, s, "p/there.f"); !bytes.Equal(got, vaulttest.Random(1, 8<<20)) {
				t.Error("the store is of no use after the link came back")
			}
		})
	}
}
