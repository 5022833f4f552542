package server

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"airlock/vault"
)

// cutter stands between a client and a host, and cuts every connection once so many bytes
// have passed, whichever way.
type cutter struct {
	net.Listener
	to string

	mu    sync.Mutex
	left  int
	conns []net.Conn
}

func newCutter(t *testing.T, to string, left int) *cutter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: l, to: to, left: left}
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
			c.hold(near, far)
			go c.pass(near, far)
			go c.pass(far, near)
		}
	}()
	return c
}

func (c *cutter) hold(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conns...)
	if c.left <= 0 {
		c.cut()
	}
}

// cut wants the lock.
func (c *cutter) cut() {
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

func (c *cutter) pass(from, to net.Conn) {
	buffer := make([]byte, 512)
	for {
		n, err := from.Read(buffer)
		c.mu.Lock()
		n = min(n, c.left)
		c.left -= n
		c.mu.Unlock()
		if _, lost := to.Write(buffer[:n]); err != nil || lost != nil {
			break
		}
		c.mu.Lock()
		if c.left == 0 {
			c.cut()
		}
		c.mu.Unlock()
	}
	from.Close()
	to.Close()
}

// end cuts what is left, and says how many bytes were not used up.
func (c *cutter) end() int {
	c.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut()
	return c.left
}

// S10: a window is cut after any number of bytes, by its link, or by the death of the
// orchestrator, whose memory of the vault then knows nothing of it. Every generation
// before is whole, and the next window carries on.
func TestWindowIsCut(t *testing.T) {
	w := newWorld(t)
	w.serve(usual())
	w.night()
	w.window()
	direct := w.conn
	step := 9000
	if os.Getenv(everyVariable) != "" {
		step = 300
	}
	whole, cuts := []int64{1}, 0
	for left := 1000; ; left += step {
		remembered := filepath.Join(t.TempDir(), "memory")
		if err := os.CopyFS(remembered, os.DirFS(filepath.Join(w.dir, "memory"))); err != nil {
			t.Fatal(err)
		}
		w.night()
		c := newCutter(t, direct.Address, left)
		w.conn.Address = c.Addr().String()
		w.knows(w.conn.Address)
		_, err := w.tryWindow()
		unused := c.end()
		w.conn = direct
		w.knows(direct.Address)
		w.sound(whole...)
		if err != nil && cuts%2 == 1 {
			w.forgets(remembered)
		}
		report := w.window()
		whole = append(whole, report.Generation)
		w.sound(whole...)
		if t.Failed() {
			t.Fatalf("the cut after %d bytes: %v", left, err)
		}
		if err == nil && unused > 0 {
			break
		}
		if cuts++; cuts%12 == 0 { // receipts are bounded, and this is months of them
			w.serve(usual())
			direct = w.conn
		}
	}
	t.Logf("%d cuts", cuts)
	if cuts < 5 {
		t.Errorf("only %d cuts", cuts)
	}
	verified, err := w.host.Verify(t.Context(), VerifyOptions{})
	if err != nil || len(verified.Damaged) > 0 {
		t.Errorf("%+v, %v", verified, err)
	}
	w.conf.Keep, w.conf.MinAge, w.conf.Brake = vault.Keep{Hourly: 1}, 0, 1<<20
	w.conf.WindowsPerDay = 1 << 20
	w.open()
	if r := w.prune(PruneOptions{}); r.Kept != 1 || r.Strays > 0 {
		t.Errorf("%+v", r)
	}
	w.sound(whole[len(whole)-1])
}

// forgets puts the site's memory back to what it was.
func (w *world) forgets(remembered string) {
	w.t.Helper()
	dir := filepath.Join(w.dir, "memory")
	if err := errors.Join(w.memory.Close(), os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(remembered))); err != nil {
		w.t.Fatal(err)
	}
	memory, err := vault.OpenMemory(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	w.memory = memory
}
