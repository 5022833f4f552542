package server

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/crypto/ssh"
	"golang.org/x/time/rate"

	"airlock/ledger"
	"airlock/vault"
	"airlock/vault/vaulttest"
)

// S9: of clients that race for a name one has it, whole, and nobody changes it any more.
func TestRaceForOneName(t *testing.T) {
	w, before := besieged(t, usual())
	const racers, names = 6, 8
	contents := make([][]byte, racers)
	won := make([]int, names)
	var mu sync.Mutex
	var racing sync.WaitGroup
	for i := range racers {
		contents[i] = vaulttest.Random(i, 70_000+i)
		r := w.raw()
		racing.Go(func() {
			for n := range names {
				name := fmt.Sprintf("%s/disputed%d", w.conf.Folder, n)
				var code uint32
				if i%2 == 0 {
					code, _ = r.put(name, contents[i])
				} else { // by renaming
					temp := fmt.Sprintf("%s/incoming/racer%d-%d", w.conf.Folder, i, n)
					if code, text := r.put(temp, contents[i]); code != 0 {
						t.Errorf("%s: %s", temp, text)
					}
					code, _ = status(r.ask(fxpRename, temp, name))
				}
				if code == 0 {
					mu.Lock()
					won[n]++
					mu.Unlock()
				}
				// Whoever lost tries to write all the same.
				if h := r.open(name, fxfWrite|fxfCreat|fxfTrunc); h != "" {
					r.ask(fxpWrite, h, uint64(0), "late")
					r.ask(fxpFsetstat, h, uint32(1), uint64(2))
					if code, _ := status(r.ask(fxpClose, h)); code == 0 {
						mu.Lock()
						won[n]++
						mu.Unlock()
					}
				}
			}
		})
	}
	racing.Wait()
	for n := range names {
		name := fmt.Sprintf("disputed%d", n)
		data, err := w.host.folder.ReadFile(name)
		if err != nil || won[n] != 1 {
			t.Errorf("%s: %d say that they have won; %v", name, won[n], err)
		}
		whole := bytes.Equal(data, []byte("late")) || slices.ContainsFunc(contents, func(c []byte) bool { return bytes.Equal(c, data) })
		r, err := w.host.index.find(t.Context(), name)
		if err != nil || !whole || *r.sum != sha256.Sum256(data) {
			t.Errorf("%s is none of what was sent, or not recorded as it is: %v", name, err)
		}
	}
	w.withstood(before)
}

