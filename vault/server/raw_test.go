package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"

	"airlock/sshconn"
	"airlock/vault"
)

// The other types of draft-ietf-secsh-filexfer-02.
const (
	fxpInit     = 1
	fxpLstat    = 7
	fxpSetstat  = 9
	fxpRemove   = 13
	fxpMkdir    = 14
	fxpRmdir    = 15
	fxpRealpath = 16
	fxpStat     = 17
	fxpRename   = 18
	fxpReadlink = 19
	fxpSymlink  = 20
	fxpStatus   = 101
	fxpData     = 103
	fxpExtended = 200

	fxfRead = 1
	fxfExcl = 32
)

// raw is a client that sends what it likes.
type raw struct {
	t    testing.TB
	conn *ssh.Client
	in   io.Writer
	out  io.Reader
	id   uint32
}

// raw logs in, and begins an SFTP session.
func (w *world) raw() *raw {
	w.t.Helper()
	r, err := w.tryRaw()
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) tryRaw() (*raw, error) {
	conn, err := sshconn.Dial(w.t.Context(), w.conn)
	if err != nil {
		return nil, err
	}
	w.t.Cleanup(func() { conn.Close() })
	return rawOver(w.t, conn)
}

func rawOver(t testing.TB, conn *ssh.Client) (*raw, error) {
	r := &raw{t: t, conn: conn}
	if _, err := sshconn.Session(t.Context(), conn, func(session *ssh.Session) error {
		var err1, err2 error
		r.in, err1 = session.StdinPipe()
		r.out, err2 = session.StdoutPipe()
		return errors.Join(err1, err2, session.RequestSubsystem("sftp"))
	}); err != nil {
		return nil, err
	}
	if _, err := r.in.Write(message(fxpInit, uint32(3))); err != nil {
		return nil, err
	}
	_, _, err := r.answer()
	return r, err
}

// message encodes a message of numbers, texts and bytes.
func message(kind byte, fields ...any) []byte {
	b := []byte{0, 0, 0, 0, kind}
	for _, f := range fields {
		switch f := f.(type) {
		case string:
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(f))), f...)
		case []byte:
			b = append(b, f...)
		case uint32:
			b = binary.BigEndian.AppendUint32(b, f)
		case uint64:
			b = binary.BigEndian.AppendUint64(b, f)
		default:
			panic(fmt.Sprintf("%T", f))
		}
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// answer reads one message.
func (r *raw) answer() (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r.out, head[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(head[:])-1)
	_, err = io.ReadFull(r.out, body)
	return head[4], body, err
}

// ask sends one request and reads its answer, without the id.
func (r *raw) ask(kind byte, fields ...any) (byte, []byte) {
	r.t.Helper()
	k, body, err := r.tryAsk(kind, fields...)
	if err != nil {
		r.t.Fatal(err)
	}
	return k, body
}

