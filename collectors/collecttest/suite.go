// Package collecttest holds the conformance suite that every collectors.Source
// passes, and starts the real servers that it is run against: Debian's smbd and sshd.
package collecttest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"airlock/collectors"
)

// Fixture is a source under test.
type Fixture struct {
	Dir  string          // where the source's root lies on this machine; made by Dir, and empty
	Dial collectors.Dial // opens the source
	// Privileged is set where the source reads past permissions, as root does.
	Privileged bool
	POSIX      bool    // names of any bytes can be had, and pipes are told from files
	Server     *Server // nil for a source without one
	// Linked dials by way of Server.Link, with this time between keep-alives.
	Linked func(keepAlive time.Duration) collectors.Dial
}

// soon is how long a call may take that must not wait for anything.
const soon = 5 * time.Second

// Run runs the suite.
func Run(t *testing.T, f Fixture) {
	t.Run("names", f.names)
	t.Run("wide folder", f.wide)
	t.Run("deep folder", f.deep)
	t.Run("links", f.links)
	t.Run("names that are refused", f.refused)
	t.Run("read", f.read)
	t.Run("read ahead", f.readAhead)
	t.Run("times", f.times)
	t.Run("missing", f.missing)
	if !f.Privileged {
		t.Run("denied", f.denied)
	}
	t.Run("parallel listings", f.listings)
	t.Run("canceled", f.canceled)
	t.Run("closed", f.closed)
	if f.Server != nil {
		t.Run("dead link", f.deadLink)
		t.Run("keep-alive", f.keepAlive)
		t.Run("server killed", f.killed)
		t.Run("redial", f.redial)
	}
}

func (f Fixture) open(t *testing.T) collectors.Source {
	t.Helper()
	src, err := f.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
			t.Error(err)
		}
	})
	return src
}

// file writes a file of random bytes below the root, and gives its name and bytes.
func (f Fixture) file(t testing.TB, name string, size int) []byte {
	t.Helper()
	content := make([]byte, size)
	rand.NewChaCha8(sha256.Sum256([]byte(name))).Read(content)
	f.folder(t, filepath.Dir(name))
	write(t, filepath.Join(f.Dir, name), content, 0o644)
	return content
}

func (f Fixture) folder(t testing.TB, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(f.Dir, name), 0o755); err != nil {
		t.Fatal(err)
	}
}

