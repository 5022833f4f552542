package server

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/time/rate"
)

// asks sends requests at once, and reads their answers' codes.
func (r *raw) asks(requests ...[]byte) (codes []uint32) {
	r.t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := r.in.Write(bytes.Join(requests, nil))
		sent <- err
	}()
	for range requests {
		kind, body, err := r.answer()
		if err != nil {
			r.t.Fatal(err)
		}
		code, _ := status(kind, body[4:])
		if kind == fxpHandle {
			code = 0
		}
		codes = append(codes, code)
	}
	if err := <-sent; err != nil {
		r.t.Fatal(err)
	}
	return codes
}

// recorded is what a file reads, if the host has it, and wants that to be what was hashed.
func (w *world) recorded(name string) string {
	w.t.Helper()
	data, err := w.host.folder.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	known, unknown := w.host.index.find(w.t.Context(), name)
	if err = errors.Join(err, unknown); err != nil || *known.sum != sha256.Sum256(data) {
		w.t.Errorf("%s is not what was hashed: %v", name, err)
	}
	return string(data)
}

// S9: who guesses a handle that is being opened does the host no harm by it.
func TestGuessedHandles(t *testing.T) {
	w, before := besieged(t, usual())
	r := w.raw()
	for n := range 50 {
		name, guess := fmt.Sprintf("file%d", n), strconv.Itoa(n+1) // pkg/sftp counts
		requests := [][]byte{message(fxpOpen, uint32(0), w.conf.Folder+"/"+name, uint32(fxfWrite|fxfCreat), uint32(0))}
		for range 8 {
			requests = append(requests,
				message(fxpWrite, uint32(0), guess, uint64(0), "guessed"),
				message(fxpRead, uint32(0), guess, uint64(0), uint32(9)),
				message(fxpFstat, uint32(0), guess),
				message(fxpReaddir, uint32(0), guess))
		}
		codes := r.asks(append(requests, message(fxpClose, uint32(0), guess))...)
		if codes[0] != 0 {
			t.Fatalf("open %d: status %d", n, codes[0])
		}
		r.ask(fxpClose, guess) // it was told by now
		if read := w.recorded(name); read != "" && read != "guessed" {
			t.Errorf("%s reads %q", name, read)
		}
	}
	w.withstood(before)
}

// S9: what is sent behind a file's close does not get into the file any more, however
// soon it comes.
func TestWriteBehindTheClose(t *testing.T) {
	w, before := besieged(t, usual())
	r := w.raw()
	for n := range 30 {
		name := fmt.Sprintf("file%d", n)
		h := r.open(w.conf.Folder+"/"+name, fxfWrite|fxfCreat)
		requests := [][]byte{message(fxpWrite, uint32(0), h, uint64(0), "first"), message(fxpClose, uint32(0), h)}
		for range 16 {
			requests = append(requests, message(fxpWrite, uint32(0), h, uint64(5), ", and more"))
		}
		for i, code := range r.asks(requests...) {
			if (code == 0) != (i < 2) {
				t.Errorf("%s, request %d: status %d", name, i, code)
			}
		}
		if read := w.recorded(name); read != "first" {
			t.Errorf("%s reads %q", name, read)
		}
	}
	w.withstood(before)
}

// What is let in of a request that may not use its handle has none.
func TestHandlesAreGuarded(t *testing.T) {
	const told, opensRead, opensWrite, opensFolder = "7", fxfRead, fxfRead | fxfCreat, 0
	handle := message(fxpHandle, uint32(1), told)
	uses := map[string][]byte{
		"read":     message(fxpRead, uint32(2), told, uint64(0), uint32(9)),
		"write":    message(fxpWrite, uint32(2), told, uint64(0), told),
		"readdir":  message(fxpReaddir, uint32(2), told),
		"fstat":    message(fxpFstat, uint32(2), told),
		"fsetstat": message(fxpFsetstat, uint32(2), told, uint32(0)),
		"close":    message(fxpClose, uint32(2), told),
	}
	open := func(flags uint32) []byte {
		if flags == opensFolder {
			return message(fxpOpendir, uint32(1), "/")
		}
		return message(fxpOpen, uint32(1), "/", flags, uint32(0))
	}
	for what, c := range map[string]struct {
		flags   uint32
		answers [][]byte // to the open
		before  string   // another use
		let     string   // what may use the handle
	}{
		"not answered yet":    {opensRead, nil, "", ""},
		"answered in part":    {opensRead, [][]byte{handle[:len(handle)-1]}, "", ""},
		"refused":             {opensRead, [][]byte{message(fxpStatus, uint32(1), uint32(4), told, "")}, "", ""},
		"another one is told": {opensRead, [][]byte{message(fxpHandle, uint32(1), "77")}, "", ""},
		"for reading":         {opensRead, [][]byte{handle}, "", "read fstat fsetstat close"},
		"for writing":         {opensWrite, [][]byte{handle}, "", "write fstat fsetstat close"},
		"for listing":         {opensFolder, [][]byte{handle}, "", "readdir fstat fsetstat close"},
		"told byte by byte":   {opensFolder, bytes.SplitAfter(handle, nil), "", "readdir fstat fsetstat close"},
		"used before":         {opensWrite, [][]byte{handle}, "write", "write fstat fsetstat close"},
		"closed before":       {opensWrite, [][]byte{handle}, "close", ""},
	} {
		for use, request := range uses {
			sent := open(c.flags)
			if c.before != "" {
				sent = append(sent, uses[c.before]...)
			}
			in := newIntake(t.Context(), &stuck{requests: bytes.NewReader(append(sent, request...))}, rate.NewLimiter(rate.Inf, 1<<20), func() {})
			got := make([]byte, len(sent))
			read := func(n int) {
				if _, err := io.ReadFull(in, got[:n]); err != nil {
					t.Fatal(err)
				}
			}
			read(len(open(c.flags)))
			for _, a := range c.answers {
				in.Write(a)
			}
			if c.before != "" {
				read(len(uses[c.before]))
			}
			got = make([]byte, len(request))
			read(len(request))
			want := bytes.Clone(request)
			if !slices.Contains(strings.Fields(c.let), use) {
				want = bytes.Replace(want, []byte(told), []byte("x"), 1)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s, and then %s: %q was let in, and not %q", what, use, got, want)
			}
		}
	}
}

// The answer to a listing is not more than is counted for it.
func TestListingsCost(t *testing.T) {
	w := newWorld(t)
	w.serve(usual())
	r := w.raw()
	for n := range 150 {
		if code, text := status(r.ask(fxpMkdir, fmt.Sprintf("%s/%03d%s", w.conf.Folder, n, strings.Repeat("ü", 126)), uint32(0))); code != 0 {
			t.Fatal(text)
		}
	}
	h := handle(r.ask(fxpOpendir, w.conf.Folder))
	_, body := r.ask(fxpReaddir, h)
	if counted := costOf(message(fxpReaddir, uint32(1), h)); len(body) < 50_000 || len(body) > counted {
		t.Errorf("an answer of %d bytes, and %d are counted", len(body), counted)
	}
}