// S9: a file that is being written gets its name only once, and with the bytes that were
// hashed.
func TestUploadTricks(t *testing.T) {
	w, before := besieged(t, usual())
	r := w.raw()
	f := w.conf.Folder
	open := func(name string) string {
		h := r.open(f+"/"+name, fxfWrite|fxfCreat)
		if h == "" {
			t.Fatalf("%s cannot be put", name)
		}
		return h
	}
	refused := func(what string, kind byte, fields ...any) {
		t.Helper()
		if code, _ := status(r.ask(kind, fields...)); code == 0 {
			t.Errorf("%s was taken", what)
		}
	}
	done := func(what string, kind byte, fields ...any) {
		t.Helper()
		if code, text := status(r.ask(kind, fields...)); code != 0 {
			t.Errorf("%s: %s", what, text)
		}
	}
	h := open("rewritten")
	done("a write", fxpWrite, h, uint64(0), "first bytes")
	refused("writing the same bytes again", fxpWrite, h, uint64(6), "other")
	refused("closing it then", fxpClose, h)

	h = open("holed")
	done("a write", fxpWrite, h, uint64(1<<40), "far away")
	refused("closing a file with a hole", fxpClose, h)

	h = open("cut")
	done("a write", fxpWrite, h, uint64(0), "all of it")
	refused("cutting it", fxpFsetstat, h, uint32(1), uint64(3))
	refused("cutting it by its name", fxpSetstat, f+"/cut", uint32(1), uint64(3))
	done("its mode", fxpFsetstat, h, uint32(4), uint32(0o777))
	second := r.open(f+"/cut", fxfWrite|fxfCreat) // two at once: the first to close wins
	done("a write beside", fxpWrite, second, uint64(0), "all other")
	done("closing", fxpClose, h)
	refused("closing the other", fxpClose, second)
	refused("writing after that", fxpWrite, h, uint64(9), "more")

	// Resumed with other bytes: by opening what is finished, and what is in incoming/.
	done("incoming", fxpClose, func() string {
		h := open("incoming/partial")
		done("a write", fxpWrite, h, uint64(0), "the first half")
		return h
	}())
	for _, flags := range []uint32{fxfWrite, fxfWrite | fxfAppend, fxfWrite | fxfCreat | fxfTrunc, fxfRead | fxfWrite} {
		for _, name := range []string{"cut", "incoming/partial"} {
			if h := r.open(f+"/"+name, flags); h != "" {
				t.Errorf("%s was opened again with flags %#x", name, flags)
			}
		}
	}
	other := w.raw()
	if code, _ := status(other.ask(fxpRename, f+"/incoming/partial", f+"/whole")); code != 0 { // the same client
		t.Error("a client cannot name what it has put over another connection")
	}
	refused("naming it twice", fxpRename, f+"/incoming/partial", f+"/twice")
	h = open("incoming/open")
	refused("naming what is still open", fxpRename, f+"/incoming/open", f+"/early")
	refused("removing what is still open", fxpRemove, f+"/incoming/open")
	done("closing", fxpClose, h)
	done("removing what is closed and has no name", fxpRemove, f+"/incoming/open")

	for name, want := range map[string]string{"cut": "all of it", "whole": "the first half"} {
		r.ask(fxpOpendir, f) // waits for what is promised
		if data, err := w.host.folder.ReadFile(name); err != nil || string(data) != want {
			t.Errorf("%s reads %q, %v", name, data, err)
		}
	}
	for _, name := range []string{"rewritten", "holed", "twice", "early"} {
		if _, err := w.host.folder.Lstat(name); err == nil {
			t.Errorf("%s is there", name)
		}
	}
	w.withstood(before)
}

// A client cannot name, remove or see as its own what another has put.
func TestClientsApart(t *testing.T) {
	w := newWorld(t)
	w.serve(usual())
	r := w.raw()
	temp := w.conf.Folder + "/incoming/mine"
	if code, text := r.put(temp, []byte("mine")); code != 0 {
		t.Fatal(text)
	}
	w.conn.User, w.conn.Key = "second", w.second.private
	other := w.raw()
	for what, fields := range map[string][]any{"rename": {temp, w.conf.Folder + "/theirs"}, "remove": {temp}} {
		kind := byte(fxpRename)
		if what == "remove" {
			kind = fxpRemove
		}
		if code, _ := status(other.ask(kind, fields...)); code == 0 {
			t.Errorf("another client may %s it", what)
		}
	}
	if code, text := status(r.ask(fxpRename, temp, w.conf.Folder+"/mine")); code != 0 {
		t.Error(text)
	}
}

// S9: what the host's own administrator has put into the folder leads no client out of it.
func TestSymlinksOnTheDisk(t *testing.T) {
	w, before := besieged(t, usual())
	secret := filepath.Join(w.dir, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"absolute": secret, "relative": "../secret", "above": "..", "dangling": "../not-there", "incoming/late": "../../secret", "loop": "loop",
		"inside": vault.GenerationPath(1), "folder": "generations",
	} {
		if err := os.Symlink(target, w.file(name)); err != nil {
			t.Fatal(err)
		}
	}
	r := w.raw()
	for _, name := range []string{"absolute", "relative", "dangling", "incoming/late", "loop", "inside", "above/secret", "above/new", "folder/00000001.json"} {
		name = w.conf.Folder + "/" + name
		if code, _ := r.put(name, []byte("overwritten")); code == 0 {
			t.Errorf("put through %s", name)
		}
		if h := r.open(name, fxfRead); h != "" {
			if _, body := r.ask(fxpRead, h, uint64(0), uint32(100)); bytes.Contains(body, []byte("secret")) {
				t.Errorf("read through %s", name)
			}
		}
		for _, kind := range []byte{fxpRemove, fxpRmdir, fxpReadlink} {
			if code, _ := status(r.ask(kind, name)); code == 0 && kind != fxpReadlink {
				t.Errorf("request %d went through %s", kind, name)
			}
		}
	}
	if h := handle(r.ask(fxpOpendir, w.conf.Folder+"/above")); h != "" {
		t.Error("listed the folder above")
	}
	if data, err := os.ReadFile(secret); err != nil || string(data) != "secret" {
		t.Errorf("the file outside reads %q, %v", data, err)
	}
	if _, err := os.Lstat(filepath.Join(w.dir, "not-there")); err == nil {
		t.Error("a file was made outside")
	}
	w.withstood(before)
}

