package server

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/time/rate"

	"airlock/ledger"
	"airlock/sshconn"
	"airlock/vault"
	"airlock/vault/vaulttest"
)

// S9, S10: junk under the names of blobs to come is not taken for them, and keeps no
// earlier generation from being whole.
func TestSquattedBlobs(t *testing.T) {
	w, before := besieged(t, usual())
	w.night()
	junk := map[string][]byte{}
	for name, data := range w.blobs {
		if _, there := before[vault.BlobPath(name)]; !there && strings.HasPrefix(name, "p") {
			junk[name] = vaulttest.Random(len(junk), len(data)-len(junk)) // the first of the right size
		}
	}
	r := w.raw()
	for name, data := range junk {
		parts := strings.Split(vault.BlobPath(name), "/")
		for i := range parts[1:] {
			r.ask(fxpMkdir, w.conf.Folder+"/"+strings.Join(parts[:i+1], "/"), uint32(0))
		}
		if code, text := r.put(w.conf.Folder+"/"+vault.BlobPath(name), data); code != 0 {
			t.Fatal(text)
		}
	}
	if told := w.window().Conflicts; len(told) != len(junk) { // ours lie elsewhere
		t.Errorf("%d blobs are squatted, and it is told of %q", len(junk), told)
	}
	w.unchanged(before)
	w.sound(1, 2, 3)
}

// S10: what was cut or lost while nobody served is found by taking stock, and sent again.
func TestStockIsTaken(t *testing.T) {
	w, _ := besieged(t, usual())
	w.stop()
	cut, lost := vault.BlobPath("p"+strings.Repeat("0", 28)+"10"), vault.BlobPath("q"+strings.Repeat("0", 28)+"10")
	if err := errors.Join(os.Chmod(w.file(cut), 0o600), os.Truncate(w.file(cut), 100), os.Remove(w.file(lost))); err != nil {
		t.Fatal(err)
	}
	// And what a kill left on its way.
	left := w.file(vault.Incoming + "/half")
	if err := os.WriteFile(left, []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.serve(usual())
	w.night()
	w.window() // wants a whole receipt
	w.sound(1, 2, 3)
	if n := w.entries(ledger.KindAlarm); n < 2 {
		t.Errorf("%d alarms", n)
	}
	if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was left in incoming/ is still there: %v", err)
	}
}

// A state folder that is full has the client told that its file did not arrive, and
// nothing is lost by it.
func TestStateFull(t *testing.T) {
	w := newWorld(t)
	w.conf.State = vaulttest.TinyDisk(t)
	w.serve(usual())
	w.night()
	w.window()
	filler := filepath.Join(w.conf.State, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, &endless{}); err == nil {
		t.Fatal("the disk takes everything")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r := w.raw()
	refused := 0
	for n := range 200 { // the index has some room of its own
		if code, _ := r.put(w.conf.Folder+"/"+strings.Repeat("x", 100+n%100)+string(rune('a'+n%26)), []byte("text")); code != 0 {
			refused++
		}
	}
	if refused == 0 {
		t.Error("files were taken that could not be recorded")
	}
	w.sound(1)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	w.night()
	w.window()
	w.sound(1, 2)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// Bytes are taken no faster than they may come, and a session that ends meanwhile ends.
func TestBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond = 1 << 20
		write := message(fxpWrite, uint32(1), "1", uint64(0), strings.Repeat("x", 64<<10))
		began := time.Now()
		in := newIntake(t.Context(), &stuck{requests: strings.NewReader(strings.Repeat(string(write), 32))}, rate.NewLimiter(perSecond, perSecond), func() {})
		if n, err := io.Copy(io.Discard, in); err != nil || n != int64(32*len(write)) {
			t.Errorf("%d bytes, %v", n, err)
		}
		if took := time.Since(began); took < time.Second || took > 2*time.Second {
			t.Errorf("2 MiB came in %v, of which the first is free", took)
		}
	})
}

