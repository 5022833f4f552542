package server

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"airlock/blob"
	"airlock/vault"
)

// model is a file system in memory, to which a recording of system calls is done again.
// It knows what a power cut leaves at the worst: of a file what was synced last, of a
// folder the names that were when it was synced last.
type model struct {
	top  *node
	root string
	fds  map[string]*open
	pend map[string]func() // syncs in course, by thread
}

// node is a file or a folder.
type node struct {
	data, safe      []byte
	names, safeName map[string]*node // nil for a file
}

type open struct {
	*node
	off      int
	appended bool
}

func folderNode() *node { return &node{names: map[string]*node{}, safeName: map[string]*node{}} }

func (n *node) sync() {
	if n.names != nil {
		n.safeName = maps.Clone(n.names)
		return
	}
	n.safe = slices.Clone(n.data)
}

func (n *node) syncAll() {
	n.sync()
	for _, below := range n.names {
		below.syncAll()
	}
}

// modelOf reads a folder, all of it durable.
func modelOf(t testing.TB, root string) *model {
	t.Helper()
	m := &model{top: folderNode(), root: root, fds: map[string]*open{}, pend: map[string]func(){}}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		parent, base := m.find(name)
		if d.IsDir() {
			parent.names[base] = folderNode()
			return nil
		}
		n := &node{}
		parent.names[base] = n
		n.data, err = os.ReadFile(name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	m.top.syncAll()
	return m
}

// find is the folder that a path lies in, nil outside of the root, and the last name.
func (m *model) find(file string) (parent *node, base string) {
	rest, inside := strings.CutPrefix(filepath.Clean(file), m.root+"/")
	if !inside {
		return nil, ""
	}
	parent = m.top
	names := strings.Split(rest, "/")
	for _, name := range names[:len(names)-1] {
		if parent = parent.names[name]; parent == nil || parent.names == nil {
			return nil, ""
		}
	}
	return parent, names[len(names)-1]
}

// at is find for a path that is relative to an open folder.
func (m *model) at(dir, quoted string) (parent *node, base string) {
	file := unquote(quoted)
	if filepath.IsAbs(file) {
		return m.find(file)
	}
	o := m.fds[number(dir)]
	if o == nil || o.names == nil || strings.Contains(file, "/") {
		return nil, ""
	}
	return o.node, file
}

var leading = regexp.MustCompile(`^-?\d+`)

func number(arg string) string { return leading.FindString(arg) }

func unquote(arg string) string {
	b, _ := hex.DecodeString(strings.ReplaceAll(strings.Trim(arg, `".`), `\x`, "")) // strace writes no other
	return string(b)
}

// do does one call again that was answered.
func (m *model) do(call string, args []string, answer string) error {
	if strings.HasPrefix(answer, "-1") || strings.HasPrefix(answer, "?") {
		return nil
	}
	arg := func(n int) int { v, _ := strconv.Atoi(number(args[n])); return v }
	switch call {
	case "openat":
		return m.open(args, number(answer))
	case "fcntl", "dup3":
		if call == "dup3" || strings.HasPrefix(args[1], "F_DUPFD") {
			m.fds[number(answer)] = m.fds[number(args[0])]
		}
	case "write", "pwrite64":
		o := m.fds[number(args[0])]
		if o == nil || o.names != nil {
			return nil
		}
		text := unquote(args[1])
		if strconv.Itoa(len(text)) != number(answer) {
			return fmt.Errorf("%s of %d bytes answered %s", call, len(text), answer)
		}
		off := o.off
		switch {
		case call == "pwrite64":
			off = arg(3)
		case o.appended:
			off = len(o.data)
		}
		if end := off + len(text); end > len(o.data) {
			o.data = append(o.data, make([]byte, end-len(o.data))...)
		}
		copy(o.data[off:], text)
		if call == "write" {
			o.off = off + len(text)
		}
	case "ftruncate":
		if o := m.fds[number(args[0])]; o != nil {
			o.data = append(o.data, make([]byte, max(0, arg(1)-len(o.data)))...)[:arg(1)]
		}
	case "fsync", "fdatasync":
		if o := m.fds[number(args[0])]; o != nil {
			o.sync()
		}
	case "syncfs":
		m.top.syncAll()
	case "mkdirat":
		if p, base := m.at(args[0], args[1]); p != nil {
			p.names[base] = folderNode()
		}
	case "unlinkat":
		if p, base := m.at(args[0], args[1]); p != nil {
			delete(p.names, base)
		}
	case "unlink":
		if p, base := m.at("", args[0]); p != nil {
			delete(p.names, base)
		}
	case "linkat", "renameat", "renameat2":
		from, old := m.at(args[0], args[1])
		to, name := m.at(args[2], args[3])
		if from == nil || to == nil {
			return nil
		}
		to.names[name] = from.names[old]
		if call != "linkat" {
			delete(from.names, old)
		}
	default:
		return fmt.Errorf("%s is not done again here", call)
	}
	return nil
}

func (m *model) open(args []string, fd string) error {
	delete(m.fds, fd)
	if unquote(args[1]) == "." || filepath.Clean(unquote(args[1])) == m.root {
		m.fds[fd] = m.fds[number(args[0])]
		return nil
	}
	p, base := m.at(args[0], args[1])
	if p == nil {
		return nil
	}
	if p.names[base] == nil {
		if !strings.Contains(args[2], "O_CREAT") {
			return fmt.Errorf("%s is opened, and was never made", base)
		}
		p.names[base] = &node{}
	}
	o := &open{node: p.names[base], appended: strings.Contains(args[2], "O_APPEND")}
	if strings.Contains(args[2], "O_TRUNC") {
		o.data = nil
	}
	m.fds[fd] = o
	return nil
}

// remains are what a cut leaves: the bytes of files by path, nil for a folder.
type remains map[string][]byte

// leave gives what a cut leaves. keep says whether what was not synced of one file's bytes,
// or of one folder's names, is kept.
func (n *node) leave(dir string, keep func(folder bool) bool, left remains) {
	names := n.safeName
	if keep(true) {
		names = n.names
	}
	left[dir] = nil
	for _, name := range slices.Sorted(maps.Keys(names)) {
		below, at := names[name], filepath.Join(dir, name)
		if below.names != nil {
			below.leave(at, keep, left)
			continue
		}
		left[at] = append([]byte{}, below.safe...)
		if keep(false) {
			left[at] = append([]byte{}, below.data...)
		}
	}
}

// sum tells remains from others.
func (r remains) sum() blob.Sum {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(r)) {
		fmt.Fprintf(h, "%q %t %d\n", name, r[name] == nil, len(r[name]))
		h.Write(r[name])
	}
	return blob.Sum(h.Sum(nil))
}