// A pipe that lies in the folder holds nobody up.
func TestPipeOnTheDisk(t *testing.T) {
	w := newWorld(t)
	w.serve(usual())
	mkfifo(t, w.file("pipe"))
	r := w.raw()
	if h := r.open(w.conf.Folder+"/pipe", fxfRead); h != "" {
		t.Error("opened a pipe")
	}
	if h := handle(r.ask(fxpOpendir, w.conf.Folder+"/pipe")); h != "" {
		t.Error("listed a pipe")
	}
}

// Handles of every kind count, and are given back.
func TestHandles(t *testing.T) {
	w := newWorld(t)
	w.windows(1) // which has many files open
	limits := usual()
	limits.OpenFiles = 10
	w.serve(limits)
	r := w.raw()
	for _, c := range []struct {
		what   string
		kind   byte
		fields []any
	}{
		{"files", fxpOpen, []any{w.conf.Folder + "/.shards", uint32(fxfRead), uint32(0)}},
		{"receipts", fxpOpen, []any{w.conf.Folder + "/" + vault.ReceiptPath(1), uint32(fxfRead), uint32(0)}},
		{"folders", fxpOpendir, []any{w.conf.Folder}},
		{"folders above", fxpOpendir, []any{"/"}},
	} {
		var open []string
		for range 100 {
			if h := handle(r.ask(c.kind, c.fields...)); h != "" {
				open = append(open, h)
			}
		}
		if len(open) != limits.OpenFiles {
			t.Errorf("%s: %d are open", c.what, len(open))
		}
		for _, h := range open {
			if code, text := status(r.ask(fxpClose, h)); code != 0 {
				t.Errorf("%s: %s", c.what, text)
			}
		}
	}
	for n := range limits.OpenFiles + 5 {
		h := r.open(fmt.Sprintf("%s/incoming/%d", w.conf.Folder, n), fxfWrite|fxfCreat)
		if (h != "") != (n < limits.OpenFiles) {
			t.Errorf("upload %d: handle %q", n, h)
		}
	}
}

// Names without bytes count against the quota too, from their opening on, and are given
// back with what is not kept.
func TestNamesAreNotForNothing(t *testing.T) {
	w := newWorld(t)
	w.conf.Quota = 20 * nameWeight
	w.serve(usual())
	r := w.raw()
	fill := func() (taken int) {
		for n := range 50 {
			if code, _ := r.put(fmt.Sprintf("%s/incoming/%d", w.conf.Folder, n), nil); code == 0 {
				taken++
			}
		}
		return taken
	}
	if n := fill(); n != 20 {
		t.Errorf("%d empty files in incoming/ found room for 20", n)
	}
	for n := range 20 {
		if code, text := status(r.ask(fxpRemove, fmt.Sprintf("%s/incoming/%d", w.conf.Folder, n))); code != 0 {
			t.Error(text)
		}
	}
	if n := fill(); n != 20 {
		t.Errorf("after they were removed, %d", n)
	}
	for n := range 20 {
		if code, text := status(r.ask(fxpRename, fmt.Sprintf("%s/incoming/%d", w.conf.Folder, n), fmt.Sprintf("%s/file%d", w.conf.Folder, n))); code != 0 {
			t.Errorf("naming what has its room: %s", text)
		}
	}
	if code, _ := status(r.ask(fxpMkdir, w.conf.Folder+"/folder", uint32(0))); code == 0 {
		t.Error("a folder found room")
	}
	r.ask(fxpOpendir, w.conf.Folder) // waits for what is promised
	used, err := w.host.index.total(t.Context())
	if err != nil || used != w.conf.Quota {
		t.Errorf("%d bytes are used, %v", used, err)
	}
}

