package server

import (
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"airlock/vault"
)

// pipe is a session's channel without SSH around it.
type pipe struct{ net.Conn }

func (p pipe) CloseWrite() error                              { return nil }
func (p pipe) SendRequest(string, bool, []byte) (bool, error) { return false, nil }
func (p pipe) Stderr() io.ReadWriter                          { return nil }

// FuzzRequests has a session serve whatever comes, on a host that has two generations:
// it answers or ends, and what is finished stays as it is (S9).
func FuzzRequests(f *testing.F) {
	w := newWorld(f)
	w.conf.Log = slog.New(slog.DiscardHandler)
	w.serve(usual())
	for range 2 {
		w.night()
		w.window()
	}
	h := w.open()
	s, err := h.prepare(f.Context(), Service{Clients: map[string]ssh.PublicKey{"airlock": nil}, Limits: usual()})
	if err != nil {
		f.Fatal(err)
	}
	go s.naming.run(f.Context())
	before := w.finishedFiles()
	const at = "./" // each of the fuzzing processes has a folder of its own
	one := at + vault.GenerationPath(1)
	all := func(messages ...[]byte) (text []byte) {
		for _, m := range messages {
			text = append(text, m...)
		}
		return text
	}
	add := func(sent []byte) {
		f.Add(sent, true)
		f.Add(sent, false)
	}
	add(all(message(fxpOpen, uint32(1), at+"incoming/a", uint32(fxfWrite|fxfCreat|fxfExcl), uint32(0)), message(fxpWrite, uint32(2), "1", uint64(0), "bytes"), message(fxpFstat, uint32(3), "1"), message(fxpClose, uint32(4), "1"), message(fxpRename, uint32(5), at+"incoming/a", at+"b")))
	add(all(message(fxpOpen, uint32(1), at+"c", uint32(fxfWrite|fxfCreat), uint32(0)), message(fxpWrite, uint32(2), "1", uint64(9), "later"), message(fxpWrite, uint32(2), "1", uint64(0), "sooner, 9"), message(fxpFsetstat, uint32(3), "1", uint32(1), uint64(0)), message(fxpClose, uint32(4), "1")))
	add(all(message(fxpOpen, uint32(1), one, uint32(fxfRead), uint32(0)), message(fxpRead, uint32(2), "1", uint64(0), uint32(1<<31)), message(fxpWrite, uint32(3), "1", uint64(0), "x"), message(fxpReaddir, uint32(4), "1")))
	add(all(message(fxpOpendir, uint32(1), at), message(fxpReaddir, uint32(2), "1"), message(fxpRead, uint32(3), "1", uint64(0), uint32(9))))
	add(all(message(fxpSetstat, uint32(1), one, uint32(1), uint64(0)), message(fxpRemove, uint32(2), one), message(fxpRmdir, uint32(3), at+"p"), message(fxpMkdir, uint32(4), at+"d", uint32(0)), message(fxpSymlink, uint32(5), one, at+"l"), message(fxpReadlink, uint32(6), one)))
	add(all(message(fxpExtended, uint32(1), "posix-rename@openssh.com", one, at+"x"), message(fxpExtended, uint32(2), "hardlink@openssh.com", one, at+"x"), message(fxpExtended, uint32(3), "statvfs@openssh.com", at), message(fxpExtended, uint32(4), "other", one)))
	add(all(message(fxpOpen, uint32(1), at+vault.ReceiptPath(1), uint32(fxfRead), uint32(0)), message(fxpRealpath, uint32(2), "../.."), message(fxpStat, uint32(3), "."), message(fxpLstat, uint32(4), at+"/../x")))
	add([]byte{0, 0, 0, 0})
	add([]byte{255, 255, 255, 255, fxpWrite})
	f.Fuzz(func(t *testing.T, sent []byte, patient bool) { // patient: a client that waits for each answer
		near, far := net.Pipe()
		one := &session{host: s, ctx: t.Context(), client: "airlock", from: "fuzz", line: newLine(8), uploads: map[string]*upload{}}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			one.answer(newIntake(t.Context(), pipe{far}, nil, func() {}))
		}()
		read := make(chan struct{})
		go func() {
			defer close(read)
			if patient {
				askEach(near, sent)
			} else {
				askAll(near, sent)
			}
		}()
		for _, c := range []chan struct{}{ended, read} {
			select {
			case <-c:
			case <-time.After(time.Minute):
				t.Fatal("the session hangs")
			}
		}
		if n := len(one.line.files); n > 0 || len(one.uploads) > 0 {
			t.Errorf("%d handles are still open, and %d uploads", n, len(one.uploads))
		}
		for name, was := range before {
			info, err := os.Lstat(filepath.Join(w.conf.Folder, filepath.FromSlash(name)))
			if err != nil || info.ModTime().UnixNano() != was.mtime || info.Mode() != was.mode {
				t.Fatalf("%s was changed: %v", name, err)
			}
		}
	})
}

// askAll sends requests whatever is answered, and goes.
func askAll(conn net.Conn, sent []byte) {
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(io.Discard, conn) })
	_, _ = conn.Write(sent) // the session may have ended before
	_ = conn.Close()
	reading.Wait()
}

// askEach waits for each request's answer before it sends the next.
func askEach(conn net.Conn, sent []byte) {
	defer conn.Close()
	r := raw{out: conn}
	for whole := true; whole; {
		var left []byte
		left, whole = new(frame).add(sent)
		if _, err := conn.Write(sent[:len(sent)-len(left)]); err != nil {
			return
		}
		if whole {
			if _, _, err := r.answer(); err != nil {
				return
			}
		}
		sent = left
	}
}