func (f Fixture) names(t *testing.T) {
	names := []string{
		"会計_日次.dump", "か\u3099ん科", "がん科", "ガ", "ｶﾞ", "with space and + & ' % $", "~$open.xlsx", ".hidden",
		"UPPER", "naïve.txt", "𠮷野家🏥", strings.Repeat("a", 255), strings.Repeat("漢", 85), "empty",
	}
	if f.POSIX {
		names = append(names, "shift-jis \x88\xe3\x8e\x96", `back\slash`, "new\nline")
	}
	for _, n := range names {
		f.file(t, "names/"+n, len(n))
	}
	f.file(t, "names/empty", 0)
	f.folder(t, "names/folder")
	src := f.open(t)
	got, err := src.ReadDir(t.Context(), "names")
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(slices.Values(append(names, "folder")))
	if list := infoNames(got); !slices.Equal(list, want) {
		t.Fatalf("listed %q\nwant   %q", list, want)
	}
	for _, info := range got {
		if info.Name() == "folder" {
			if !info.IsDir() {
				t.Error("a folder is listed as a file")
			}
			continue
		}
		if !info.Mode().IsRegular() {
			t.Errorf("%q has mode %v", info.Name(), info.Mode())
		}
		name := "names/" + info.Name()
		want, err := os.ReadFile(filepath.Join(f.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != int64(len(want)) {
			t.Errorf("%q has size %d, want %d", name, info.Size(), len(want))
		}
		if got := readFile(t, src, name); !bytes.Equal(got, want) {
			t.Errorf("%q has other bytes", name)
		}
		stat, err := src.Stat(t.Context(), name)
		if err != nil || stat.Name() != info.Name() || stat.Size() != info.Size() || !stat.ModTime().Equal(info.ModTime()) {
			t.Errorf("Stat(%q) = %v, %v; listed was %v", name, stat, err, info)
		}
	}
	root, err := src.Stat(t.Context(), ".")
	if err != nil || !root.IsDir() {
		t.Errorf("Stat of the root: %v, %v", root, err)
	}
}

func (f Fixture) wide(t *testing.T) {
	const count = 5000
	f.folder(t, "wide")
	var want []string
	for i := range count {
		want = append(want, fmt.Sprintf("レポート %05d.txt", i))
		write(t, filepath.Join(f.Dir, "wide", want[i]), nil, 0o644)
	}
	got, err := f.open(t).ReadDir(t.Context(), "wide")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(infoNames(got), want) {
		t.Errorf("listed %d of %d, or in another order", len(got), count)
	}
}

func (f Fixture) deep(t *testing.T) {
	name := "deep"
	for i := range 40 {
		name += fmt.Sprintf("/階層 %02d", i)
	}
	want := f.file(t, name+"/底", 10)
	src := f.open(t)
	for dir := "deep"; len(dir) < len(name); {
		list, err := src.ReadDir(t.Context(), dir)
		if err != nil || len(list) != 1 || !list[0].IsDir() {
			t.Fatalf("ReadDir(%q) = %v, %v", dir, list, err)
		}
		dir += "/" + list[0].Name()
	}
	if got := readFile(t, src, name+"/底"); !bytes.Equal(got, want) {
		t.Error("other bytes at the bottom")
	}
}

func (f Fixture) links(t *testing.T) {
	f.file(t, "links/file", 1)
	f.folder(t, "links/folder")
	for name, target := range map[string]string{"to-file": "file", "to-folder": "folder", "to-nothing": "nothing", "out": "/etc"} {
		if err := os.Symlink(target, filepath.Join(f.Dir, "links", name)); err != nil {
			t.Fatal(err)
		}
	}
	if f.POSIX {
		if err := syscall.Mkfifo(filepath.Join(f.Dir, "links/pipe"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	src := f.open(t)
	list, err := src.ReadDir(t.Context(), "links")
	if err != nil {
		t.Fatal(err)
	}
	if got := infoNames(list); !slices.Equal(got, []string{"file", "folder"}) {
		t.Errorf("listed %q", got)
	}
	if file, err := src.Open(t.Context(), "links/out"); err == nil {
		file.Close()
		t.Error("a link that leads out of the root was opened")
	}
	if file, err := src.Open(t.Context(), "links/folder"); err == nil {
		file.Close()
		t.Error("a folder was opened as a file")
	} else if errors.Is(err, collectors.ErrGone) {
		t.Error(err)
	}
}

func (f Fixture) refused(t *testing.T) {
	src := f.open(t)
	for _, name := range []string{"", "..", "../x", "a/../../x", "/etc", "a//b", "./a", "a/", "nul\x00"} {
		_, err1 := src.Stat(t.Context(), name)
		_, err2 := src.ReadDir(t.Context(), name)
		_, err3 := src.Open(t.Context(), name)
		for _, err := range []error{err1, err2, err3} {
			if !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%q: %v, want fs.ErrInvalid", name, err)
			}
		}
	}
}

func (f Fixture) read(t *testing.T) {
	const size = 5<<20 + 4321
	want := f.file(t, "read/large", size)
	file, err := f.open(t).Open(t.Context(), "read/large")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := file.Stat(); err != nil || info.Size() != size || !info.Mode().IsRegular() {
		t.Errorf("Stat = %v, %v", info, err)
	}
	var readers sync.WaitGroup
	for i := range 16 {
		readers.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for range 5 {
				off := random.Int64N(size)
				p := make([]byte, random.IntN(2<<20))
				n, err := file.ReadAt(p, off)
				full := min(int64(len(p)), size-off)
				if int64(n) != full || !bytes.Equal(p[:n], want[off:off+full]) {
					t.Errorf("ReadAt(%d at %d) = %d, %v, or other bytes", len(p), off, n, err)
				}
				if short := n < len(p); short && err != io.EOF || !short && err != nil && err != io.EOF {
					t.Errorf("ReadAt(%d at %d) of %d = %d, %v", len(p), off, size, n, err)
				}
			}
		})
	}
	readers.Wait()
	for _, off := range []int64{size, size + 1, size + 9<<20} {
		if n, err := file.ReadAt(make([]byte, 100), off); n != 0 || err != io.EOF {
			t.Errorf("ReadAt beyond the end = %d, %v", n, err)
		}
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
	if _, err := file.ReadAt(make([]byte, 1), 0); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("ReadAt after Close: %v", err)
	}
	if err := file.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
}

func (f Fixture) readAhead(t *testing.T) {
	src := f.open(t)
	for _, size := range []int{0, 1, 40 << 10, collectors.Block, collectors.Block + 1, 9<<20 + 5} {
		name := fmt.Sprintf("ahead/%d", size)
		want := f.file(t, name, size)
		if got := readFile(t, src, name); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: read %d, or other ones", size, len(got))
		}
	}
}

func (f Fixture) times(t *testing.T) {
	src := f.open(t)
	for i, want := range []time.Time{
		time.Date(1995, 1, 17, 5, 46, 52, 0, time.UTC),
		time.Date(2026, 3, 31, 23, 59, 59, 0, time.UTC),
		time.Date(2037, 12, 31, 0, 0, 1, 0, time.UTC),
	} {
		name := fmt.Sprintf("times/%d", i)
		f.file(t, name, 1)
		if err := os.Chtimes(filepath.Join(f.Dir, name), want, want); err != nil {
			t.Fatal(err)
		}
		info, err := src.Stat(t.Context(), name)
		if err != nil || !info.ModTime().Truncate(time.Second).Equal(want) {
			t.Errorf("mtime of %s: %v, %v; want %v", name, info, err, want)
		}
	}
}

func (f Fixture) missing(t *testing.T) {
	f.file(t, "missing/gone", 10)
	f.file(t, "missing/kept", 10)
	src := f.open(t)
	if _, err := src.ReadDir(t.Context(), "missing"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(f.Dir, "missing/gone")); err != nil {
		t.Fatal(err)
	}
	_, err1 := src.Open(t.Context(), "missing/gone")
	_, err2 := src.Stat(t.Context(), "missing/gone")
	_, err3 := src.ReadDir(t.Context(), "missing/no folder")
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, collectors.ErrGone) || !strings.Contains(err.Error(), "missing/") {
			t.Errorf("%v", err)
		}
	}
	readFile(t, src, "missing/kept")
}