// What a client leaves in incoming/ without a name is bounded.
func TestUnnamedFilesAreBounded(t *testing.T) {
	w := newWorld(t)
	h := w.open()
	s, err := h.prepare(t.Context(), Service{Clients: map[string]ssh.PublicKey{"a": nil}, Limits: usual()})
	if err != nil {
		t.Fatal(err)
	}
	ready := &durable{done: make(chan struct{})}
	close(ready.done)
	s.finish("incoming/theirs", finished{client: "b", at: h.conf.Now(), bytes: ready})
	for n := range maxUnnamed + 10 {
		s.finish(fmt.Sprintf("incoming/%d", n), finished{client: "a", at: h.conf.Now().Add(time.Duration(n+1) * time.Second), bytes: ready})
	}
	if _, theirs := s.finished["incoming/theirs"]; len(s.finished) > maxUnnamed || !theirs {
		t.Errorf("%d are remembered; another client's: %v", len(s.finished), theirs)
	}
	if _, newest := s.finished[fmt.Sprintf("incoming/%d", maxUnnamed+9)]; !newest {
		t.Error("the newest went")
	}
}

// A name of any length makes a short entry.
func TestRefusalsAreShort(t *testing.T) {
	w := newWorld(t)
	h := w.serve(usual())
	r := w.raw()
	r.ask(fxpRemove, "/"+strings.Repeat("x", 200<<10))
	r.ask(fxpRmdir, "/\xff\xfe\n\x1b[2J")
	if err := h.ledger.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	for e, err := range h.ledger.Entries(t.Context(), ledger.Filter{Kind: ledger.KindRefusal}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; len(e.Reason)+len(e.Detail) > 2000 {
			t.Errorf("an entry of %d bytes", len(e.Reason)+len(e.Detail))
		}
	}
	if n != 2 {
		t.Errorf("%d entries", n)
	}
}

// Asking for receipts does not fill the ledger.
func TestReceiptsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.serve(usual())
	w.night()
	w.window()
	delete(w.host.receipts, 1)
	lost := "p" + strings.Repeat("0", 28) + "10"
	w.spoil(vault.BlobPath(lost)) // so that no receipt is whole, and each is made anew
	if _, err := w.host.Verify(t.Context(), VerifyOptions{}); err != nil {
		t.Fatal(err)
	}
	r := w.raw()
	given := 0
	for range 200 {
		if h := r.open(w.conf.Folder+"/"+vault.ReceiptPath(1), fxfRead); h != "" {
			given++
			r.ask(fxpClose, h)
		}
	}
	if given < 5 || given > 100 {
		t.Errorf("%d receipts were given", given)
	}
}

// S10: strangers that say nothing, however many, do not keep an honest client out.
func TestSilentStrangers(t *testing.T) {
	w, before := besieged(t, usual())
	var strangers []net.Conn
	defer func() {
		for _, c := range strangers {
			c.Close()
		}
	}()
	for range 1000 {
		c, err := net.Dial("tcp", w.conn.Address)
		if err != nil {
			t.Fatal(err)
		}
		strangers = append(strangers, c)
	}
	w.withstood(before)
	// All but some have been cut: the last ones may still be in their handshake.
	open := 0
	for _, c := range strangers[:len(strangers)-handshakes] {
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); os.IsTimeout(err) {
			open++
		}
	}
	if open > 0 {
		t.Errorf("%d silent connections are still open", open)
	}
}

