package ledger

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// childVariable, when set, makes this test binary append to the ledger that it names
// until it is killed.
const childVariable = "AIRLOCK_TEST_LEDGER"

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		fmt.Fprintln(os.Stderr, appendForEver(path))
		os.Exit(1)
	}
	if path := os.Getenv(faultVariable); path != "" {
		do := appendSome
		if os.Getenv(faultVariable+"_KEY") != "" {
			do = archiveAll
		}
		if err := do(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func open(t testing.TB, path string) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func fresh(t testing.TB) *Ledger {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "ledger.db"))
}

func mustAppend(t testing.TB, l *Ledger, entries ...Entry) []Entry {
	t.Helper()
	for i, e := range entries {
		written, err := l.Append(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		entries[i] = written
	}
	return entries
}

func list(t testing.TB, r *Reader, f Filter) []Entry {
	t.Helper()
	var entries []Entry
	for e, err := range r.Entries(t.Context(), f) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries
}

// wantWhole checks that the numbers run 1, 2, 3 … and the file is sound.
func wantWhole(t testing.TB, r *Reader, n int) []Entry {
	t.Helper()
	entries := list(t, r, Filter{})
	if len(entries) != n {
		t.Fatalf("the ledger has %d entries, want %d", len(entries), n)
	}
	for i, e := range entries {
		if e.Seq != int64(i+1) {
			t.Fatalf("entry %d has the number %d", i+1, e.Seq)
		}
	}
	if err := r.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestAppendedIsListed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd ?#% 名前", "ledger.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	tokyo := time.FixedZone("JST", 9*3600)
	before := time.Now()
	e, err := l.Append(t.Context(), Entry{
		Time: time.Date(2026, 11, 21, 2, 30, 0, 123456789, tokyo), Kind: KindDoor, Actor: "user root", Reason: "眼科 の <復元>",
		Door: "vault", Window: "w1", From: "shut", To: "opening", Detail: json.RawMessage("{ \"ifIndex\": 3,\n\"alias\":\"<p3>\" }"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if e.Seq != 1 || e.Recorded.Before(before.Round(0)) || e.Late {
		t.Errorf("Append gave %+v", e)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := list(t, &open(t, path).Reader, Filter{})
	if len(got) != 1 || !reflect.DeepEqual(got[0], e) {
		t.Errorf("listed %+v\nwant   %+v", got, e)
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if got[0].Run == "" || got[0].Mono <= 0 || got[0].Clock == "" {
		t.Errorf("the entry does not say by which clock: %+v", got[0])
	}
	got[0].Recorded, got[0].Run, got[0].Mono, got[0].Clock, got[0].ClockError = got[0].Time, "r1", 5, "free", 0
	if err := enc.Encode(got[0]); err != nil {
		t.Fatal(err)
	}
	const want = `{"v":2,"seq":1,"time":"2026-11-20T17:30:00.123456789Z","recorded":"2026-11-20T17:30:00.123456789Z","kind":"door",` +
		`"actor":"user root","reason":"眼科 の <復元>","door":"vault","window":"w1","from":"shut","to":"opening","run":"r1","mono":5,"clock":"free","detail":{"ifIndex":3,"alias":"<p3>"}}` + "\n"
	if line.String() != want {
		t.Errorf("as JSON %swant    %s", line.String(), want)
	}
	if plain, err := json.Marshal(Entry{}); err != nil || !bytes.Contains(plain, []byte(`"reason":""`)) {
		t.Errorf("an entry without a reason is %s, %v; reason is always present", plain, err)
	}
}

// S1: A door is opened only after its intent is durable in the ledger.
func TestWriterSyncsAtEveryCommit(t *testing.T) {
	l := fresh(t)
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal"} {
		var got string
		if err := l.writer.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", pragma, got, err, want)
		}
	}
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	l := open(t, filepath.Join(dir, "ledger.db"))
	mustAppend(t, l, at(0))
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", f.Name(), info.Mode(), err)
		}
	}
	if want := []string{"ledger.db", "ledger.db-shm", "ledger.db-wal"}; !slices.Equal(names, want) {
		t.Errorf("the folder holds %v, want %v", names, want)
	}
	if _, err := Open(t.Context(), filepath.Join(dir, "missing", "ledger.db"), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a missing folder: %v", err)
	}
	if _, err := OpenReader(t.Context(), filepath.Join(dir, "other.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading a missing ledger: %v", err)
	}
}

// Whoever opens first at the same instant, there is one ledger.
func TestCreateTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			l, err := Open(t.Context(), path, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := l.Append(t.Context(), at(0)); err != nil {
				t.Error(err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	wantWhole(t, &open(t, path).Reader, 8)
}

func TestNothingIsChangedOrRemoved(t *testing.T) {
	l := fresh(t)
	before := mustAppend(t, l, at(0), at(1), at(2))
	const columns = "(seq, time, recorded, late, kind, actor, reason) VALUES "
	for _, statement := range []string{
		"UPDATE entry SET reason = 'x' WHERE seq = 2",
		"UPDATE OR IGNORE entry SET seq = 9 WHERE seq = 3",
		"UPDATE OR REPLACE entry SET seq = 2 WHERE seq = 3",
		"DELETE FROM entry WHERE seq = 3",
		"DELETE FROM entry",
		"INSERT INTO entry " + columns + "(2, 1, 1, 0, 'door', 'a', 'r')",
		"INSERT INTO entry " + columns + "(0, 1, 1, 0, 'door', 'a', 'r')",
		"INSERT INTO entry " + columns + "(-1, 1, 1, 0, 'door', 'a', 'r')",
		"INSERT INTO entry " + columns + "(5, 1, 1, 0, 'door', 'a', 'r')",
		"INSERT INTO entry " + columns + "(NULL, 1, 1, 0, 'door', 'a', 'r')",
		"INSERT OR REPLACE INTO entry " + columns + "(2, 1, 1, 0, 'door', 'a', 'r')",
		"INSERT OR IGNORE INTO entry " + columns + "(5, 1, 1, 0, 'door', 'a', 'r')",
		"INSERT INTO entry " + columns + "(2, 1, 1, 0, 'door', 'a', 'r') ON CONFLICT DO UPDATE SET reason = 'x'",
		"INSERT INTO entry " + columns + "(4, 'now', 1, 0, 'door', 'a', 'r')", // STRICT
	} {
		for _, recursive := range []string{"ON", "OFF"} {
			if _, err := l.writer.Exec("PRAGMA recursive_triggers = " + recursive); err != nil {
				t.Fatal(err)
			}
			if _, err := l.writer.Exec(statement); err == nil {
				t.Errorf("with recursive_triggers %s, the ledger let pass: %s", recursive, statement)
			}
		}
	}
	if after := wantWhole(t, &l.Reader, 3); !reflect.DeepEqual(after, before) {
		t.Errorf("the ledger is\n%+v\nand was\n%+v", after, before)
	}
	if _, err := l.Reader.db.Exec("INSERT INTO entry " + columns + "(4, 1, 1, 0, 'door', 'a', 'r')"); err == nil {
		t.Error("a reader could write")
	}
}

// fill takes from the ledger every byte it could still grow by, with SQLite's own
// bound on the size of a file; the next transaction gets the SQLITE_FULL of a full
// disk. The returned function gives the room back.
func fillUp(t *testing.T, l *Ledger) (release func()) {
	t.Helper()
	set := func(pages int) {
		if _, err := l.writer.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Error(err)
		}
	}
	set(1) // SQLite takes what there is for the least
	return func() { set(1 << 30) }
}

// big is an entry that does not fit into a page that is there already.
func big(n int) Entry {
	e := at(n)
	e.Detail = quoted(strings.Repeat("x", 4000))
	return e
}

// S1: If the ledger cannot take the entry, the door stays shut.
func TestFullLedgerRefuses(t *testing.T) {
	l := fresh(t)
	mustAppend(t, l, big(0), big(1))
	release := fillUp(t, l)
	for range 3 {
		_, err := l.Append(t.Context(), big(2))
		if err == nil || !strings.Contains(err.Error(), l.path) || !strings.Contains(err.Error(), "free some space") {
			t.Errorf("appending to a full ledger: %v; want what to do", err)
		}
	}
	release()
	if got := mustAppend(t, l, big(3)); got[0].Seq != 3 {
		t.Errorf("the entry after the failures has the number %d, want 3", got[0].Seq)
	}
	wantWhole(t, &l.Reader, 3)
}

// S2: What could not be logged then is logged as soon as it can be, marked late.
func TestNotedBeforeAFullLedgerIsLate(t *testing.T) {
	l := fresh(t)
	mustAppend(t, l, big(0))
	release := fillUp(t, l)
	first, second := big(1), big(2)
	l.Note(first)
	if _, err := l.Append(t.Context(), big(9)); err == nil {
		t.Error("an entry was appended although the one noted before it cannot be written")
	}
	l.Note(second)
	for range 2 { // the second refusal comes after the rescue that followed the first
		if _, err := l.Append(t.Context(), big(9)); err == nil {
			t.Error("an entry was appended although two noted before it cannot be written")
		}
	}
	if n, cause := l.Pending(); n != 2 || cause == nil {
		t.Errorf("%d entries are pending because of %v, want 2 and a cause", n, cause)
	}
	if left, _, err := l.late.read(); err != nil || len(left) != 2 {
		t.Errorf("the emergency file holds %d entries, %v; want 2", len(left), err)
	}
	release()
	intent := mustAppend(t, l, big(3))[0]
	if intent.Seq != 4 || intent.Late {
		t.Errorf("the entry behind the late ones is %d, late %v; want 4, false", intent.Seq, intent.Late)
	}
	all := wantWhole(t, &l.Reader, 4)
	for i, want := range []Entry{first, second} {
		if got := all[i+1]; !got.Late || !got.Time.Equal(want.Time) || got.Kind != want.Kind {
			t.Errorf("late entry: %+v; want %+v, late", got, want)
		}
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	waitGone(t, l)
}

// waitGone waits until the writer, which answers first and tidies up after, has
// removed the emergency file: Close lets it finish.
func waitGone(t *testing.T, l *Ledger) {
	t.Helper()
	if err := l.queue.close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(string(l.late)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the emergency file is still there: %v", err)
	}
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mount a small disk: %v", err)
		}
		t.Skipf("no small disk to be had here, it takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	l, err := Open(t.Context(), filepath.Join(dir, "ledger.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for err == nil { // S1: each of them is durable, until one is not
		if _, err = l.Append(t.Context(), big(acknowledged)); err == nil {
			acknowledged++
		}
	}
	if acknowledged == 0 || !strings.Contains(err.Error(), "free some space") {
		t.Fatalf("after %d entries: %v; want to be told to free some space", acknowledged, err)
	}
	ballast := filepath.Join(dir, "ballast")
	for block := make([]byte, 4096); ; {
		f, err := os.OpenFile(ballast, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_, full := f.Write(block)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if full != nil {
			break
		}
	}
	l.Note(big(acknowledged)) // S2: neither waits nor fails
	if _, err := l.Append(t.Context(), big(0)); err == nil {
		t.Error("appended to a full disk")
	}
	if n, cause := l.Pending(); n != 1 || cause == nil {
		t.Errorf("%d entries pending because of %v, want 1", n, cause)
	}
	if got := len(list(t, &l.Reader, Filter{})); got != acknowledged {
		t.Errorf("on the full disk %d entries are read, want %d", got, acknowledged)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	all := wantWhole(t, &l.Reader, acknowledged+1)
	if last := all[acknowledged]; !last.Late {
		t.Errorf("the entry that found the disk full is not late: %+v", last)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// S2: what a process could not log, the next one does.
func TestEmergencyFileIsTakenIn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	l, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, big(0))
	fillUp(t, l)
	l.Note(big(1))
	l.Note(big(2))
	if err := l.Close(); err == nil || !strings.Contains(err.Error(), "2 entries are not in the ledger yet, 0 of them not in the emergency file") {
		t.Errorf("closing with entries pending: %v", err)
	}
	l.Note(big(3)) // after Close
	if err := Keep(path, big(4)); err != nil {
		t.Fatal(err)
	}

	l, err = Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if next := mustAppend(t, l, big(5))[0]; next.Seq != 6 {
		t.Errorf("the first entry of the new process has the number %d, want 6", next.Seq)
	}
	for i, e := range wantWhole(t, &l.Reader, 6) {
		if want := canonical(big(i)); !e.Time.Equal(want.Time) || !bytes.Equal(e.Detail, want.Detail) || e.Late != (i > 0 && i < 5) {
			t.Errorf("entry %d: %+v", i+1, e)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(string(l.late)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the emergency file is still there: %v", err)
	}
}

// A process may end between writing late entries and removing the file.
func TestEmergencyFileIsNotTakenInTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	for range 2 {
		if err := Keep(path, at(0), at(1), at(1)); err != nil {
			t.Fatal(err)
		}
		l, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		wantWhole(t, &l.Reader, 2)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestEmergencyFileCutShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	if err := Keep(path, at(0), at(1)); err != nil {
		t.Fatal(err)
	}
	file := string(lateFileOf(path))
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data[:len(data)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Keep(path, at(2)); err != nil { // goes on behind the torn line
		t.Fatal(err)
	}
	l := open(t, path)
	if err := l.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	all := wantWhole(t, &l.Reader, 3)
	if all[0].Kind != at(0).Kind || all[1].Kind != KindAlarm || !bytes.Contains(all[1].Detail, []byte("complete")) || all[2].Kind != at(2).Kind {
		t.Errorf("taken in: %+v", all)
	}
}

func TestTwoWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	var all sync.WaitGroup
	for range 2 {
		l := open(t, path)
		for range 4 {
			all.Go(func() {
				for n := range 25 {
					if _, err := l.Append(t.Context(), at(n)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	wantWhole(t, &open(t, path).Reader, 200)
}

func TestReaderBesideWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	read := func(want int) {
		t.Helper()
		r, err := OpenReader(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		wantWhole(t, r, want)
		if n, err := r.Count(t.Context()); err != nil || n != int64(want) {
			t.Errorf("Count gives %d, %v; want %d", n, err, want)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	l, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	read(0)
	mustAppend(t, l, at(0), at(1))
	read(2)

	// A transaction that is being made hinders no reader.
	tx, err := l.writer.Begin()
	if err != nil {
		t.Fatal(err)
	}
	read(2)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	read(2) // alone, with neither -wal nor -shm there
	l = open(t, path)
	mustAppend(t, l, at(2))
	read(3)
}

// Entries lists what there was when it began, and lets the loop append.
func TestEntriesWhileAppending(t *testing.T) {
	l := fresh(t)
	for n := range 2*pageSize + 1 {
		l.Note(at(n))
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	for e, err := range l.Entries(t.Context(), Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; e.Seq != int64(n) {
			t.Fatalf("entry %d has the number %d", n, e.Seq)
		}
		if n%100 == 0 {
			mustAppend(t, l, at(0))
		}
	}
	if n != 2*pageSize+1 {
		t.Errorf("the loop saw %d entries, want %d", n, 2*pageSize+1)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	var last error
	for _, err := range l.Entries(ended, Filter{}) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("with an ended context: %v", last)
	}
}

// appendForEver prints the number of each entry once it is acknowledged.
func appendForEver(path string) error {
	l, err := Open(context.Background(), path, Options{})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for caller := range 4 {
		go func() {
			for n := caller; ; n++ {
				e, err := l.Append(context.Background(), at(n))
				if err == nil {
					_, err = fmt.Printf("%d %d\n", e.Seq, n)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return <-failed
}

// S1: an intent that was acknowledged is there, whatever happened next.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	acknowledged := map[int64]int{}
	for range 8 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childVariable+"="+path)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		kill := rand.IntN(300)
		for lines := bufio.NewScanner(out); lines.Scan(); kill-- {
			var seq int64
			var n int
			if _, err := fmt.Sscan(lines.Text(), &seq, &n); err != nil {
				break // the line that the kill cut short
			}
			acknowledged[seq] = n
			if kill == 0 {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := child.Wait(); err == nil || kill > 0 {
			t.Fatalf("the child ended by itself: %v", err)
		}
		r, err := OpenReader(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		n, err := r.Count(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range wantWhole(t, r, int(n)) {
			if n, ok := acknowledged[int64(i+1)]; ok && !e.Time.Equal(at(n).Time) {
				t.Errorf("entry %d is another than the acknowledged one: %+v", i+1, e)
			}
			delete(acknowledged, int64(i+1))
		}
		if len(acknowledged) > 0 {
			t.Errorf("acknowledged entries are missing: %v", acknowledged)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// sound returns the bytes of a closed ledger of some entries.
func sound(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 50 {
		mustAppend(t, l, at(n))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// wantRefused checks that the file is refused as damaged, to writers and readers, in
// words that help, and is not touched.
func wantRefused(t *testing.T, path string) {
	t.Helper()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, forWriter := Open(t.Context(), path, Options{})
	_, forReader := OpenReader(t.Context(), path)
	for _, err := range []error{forWriter, forReader} {
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "move it aside") {
			t.Errorf("a damaged file: %v; want ErrDamaged, its name and what to do", err)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the damaged file was changed, %v", err)
	}
}

func TestDamage(t *testing.T) {
	whole := sound(t)
	for name, data := range map[string][]byte{
		"empty":               {},
		"text":                []byte(strings.Repeat("not a database\n", 1000)),
		"short":               whole[:50],
		"header only":         whole[:100],
		"half":                whole[:len(whole)/2],
		"one page less":       whole[:len(whole)-4096],
		"first page of zeros": slices.Concat(make([]byte, 4096), whole[4096:]),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger.db")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			wantRefused(t, path)
		})
	}
	for name, statement := range map[string]string{
		"trigger dropped":     "DROP TRIGGER entry_is_kept",
		"trigger added":       "CREATE TRIGGER t AFTER INSERT ON entry BEGIN SELECT 1; END",
		"trigger weakened":    "DROP TRIGGER entry_stays; CREATE TRIGGER entry_stays BEFORE UPDATE ON entry BEGIN SELECT 1; END",
		"first entry removed": "PRAGMA writable_schema = ON; DROP TRIGGER entry_is_kept; DELETE FROM entry WHERE seq = 1; " + triggerText("entry_is_kept"),
		"another program's":   "PRAGMA application_id = 1",
		"version zero":        "PRAGMA user_version = 0",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger.db")
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			rawExec(t, path, statement)
			wantRefused(t, path)
		})
	}
	t.Run("file gone, -wal left", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger.db")
		if err := os.WriteFile(path+"-wal", []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("opening: %v; want ErrDamaged", err)
		}
	})
}

func rawExec(t *testing.T, path, statement string) {
	t.Helper()
	db, err := connect(path, forWriting)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// A flipped bit of the header is refused, or does no harm to any entry.
func TestHeaderBits(t *testing.T) {
	whole := sound(t)
	dir := t.TempDir()
	refused := 0
	for bit := range 100 * 8 {
		if !exhaustive() && bit%8 != bit/8%8 { // one of each byte
			continue
		}
		path := filepath.Join(dir, strconv.Itoa(bit)+".db")
		data := slices.Clone(whole)
		data[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(t.Context(), path, Options{})
		if err != nil {
			refused++
			if !strings.Contains(err.Error(), path) {
				t.Errorf("bit %d of byte %d: the error does not name the file: %v", bit%8, bit/8, err)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(data, after) {
				t.Errorf("bit %d of byte %d: the refused file was changed, %v", bit%8, bit/8, err)
			}
			continue
		}
		for i, e := range list(t, &l.Reader, Filter{}) {
			if !e.Time.Equal(at(i).Time) || e.Seq != int64(i+1) || e.Reason != at(i).Reason {
				t.Errorf("bit %d of byte %d: entry %d is read as %+v", bit%8, bit/8, i+1, e)
				break
			}
		}
		if n, err := l.Count(t.Context()); err != nil || n != 50 {
			t.Errorf("bit %d of byte %d: %d entries, %v; want 50", bit%8, bit/8, n, err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("bit %d of byte %d: %v", bit%8, bit/8, err)
		}
	}
	if refused < 25 {
		t.Errorf("only %d flipped bits were refused", refused)
	}
}

func TestNewerVersionIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	if err := os.WriteFile(path, sound(t), 0o600); err != nil {
		t.Fatal(err)
	}
	rawExec(t, path, fmt.Sprintf("PRAGMA user_version = %d", len(migrations())+1))
	for _, openIt := range []func() error{
		func() error { _, err := Open(t.Context(), path, Options{}); return err },
		func() error { _, err := OpenReader(t.Context(), path); return err },
	} {
		if err := openIt(); err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "run the newer airlock") {
			t.Errorf("a newer schema: %v", err)
		}
	}
}

func TestCheckFindsAGap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	if err := os.WriteFile(path, sound(t), 0o600); err != nil {
		t.Fatal(err)
	}
	rawExec(t, path, "DROP TRIGGER entry_is_kept; DELETE FROM entry WHERE seq = 7; "+triggerText("entry_is_kept"))
	if err := open(t, path).Check(t.Context()); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "1 entries are missing") {
		t.Errorf("Check of a ledger without its seventh entry: %v", err)
	}
}

// Status polls call Last many times: no such call may walk the ledger.
func TestLastIsLookedUp(t *testing.T) {
	l := fresh(t)
	for _, c := range []struct {
		f     Filter
		index string
	}{
		{Filter{}, "INTEGER PRIMARY KEY"},
		{Filter{Kind: KindStart}, "entry_by_kind"},
		{Filter{Window: "w"}, "entry_by_window"},
		{Filter{Kind: KindDoor, Window: "w"}, "entry_by_window"},
		{Filter{Kind: KindDoor, Door: "d"}, "entry_by_door"},
		{Filter{Kind: KindDoor, Door: "d", To: "shut"}, "entry_by_door_to"},
		{Filter{Kind: KindGather, System: "s"}, "entry_by_system"},
		{Filter{Kind: KindGather, System: "s", To: "complete"}, "entry_by_system_to"},
		{Filter{Kind: KindWindow, Vault: "v"}, "entry_by_vault"},
		{Filter{Kind: KindWindow, Vault: "v", To: "complete"}, "entry_by_vault_to"},
	} {
		where, args := c.f.where(0, 1<<62)
		rows, err := l.Reader.db.Query("EXPLAIN QUERY PLAN "+selectEntry+where+" ORDER BY seq DESC LIMIT 1", args...)
		if err != nil {
			t.Fatal(err)
		}
		plan := planOf(t, rows)
		if !strings.HasPrefix(plan, "SEARCH entry USING ") || !strings.Contains(plan, c.index+" (") {
			t.Errorf("Last(%+v) goes by: %s; want a search in %s and no sorting", c.f, plan, c.index)
		}
	}
}

func planOf(t *testing.T, rows *sql.Rows) string {
	t.Helper()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "; ")
}