func (f Fixture) denied(t *testing.T) {
	f.file(t, "denied/secret", 10)
	f.file(t, "denied/open", 10)
	f.folder(t, "denied/folder")
	for _, name := range []string{"denied/secret", "denied/folder"} {
		if err := os.Chmod(filepath.Join(f.Dir, name), 0); err != nil {
			t.Fatal(err)
		}
	}
	src := f.open(t)
	_, err1 := src.Open(t.Context(), "denied/secret")
	_, err2 := src.ReadDir(t.Context(), "denied/folder")
	for _, err := range []error{err1, err2} {
		if !errors.Is(err, fs.ErrPermission) || errors.Is(err, collectors.ErrGone) || errors.Is(err, collectors.ErrAuth) {
			t.Errorf("%v", err)
		}
	}
	readFile(t, src, "denied/open")
}

func (f Fixture) listings(t *testing.T) {
	for dir := range 30 {
		for i := range 100 {
			f.file(t, fmt.Sprintf("listings/%02d/%03d", dir, i), 1)
		}
	}
	src := f.open(t)
	var listers sync.WaitGroup
	for dir := range 30 {
		listers.Go(func() {
			for range 10 {
				list, err := src.ReadDir(t.Context(), fmt.Sprintf("listings/%02d", dir))
				if err != nil || len(list) != 100 {
					t.Errorf("folder %d: %d entries, %v", dir, len(list), err)
				}
			}
		})
	}
	listers.Wait()
}

func (f Fixture) canceled(t *testing.T) {
	f.file(t, "canceled", 10)
	src := f.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	file, err := src.Open(ctx, "canceled")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	f.ends(t, src, ctx, file, context.Canceled)
	readFile(t, src, "canceled")
}

// ends holds that every call of src ends soon after ctx did.
func (f Fixture) ends(t *testing.T, src collectors.Source, ctx context.Context, file collectors.File, want error) {
	t.Helper()
	for call, do := range map[string]func() error{
		"ReadDir": func() error { _, err := src.ReadDir(ctx, "."); return err },
		"Stat":    func() error { _, err := src.Stat(ctx, "canceled"); return err },
		"Open":    func() error { _, err := src.Open(ctx, "canceled"); return err },
		"ReadAt":  func() error { _, err := file.ReadAt(make([]byte, 5), 0); return err },
	} {
		began := time.Now()
		if err := do(); !errors.Is(err, want) || errors.Is(err, collectors.ErrGone) {
			t.Errorf("%s: %v, want %v", call, err, want)
		}
		if took := time.Since(began); took > soon {
			t.Errorf("%s took %v", call, took)
		}
	}
	if err := file.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func (f Fixture) closed(t *testing.T) {
	f.file(t, "closed", 10)
	src := f.open(t)
	file, err := src.Open(t.Context(), "closed")
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
	_, err1 := src.ReadDir(t.Context(), ".")
	_, err2 := src.Stat(t.Context(), "closed")
	_, err3 := src.Open(t.Context(), "closed")
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, fs.ErrClosed) || errors.Is(err, collectors.ErrGone) {
			t.Errorf("after Close: %v", err)
		}
	}
	if f.Server != nil {
		if _, err := file.ReadAt(make([]byte, 1), 0); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("ReadAt after Close: %v", err)
		}
	}
	file.Close() // a local file is still open; elsewhere this is an error, as above
}