// Whole files that nobody names are removed after a day, and are room again.
func TestUnnamedAreForgotten(t *testing.T) {
	w := newWorld(t)
	h := w.open()
	s, err := h.prepare(t.Context(), Service{Clients: map[string]ssh.PublicKey{"a": nil}, Limits: usual()})
	if err != nil {
		t.Fatal(err)
	}
	one := &session{host: s, ctx: t.Context(), client: "a", line: newLine(1), uploads: map[string]*upload{}}
	u := &upload{session: one, temp: "incoming/unnamed", hash: newHash()}
	if err := one.begin(u); err != nil {
		t.Fatal(err)
	}
	if _, err := u.WriteAt([]byte("bytes"), 0); err != nil {
		t.Fatal(err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	for _, age := range []time.Duration{0, forgottenAge + time.Minute} {
		w.mu.Lock()
		w.ahead = age
		w.mu.Unlock()
		s.forgetOld()
		if _, err := h.folder.Lstat(u.temp); errors.Is(err, os.ErrNotExist) != (age > 0) {
			t.Errorf("after %v: %v", age, err)
		}
	}
	if s.room.coming != 0 || len(s.finished) > 0 {
		t.Errorf("%d bytes are still on their way, %d files remembered", s.room.coming, len(s.finished))
	}
}

// One process serves a vault.
func TestServedOnce(t *testing.T) {
	w := newWorld(t)
	h := w.serve(usual())
	w.store() // by now it is
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Serve(t.Context(), l, Service{}); !errors.Is(err, ErrServed) {
		t.Errorf("serving twice: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("its listener: %v", err)
	}
}

// Bytes beyond what a file can have, or too scattered, fail their upload and no more.
func TestFarBytes(t *testing.T) {
	w := newWorld(t)
	w.serve(usual())
	r := w.raw()
	for what, offsets := range map[string]func(n int) uint64{
		"no file has these": func(int) uint64 { return math.MaxInt64 - 2 },
		"less than none":    func(int) uint64 { return math.MaxUint64 },
		"too scattered":     func(n int) uint64 { return uint64(2*n + 1) },
	} {
		h := r.open(w.conf.Folder+"/far", fxfWrite|fxfCreat)
		code, n := uint32(0), 0
		for ; code == 0 && n <= maxAhead; n++ {
			code, _ = status(r.ask(fxpWrite, h, offsets(n), "x"))
		}
		if code == 0 {
			t.Errorf("%s: all were taken", what)
		}
		if code, _ := status(r.ask(fxpClose, h)); code == 0 {
			t.Errorf("%s: the file is whole", what)
		}
	}
	if code, text := r.put(w.conf.Folder+"/far", []byte("near")); code != 0 {
		t.Errorf("the name is not free: %s", text)
	}
}

// A connection has sessions for SFTP, few of them, and nothing else.
func TestChannels(t *testing.T) {
	w := newWorld(t)
	w.serve(usual())
	conn, err := sshconn.Dial(t.Context(), w.conn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, kind := range []string{"direct-tcpip", "forwarded-tcpip", "x11", "auth-agent@openssh.com"} {
		if _, _, err := conn.OpenChannel(kind, nil); err == nil {
			t.Errorf("a channel of type %s was opened", kind)
		}
	}
	for _, request := range []string{"shell", "exec", "pty-req", "env", "auth-agent-req@openssh.com"} {
		conn, err := sshconn.Dial(t.Context(), w.conn)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		session, err := conn.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if done, err := session.SendRequest(request, true, ssh.Marshal(struct{ Text string }{"sh"})); done || err != nil {
			t.Errorf("%s: %t, %v", request, done, err)
		}
	}
	if done, _, err := conn.SendRequest("tcpip-forward", true, ssh.Marshal(struct {
		Address string
		Port    uint32
	}{"127.0.0.1", 0})); done || err != nil {
		t.Errorf("tcpip-forward: %t, %v", done, err)
	}
}