// However many connections one client has, another gets in.
func TestConnectionsAreShared(t *testing.T) {
	w := newWorld(t)
	limits := usual()
	limits.Connections = 4
	w.serve(limits)
	var all []*raw
	for range 20 { // the oldest make place for the newest
		r, err := w.tryRaw()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	greedy := 0
	for _, r := range all {
		if _, _, err := r.tryAsk(fxpStat, w.conf.Folder); err == nil {
			greedy++
		}
	}
	if greedy != limits.Connections-1 {
		t.Errorf("one client has %d connections of %d, and there are two", greedy, limits.Connections)
	}
	w.conn.User, w.conn.Key = "second", w.second.private
	if _, err := w.tryRaw(); err != nil {
		t.Errorf("the other does not get in: %v", err)
	}
}

func TestPlaces(t *testing.T) {
	p := places{free: 2, clients: 5} // fewer than clients
	if !p.take("a") || p.take("a") || !p.take("b") || p.take("c") {
		t.Errorf("%+v", &p)
	}
	p.give("a")
	if !p.take("c") {
		t.Error("what was given back is not taken")
	}
}

func TestGate(t *testing.T) {
	now := time.Date(2026, 11, 22, 2, 30, 0, 0, time.UTC)
	from := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 1234} }
	g := gate{perMinute: 3}
	admitted := func(address func(n int) string) (n int) {
		for i := range 50 {
			if g.admits(from(address(i)), now) {
				n++
			}
		}
		return n
	}
	if n := admitted(func(int) string { return "10.0.0.1" }); n != 3 {
		t.Errorf("%d attempts from one address", n)
	}
	if n := admitted(func(i int) string { return fmt.Sprintf("2001:db8::%x", i) }); n != 3 {
		t.Errorf("%d attempts from one network of 64 bits", n)
	}
	if n := admitted(func(i int) string { return fmt.Sprintf("10.0.1.%d", i) }); n != 50 {
		t.Errorf("%d attempts from as many addresses", n)
	}
	if !g.admits(from("10.0.0.1"), now.Add(21*time.Second)) {
		t.Error("the next one after a third of a minute")
	}
	for i := range 3 * maxGate { // many addresses do not make it forget one that asks too much
		now = now.Add(time.Minute / 4)
		g.admits(from("10.0.0.1"), now)
		g.admits(from("10.0.0.1"), now)
		g.admits(from(fmt.Sprintf("11.%d.%d.1", i>>8, i&255)), now)
		if len(g.from) > maxGate {
			t.Fatalf("%d addresses are remembered", len(g.from))
		}
	}
	if g.admits(from("10.0.0.1"), now) {
		t.Error("the address that asks too much was forgotten")
	}
}

// stuck is a channel whose requests come, and whose answers are counted.
type stuck struct {
	ssh.Channel
	requests io.Reader
	read     int
}

func (s *stuck) Read(p []byte) (int, error)  { n, err := s.requests.Read(p); s.read += n; return n, err }
func (s *stuck) Write(p []byte) (int, error) { return len(p), nil }

// Behind one slow request a client has no more in hand than the host can hold.
func TestRequestsInHand(t *testing.T) {
	for what, request := range map[string][]byte{
		"reads":                           message(fxpRead, uint32(1), "1", uint64(0), uint32(1<<31)),
		"reads with something behind":     message(fxpRead, uint32(1), "1", uint64(0), uint32(1<<31), []byte{0, 0, 0, 0}),
		"writes":                          message(fxpWrite, uint32(1), "1", uint64(0), strings.Repeat("x", 200<<10)),
		"small ones":                      message(fxpStat, uint32(1), "/"),
		"reads whose handle is no handle": message(fxpRead, uint32(1), uint32(0xfffffff0), uint64(0), uint32(1<<31)),
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := maxInHand/costOf(request) + 50
				ch := &stuck{requests: bytes.NewReader(bytes.Repeat(request, asked))}
				in := newIntake(t.Context(), ch, rate.NewLimiter(rate.Inf, 1<<20), func() {})
				got := 0
				go func() {
					n, _ := io.Copy(io.Discard, in)
					got = int(n) / len(request)
				}()
				synctest.Wait()
				if in.inHand > maxInHand || !in.owes() || len(in.asked) == asked {
					t.Errorf("%d requests, %d bytes in hand", len(in.asked), in.inHand)
				}
				answer := message(fxpData, uint32(1), "answer")
				for range asked {
					in.Write(answer[:3]) // in pieces
					in.Write(answer[3:])
					synctest.Wait()
				}
				if got != asked || in.inHand != 0 || in.owes() {
					t.Errorf("%d of %d requests were read, and %d bytes are still in hand", got, asked, in.inHand)
				}
			})
		})
	}
}