func (f Fixture) deadLink(t *testing.T) {
	f.file(t, "canceled", 10)
	src, err := f.Linked(time.Hour)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	file, err := src.Open(ctx, "canceled")
	if err != nil {
		t.Fatal(err)
	}
	f.Server.Link.Freeze()
	f.ends(t, src, ctx, file, context.DeadlineExceeded)
	began := time.Now()
	if err := src.Close(); err != nil || time.Since(began) > soon {
		t.Errorf("Close on a dead link: %v after %v", err, time.Since(began))
	}
	if _, err := f.Linked(time.Hour).Within(300 * time.Millisecond)(t.Context()); !errors.Is(err, collectors.ErrGone) || time.Since(began) > soon {
		t.Errorf("Dial on a dead link: %v after %v", err, time.Since(began))
	}
	f.Server.Link.Thaw()
}

func (f Fixture) keepAlive(t *testing.T) {
	src, err := f.Linked(50 * time.Millisecond)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if _, err := src.ReadDir(t.Context(), "."); err != nil {
		t.Fatal(err)
	}
	f.Server.Link.Freeze()
	defer f.Server.Link.Thaw()
	ctx, cancel := context.WithTimeout(t.Context(), 4*soon)
	defer cancel()
	if _, err := src.ReadDir(ctx, "."); !errors.Is(err, collectors.ErrGone) {
		t.Errorf("on a dead link: %v", err)
	}
}

func (f Fixture) killed(t *testing.T) {
	want := f.file(t, "killed/large", 8<<20)
	src := f.open(t)
	r, err := collectors.ReadAhead(t.Context(), src, "killed/large", 4)
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, collectors.Block)
	if _, err := io.ReadFull(r, head); err != nil || !bytes.Equal(head, want[:len(head)]) {
		t.Fatalf("before: %v, or other bytes", err)
	}
	f.Server.Stop(t)
	defer f.Server.Start(t)
	if rest, err := io.ReadAll(r); !errors.Is(err, collectors.ErrGone) {
		t.Errorf("read on to %d bytes: %v", len(rest), err)
	}
	r.Close() // fails as the read did
	_, err1 := src.ReadDir(t.Context(), ".")
	_, err2 := src.Open(t.Context(), "killed/large")
	_, err3 := f.Dial(t.Context())
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, collectors.ErrGone) {
			t.Errorf("with the server gone: %v", err)
		}
	}
}

func (f Fixture) redial(t *testing.T) {
	want := f.file(t, "redial/large", 24<<20)
	f.file(t, "redial/changing", 24<<20)
	src, err := collectors.Redial{Pause: 10 * time.Millisecond}.Open(t.Context(), f.Dial)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	large, err := collectors.ReadAhead(t.Context(), src, "redial/large", 4)
	if err != nil {
		t.Fatal(err)
	}
	changing, err := collectors.ReadAhead(t.Context(), src, "redial/changing", 4)
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 3<<20)
	if _, err := io.ReadFull(large, head); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(changing, make([]byte, 3<<20)); err != nil {
		t.Fatal(err)
	}
	f.Server.Stop(t)
	f.file(t, "redial/changing", 24<<20+1)
	f.Server.Start(t)
	rest, err := io.ReadAll(large)
	if err != nil || sha256.Sum256(append(head, rest...)) != sha256.Sum256(want) {
		t.Errorf("carried on to %d of %d bytes: %v, or other bytes", len(head)+len(rest), len(want), err)
	}
	if _, err := io.ReadAll(changing); err == nil || errors.Is(err, collectors.ErrGone) {
		t.Errorf("a file that changed meanwhile: %v", err)
	}
	if err := errors.Join(large.Close(), changing.Close()); err != nil {
		t.Error(err)
	}
	if _, err := src.ReadDir(t.Context(), "redial"); err != nil {
		t.Error(err)
	}
}

func readFile(t *testing.T, src collectors.Source, name string) []byte {
	t.Helper()
	r, err := collectors.ReadAhead(t.Context(), src, name, 4)
	if err != nil {
		t.Error(err)
		return nil
	}
	content, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Errorf("%q: %v", name, err)
	}
	return content
}

func infoNames(infos []fs.FileInfo) []string {
	names := make([]string, len(infos))
	for i, info := range infos {
		names[i] = info.Name()
	}
	return names
}