// write lays them out in a folder.
func (r remains) write(dir string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(r)) { // a folder comes before what is in it
		if to := filepath.Join(dir, name); r[name] == nil {
			errs = append(errs, os.MkdirAll(to, 0o700))
		} else {
			errs = append(errs, os.WriteFile(to, r[name], 0o600))
		}
	}
	return errors.Join(errs...)
}

// changed are the calls that matter.
const changed = "openat,fcntl,dup3,write,pwrite64,ftruncate,fsync,fdatasync,syncfs,mkdirat,unlinkat,unlink,linkat,renameat,renameat2"

// recorded is one call that was answered, or the beginning of one.
type recorded struct {
	thread, call string
	args         []string
	answer       string
	begins       bool
}

// readTrace reads what strace -f -xx wrote.
func readTrace(t testing.TB, file string) (all []recorded) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cut := map[string]string{}
	lines := bufio.NewReaderSize(f, 1<<20)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return all
		}
		thread, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest = strings.TrimSpace(rest)
		if begun, ok := strings.CutSuffix(rest, "<unfinished ...>"); ok {
			cut[thread] = begun
			call, args, _ := strings.Cut(begun, "(")
			all = append(all, recorded{thread, call, strings.Split(strings.TrimSpace(args), ", "), "", true})
			continue
		}
		if strings.HasPrefix(rest, "<... ") {
			_, end, _ := strings.Cut(rest, "resumed>")
			rest = strings.TrimSpace(cut[thread]) + end
		}
		at := strings.LastIndex(rest, " = ")
		call, args, ok := strings.Cut(rest, "(")
		if !ok || at < 0 {
			continue // a signal, an exit
		}
		args = strings.TrimSuffix(strings.TrimSpace(args[:at-len(call)-1]), ")")
		all = append(all, recorded{thread, call, strings.Split(args, ", "), rest[at+3:], false})
	}
}

// apply does a recorded call again. A sync counts for what there was when it began.
func (m *model) apply(r recorded) error {
	syncs := strings.Contains("fsync fdatasync syncfs", r.call)
	if r.begins {
		if o := m.fds[number(r.args[0])]; syncs && o != nil && r.call != "syncfs" {
			data, names := slices.Clone(o.data), maps.Clone(o.names)
			m.pend[r.thread] = func() { o.safe, o.safeName = data, names }
		}
		return nil
	}
	if end := m.pend[r.thread]; syncs && end != nil {
		delete(m.pend, r.thread)
		end()
		return nil
	}
	return m.do(r.call, r.args, r.answer)
}

// A loss is what a cut takes.
type loss struct {
	what string
	keep func(folder bool) bool
}

func losses(seed uint64) []loss {
	r := rand.New(rand.NewPCG(seed, 1))
	return []loss{
		{"the power went, and all went that was not synced", func(bool) bool { return false }},
		{"the power went, and names stayed whose bytes went", func(folder bool) bool { return folder }},
		{"the process was killed", func(bool) bool { return true }},
		{"the power went, and some went that was not synced", func(bool) bool { return r.IntN(2) == 0 }},
	}
}