// A client that waits for the host is not idle, however long it takes.
func TestWaitingIsNotIdle(t *testing.T) {
	w := newWorld(t)
	limits := usual()
	limits.Idle = 50 * time.Millisecond
	w.serve(limits)
	r := w.raw()
	lock := flock.New(filepath.Join(w.conf.State, "change.lock"))
	if mine, err := lock.TryLock(); err != nil || !mine {
		t.Fatal(mine, err)
	}
	asked := make(chan error, 1)
	go func() {
		_, _, err := r.tryAsk(fxpOpen, w.conf.Folder+"/"+vault.ReceiptPath(1), uint32(fxfRead), uint32(0))
		asked <- err
	}()
	select {
	case err := <-asked:
		t.Errorf("answered while another command holds the lock: %v", err)
	case <-time.After(20 * limits.Idle): // a slower machine proves as much
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-asked; err != nil {
		t.Errorf("the client was cut while it waited: %v", err)
	}
	if _, _, err := r.answer(); err == nil { // now it asks nothing
		t.Error("an idle client was not cut")
	}
}

// A client that asks and asks and reads no answers is cut.
func TestDeafClient(t *testing.T) {
	w := newWorld(t)
	limits := usual()
	limits.Idle = 300 * time.Millisecond
	w.serve(limits)
	w.night()
	w.blobs["large"] = vaulttest.Random(1, 1<<20)
	w.window()
	r := w.raw()
	h := r.open(w.conf.Folder+"/"+vault.BlobPath("large"), fxfRead)
	sent := make(chan error, 1)
	go func() { // never reads
		for {
			if _, err := r.in.Write(message(fxpRead, uint32(1), h, uint64(0), uint32(1<<20))); err != nil {
				sent <- err
				return
			}
		}
	}()
	select {
	case <-sent:
	case <-time.After(time.Minute):
		t.Error("a client that reads no answers was not cut")
	}
	w.sound(1)
}

func mkfifo(t *testing.T, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
}

// S10: junk in the place of generations to come, or of their signatures, keeps no window
// from being done.
func TestSquatters(t *testing.T) {
	forged := vault.Generation{Number: 3, Site: "lab", Vault: "secondary", Window: "forged", Time: time.Unix(1, 0).UTC()}
	manifest, err := forged.Encode()
	if err != nil {
		t.Fatal(err)
	}
	many := map[string]string{}
	for n := range int64(40) {
		many[vault.GenerationPath(3+n)] = "j"
	}
	for what, files := range map[string]map[string]string{
		"no manifest":             {vault.GenerationPath(3): "junk"},
		"some of them":            {vault.GenerationPath(3): "junk", vault.GenerationPath(4): "", vault.GenerationPath(999): "junk"},
		"a manifest that is ours": {vault.GenerationPath(3): string(manifest)},
		"a signature":             {vault.SignaturePath(3): "junk"},
		"signatures":              {vault.SignaturePath(3): "junk", vault.SignaturePath(4): "junk"},
		"both":                    {vault.GenerationPath(3): string(manifest), vault.SignaturePath(3): "junk", vault.GenerationPath(4): "junk", vault.SignaturePath(5): "junk"},
		"the last number":         {vault.GenerationPath(1<<63 - 1): "junk"},
		"a manifest of no ledger": {vault.GenerationPath(3): strings.Replace(string(manifest), `"previous"`, `"ledger":"other\n1\nxxxx\n","previous"`, 1)},
		"forty of them":           many,
	} {
		t.Run(what, func(t *testing.T) {
			w, before := besieged(t, usual())
			r := w.raw()
			for name, text := range files {
				r.put(w.conf.Folder+"/"+name, []byte(text))
			}
			for range 2 {
				w.night()
				g := w.window().Generation
				w.sound(1, 2, g)
			}
			w.unchanged(before)
		})
	}
}