func (r *raw) tryAsk(kind byte, fields ...any) (byte, []byte, error) {
	r.id++
	if _, err := r.in.Write(message(kind, append([]any{r.id}, fields...)...)); err != nil {
		return 0, nil, err
	}
	k, body, err := r.answer()
	if err != nil || len(body) < 4 {
		return 0, nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	return k, body[4:], nil
}

// status is the code of a status; 0 is success.
func status(kind byte, body []byte) (code uint32, text string) {
	if kind != fxpStatus || len(body) < 8 {
		return 1 << 31, fmt.Sprintf("answer of type %d", kind)
	}
	return binary.BigEndian.Uint32(body), string(body[8 : 8+min(len(body)-8, int(binary.BigEndian.Uint32(body[4:])))])
}

// open is a handle; "" if there is none.
func (r *raw) open(name string, flags uint32) string {
	r.t.Helper()
	return handle(r.ask(fxpOpen, name, flags, uint32(0)))
}

func handle(kind byte, body []byte) string {
	if kind != fxpHandle {
		return ""
	}
	return string(body[4:])
}

// put puts a file, and says what the close was answered with.
func (r *raw) put(name string, data []byte) (code uint32, text string) {
	r.t.Helper()
	k, body := r.ask(fxpOpen, name, uint32(fxfWrite|fxfCreat|fxfExcl), uint32(0))
	h := handle(k, body)
	if h == "" {
		return status(k, body)
	}
	for off := 0; off < len(data); off += 32 << 10 {
		part := data[off:min(len(data), off+32<<10)]
		if code, text := status(r.ask(fxpWrite, h, uint64(off), string(part))); code != 0 {
			return code, text
		}
	}
	return status(r.ask(fxpClose, h))
}

// lain is what a finished file is on the disk.
type lain struct {
	sum          [32]byte
	inode, links uint64
	mtime        int64
	mode         fs.FileMode
}

// finishedFiles are all files but those in the host's own folders.
func (w *world) finishedFiles() map[string]lain {
	w.t.Helper()
	all := map[string]lain{}
	err := fs.WalkDir(w.host.folder.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && ours(name):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := w.host.folder.ReadFile(name)
		stat := info.Sys().(*syscall.Stat_t)
		all[name] = lain{sha256.Sum256(data), stat.Ino, uint64(stat.Nlink), info.ModTime().UnixNano(), info.Mode()}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// unchanged wants every one of some finished files to be as it was.
func (w *world) unchanged(before map[string]lain) {
	w.t.Helper()
	after := w.finishedFiles()
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if after[name] != before[name] {
			w.t.Errorf("%s was changed: %+v, and it was %+v", name, after[name], before[name])
		}
	}
}

// withstood wants what two windows brought to be as it was, and the next one to be whole.
func (w *world) withstood(before map[string]lain) {
	w.t.Helper()
	w.unchanged(before)
	w.night()
	w.window()
	w.unchanged(before)
	w.sound(1, 2, 3)
	report, err := w.host.Verify(w.t.Context(), VerifyOptions{})
	if err != nil || len(report.Damaged) > 0 {
		w.t.Errorf("%+v, %v", report, err)
	}
}

// besieged is a host with two generations, and what they look like on the disk.
func besieged(t testing.TB, limits Limits) (*world, map[string]lain) {
	w := newWorld(t)
	w.serve(limits)
	for range 2 {
		w.night()
		w.window()
	}
	return w, w.finishedFiles()
}

// S9: no request of any type, in whatever order of its parts, changes what is finished.
func TestEveryRequest(t *testing.T) {
	w, before := besieged(t, usual())
	r := w.raw()
	at := func(name string) string { return w.conf.Folder + "/" + name }
	blob := ""
	for name := range w.blobs {
		if strings.HasPrefix(name, "p") {
			blob = vault.BlobPath(name)
		}
	}
	free := 0
	for _, target := range []string{blob, vault.BlobPath("kopia.repository"), vault.ShardsName, vault.GenerationPath(1), vault.SignaturePath(2), vault.ReceiptPath(1), "p", "generations", "receipts", "incoming", ""} {
		name := filepath.Join(w.conf.Folder, target)
		for flags := range uint32(64) {
			h := r.open(name, flags)
			if h == "" {
				continue
			}
			if flags&(fxfWrite|fxfAppend|fxfCreat|fxfTrunc) != 0 {
				t.Errorf("%s was opened with flags %#x", target, flags)
			}
			r.ask(fxpWrite, h, uint64(0), "overwritten")
			r.ask(fxpFsetstat, h, uint32(1), uint64(0))
			r.ask(fxpFsetstat, h, uint32(4|8), uint32(0o777), uint32(0), uint32(0))
			r.ask(fxpRead, h, uint64(0), uint32(1<<31))
			r.ask(fxpReaddir, h)
			r.ask(fxpExtended, "fsync@openssh.com", h)
			r.ask(fxpExtended, "fstatvfs@openssh.com", h)
			r.ask(fxpExtended, "copy-data", h, uint64(0), uint64(0), h, uint64(0))
			if code, _ := status(r.ask(fxpClose, h)); code != 0 {
				t.Errorf("%s: closing says %d", target, code)
			}
			if code, _ := status(r.ask(fxpWrite, h, uint64(0), "after the close")); code == 0 {
				t.Errorf("%s: written after the close", target)
			}
		}
		for _, c := range []struct {
			what   string
			kind   byte
			fields []any
		}{
			{"remove", fxpRemove, []any{name}},
			{"rmdir", fxpRmdir, []any{name}},
			{"mkdir", fxpMkdir, []any{name, uint32(0)}},
			{"truncate", fxpSetstat, []any{name, uint32(1), uint64(0)}},
			{"chown", fxpSetstat, []any{name, uint32(2), uint32(0), uint32(0)}},
			{"chmod", fxpSetstat, []any{name, uint32(4), uint32(0o777)}},
			{"utimes", fxpSetstat, []any{name, uint32(8), uint32(0), uint32(0)}},
			{"extended attributes", fxpSetstat, []any{name, uint32(1 << 31), uint32(1), "a", "b"}},
			{"rename away", fxpRename, []any{name, at("elsewhere")}},
			{"rename over", fxpRename, []any{at(vault.BlobPath("kopia.maintenance")), name}},
			{"rename out of the folder", fxpRename, []any{name, w.dir + "/stolen"}},
			{"posix-rename away", fxpExtended, []any{"posix-rename@openssh.com", name, at("elsewhere")}},
			{"posix-rename over", fxpExtended, []any{"posix-rename@openssh.com", at(vault.BlobPath("kopia.maintenance")), name}},
			{"hard link to", fxpExtended, []any{"hardlink@openssh.com", name, at("elsewhere")}},
			{"hard link over", fxpExtended, []any{"hardlink@openssh.com", at(vault.BlobPath("kopia.maintenance")), name}},
			{"symlink to", fxpSymlink, []any{name, at("elsewhere")}},
			{"symlink over", fxpSymlink, []any{at("elsewhere"), name}},
			{"lsetstat", fxpExtended, []any{"lsetstat@openssh.com", name, uint32(1), uint64(0)}},
			{"copy-file", fxpExtended, []any{"copy-file", name, at("elsewhere"), []byte{1}}},
			{"space-available", fxpExtended, []any{"space-available", name}},
			{"unheard of", fxpExtended, []any{"delete-everything@example.com", name}},
		} {
			if code, text := status(r.ask(c.kind, c.fields...)); code == 0 {
				t.Errorf("%s %q was answered as done: %s", c.what, target, text)
			}
			free++
		}
		// These ask, and change nothing.
		for _, kind := range []byte{fxpStat, fxpLstat, fxpRealpath, fxpReadlink, fxpOpendir} {
			r.ask(kind, name)
		}
		r.ask(fxpExtended, "statvfs@openssh.com", name)
		r.ask(fxpExtended, "limits@openssh.com")
	}
	for kind := range 256 { // those that there are not end the session
		k := byte(kind)
		if _, _, err := r.tryAsk(k, at(blob), uint32(0), uint64(0), "and so on"); err != nil {
			if r, err = rawOver(t, r.conn); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := w.host.folder.Lstat("elsewhere"); err == nil {
		t.Error("something was put elsewhere")
	}
	w.withstood(before)
	if w.entries("refusal") == 0 {
		t.Error("no refusal is in the ledger")
	}
}

// S9: a message that lies about its length, its handle or its texts ends its session at
// the most.
func TestMalformedMessages(t *testing.T) {
	w, before := besieged(t, usual())
	name := w.conf.Folder + "/" + vault.GenerationPath(1)
	for what, sent := range map[string][]byte{
		"an empty message":                {0, 0, 0, 0},
		"a message of 4 GiB":              {0xff, 0xff, 0xff, 0xff, fxpWrite},
		"one byte more than there may be": {0, 4, 0, 1, fxpWrite},
		"a message that is cut":           message(fxpRemove, uint32(1), name)[:12],
		"a text of 4 GiB":                 message(fxpRemove, uint32(1), uint32(0xffffffff)),
		"a text of less than none":        message(fxpSetstat, uint32(1), uint32(0x80000000), name),
		"no id":                           message(fxpOpen),
		"an open without flags":           message(fxpOpen, uint32(1), name),
		"a write of more than it has":     message(fxpWrite, uint32(1), "1", uint64(0), uint32(1<<20)),
		"a write at the end of time":      message(fxpWrite, uint32(1), "1", uint64(1<<63-1), "bytes"),
		"a read without a handle":         message(fxpRead, uint32(1), "", uint64(0), uint32(1<<31)),
		"a handle of 200 KiB":             message(fxpClose, uint32(1), strings.Repeat("9", 200<<10)),
		"attributes that are not there":   message(fxpSetstat, uint32(1), name, uint32(0xffffffff)),
		"an extension without a name":     message(fxpExtended, uint32(1)),
		"a rename of one name":            message(fxpExtended, uint32(1), "posix-rename@openssh.com", name),
		"an answer":                       message(fxpStatus, uint32(1), uint32(0), "fine", ""),
		"HTTP":                            []byte("GET / HTTP/1.1\r\nHost: vault\r\n\r\n"),
	} {
		t.Run(what, func(t *testing.T) {
			r := w.raw()
			if _, err := r.in.Write(sent); err != nil {
				t.Fatal(err)
			}
			if _, err := r.in.Write(bytes.Repeat([]byte{0}, 64)); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			r.conn.Close()
		})
	}
	w.withstood(before)
}

// S9: no name leads out of the folder, or into what is the host's own.
func TestPathTricks(t *testing.T) {
	w, before := besieged(t, usual())
	r := w.raw()
	f := w.conf.Folder
	long := strings.Repeat("n", 300)
	for _, name := range []string{
		"/etc/passwd", "/", "", ".", "..", f + "/..", f + "/../vault2", f + "/p/../../x", "../x", "../../../../../../etc/x",
		f + "x", f + "/../" + filepath.Base(w.conf.State) + "/index.db", w.conf.State + "/index.db", w.conf.State + "/keys/receipt.key",
		f + "/a\x00b", f + "/p\x00/../../x", f + "/a\nb", f + "/a\x7fb", f + "/\xff\xfe", f + `/a\b`, f + `/..\..\x`, f + "/" + long, f + strings.Repeat("/d", 40) + "/x",
		f + "/receipts/00000001.note", f + "/receipts/x", f + "/RECEIPTS/x", f + "/Incoming/x", f + "/incoming/deep/x", f + "/incoming", f + "/receipts",
		f + "/" + vault.GenerationPath(1) + "/x", f + "/" + vault.GenerationPath(1) + "/../00000002.json", f + "//" + vault.GenerationPath(2), f + "/./" + vault.GenerationPath(2) + "/",
		f + "/p", f + "/z", f + "/p/zzz", f + "/q/abc", f + "/versions", f + "/versions/" + strings.Repeat("0", 64),
	} {
		short := fmt.Sprintf("%.60q", name)
		if code, text := r.put(name, []byte("not wanted")); code == 0 {
			t.Errorf("put %s: %s", short, text)
		}
		if code, _ := status(r.ask(fxpRename, f+"/"+vault.GenerationPath(1), name)); code == 0 {
			t.Errorf("renamed to %s", short)
		}
		if code, _ := status(r.ask(fxpSymlink, name, f+"/link")); code == 0 {
			t.Errorf("linked to %s", short)
		}
		if !strings.HasPrefix(filepath.Clean(name), f) || strings.HasPrefix(filepath.Clean(name), f+"x") {
			if h := r.open(name, fxfRead); h != "" {
				t.Errorf("opened %s", short)
			}
			if code, _ := status(r.ask(fxpMkdir, name, uint32(0))); code == 0 {
				t.Errorf("made %s", short)
			}
		}
	}
	for _, name := range []string{vault.GenerationPath(9), vault.SignaturePath(9), ".shards", "p/abc/" + strings.Repeat("d", 30) + ".f", "kopia.repository.f"} {
		if code, _ := status(r.ask(fxpMkdir, f+"/"+name, uint32(0))); code == 0 {
			t.Errorf("a folder is in the place of %s", name)
		}
	}
	var beside []string
	entries, err := fs.Glob(w.host.folder.FS(), "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains([]string{".shards", "generations", "incoming", "receipts", "versions", "p", "q", "x"}, e) && !strings.HasPrefix(e, "kopia.") {
			beside = append(beside, e)
		}
	}
	if len(beside) > 0 {
		t.Errorf("left behind: %q", beside)
	}
	w.withstood(before)
}