// cuts goes through what a cut leaves after each recorded call, or after some, and has
// check look at a world that begins there. What another cut has left just so is not looked
// at again.
func (w *world) cuts(trace string, before *model, some int, check func(after *world, what string)) {
	w.t.Helper()
	calls := readTrace(w.t, trace)
	stride := max(1, len(calls)/some)
	if os.Getenv(everyVariable) != "" {
		stride = 1
	}
	tried, same := 0, 0
	seen := map[blob.Sum]bool{}
	for n, c := range calls {
		if err := before.apply(c); err != nil {
			w.t.Fatalf("call %d of the recording: %s: %v", n, c.call, err)
		}
		last := n == len(calls)-1
		if !last && n%stride != stride-1 || c.begins {
			continue
		}
		for i, l := range losses(uint64(n)) {
			if stride > 1 && !last && i != (n/stride)%4 {
				continue
			}
			left := remains{}
			before.top.leave(".", l.keep, left)
			if sum := left.sum(); seen[sum] {
				same++
				continue
			} else {
				seen[sum] = true
			}
			after := w.leftBy(left)
			check(after, fmt.Sprintf("%s after call %d of %d, %s(%.60s)", l.what, n, len(calls), c.call, strings.Join(c.args, ", ")))
			after.stop()
			if err := errors.Join(after.memory.Close(), os.RemoveAll(after.dir)); err != nil {
				w.t.Fatal(err)
			}
			if tried++; w.t.Failed() {
				return
			}
		}
	}
	w.t.Logf("%d calls, %d cuts, and %d that left what another had left", len(calls), tried, same)
	if tried < some/4 || tried+same < some/2 {
		w.t.Errorf("only %d cuts", tried)
	}
}

// leftBy is a world on what a cut left of another's host. What the site remembers is what
// it does at the end: more than the host may have.
func (w *world) leftBy(left remains) *world {
	w.t.Helper()
	dir := filepath.Join(w.dir, "after")
	after := &world{t: w.t, dir: dir, conf: w.conf, client: w.client, second: w.second, site: w.site, siteKey: w.siteKey, blobs: maps.Clone(w.blobs), nights: w.nights, ahead: w.ahead}
	after.conf.Folder, after.conf.State, after.conf.Now = filepath.Join(dir, "vault"), filepath.Join(dir, "state"), after.now
	if err := left.write(after.dir); err != nil {
		w.t.Fatal(err)
	}
	err := os.CopyFS(filepath.Join(after.dir, "memory"), os.DirFS(filepath.Join(w.dir, "memory")))
	if err != nil {
		w.t.Fatal(err)
	}
	if after.memory, err = vault.OpenMemory(filepath.Join(after.dir, "memory")); err != nil {
		w.t.Fatal(err)
	}
	return after
}

// S9, S10: the power goes at any call of a window, and with it what was not synced. Every
// generation that is there is whole, what has a receipt is there, and the next window
// carries on.
func TestPowerGoes(t *testing.T) {
	strace := withStrace(t)
	w := newWorld(t)
	w.windows(1)
	w.stop()
	before := modelOf(t, w.dir)
	delete(before.top.names, "memory") // the site's
	before.top.sync()
	trace := filepath.Join(t.TempDir(), "trace")
	done := w.alone(false, strace, "-f", "-qq", "-xx", "-s", "100000000", "-e", "trace="+changed, "-o", trace)
	w.night()
	report, err := w.tryWindow()
	if err = errors.Join(err, done()); err != nil || report.Receipt == nil {
		t.Fatal(err)
	}
	ended := false
	w.cuts(trace, before, 24, func(after *world, what string) {
		want := []int64{1}
		if _, err := os.Stat(after.file(vault.ReceiptPath(2))); err == nil {
			want, ended = append(want, 2), true
		}
		after.sound(want...)
		after.carriesOn(what, want...)
	})
	if !ended {
		t.Error("in no case a receipt was given")
	}
}

// S10: the power goes at any call of a prune.
func TestPowerGoesInPrune(t *testing.T) {
	strace := withStrace(t)
	w := newWorld(t)
	w.conf.Keep, w.conf.MinAge = vault.Keep{Hourly: 1}, 0
	w.outlived()
	before := modelOf(t, w.dir)
	delete(before.top.names, "memory")
	before.top.sync()
	trace := filepath.Join(t.TempDir(), "trace")
	if err := w.alone(true, strace, "-f", "-qq", "-xx", "-s", "100000000", "-e", "trace="+changed, "-o", trace)(); err != nil {
		t.Fatal(err)
	}
	w.cuts(trace, before, 16, func(after *world, what string) {
		after.prunesOn(what)
		after.carriesOn(what, 3)
	})
}
