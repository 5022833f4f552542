package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"airlock/ledger/proof"

	"golang.org/x/mod/sumdb/note"
)

// faultVariable, when set, makes this test binary write some entries to the ledger that
// it names, come what may, and print what was acknowledged.
const faultVariable = "AIRLOCK_TEST_FAULT"

// appendSome goes through everything that a ledger does with its files.
func appendSome(path string) error {
	l, err := Open(context.Background(), path, Options{})
	if err != nil {
		return err
	}
	for n := range 8 {
		if n%3 == 2 {
			l.Note(at(100 + n))
		}
		if e, err := l.Append(context.Background(), big(n)); err == nil {
			fmt.Printf("%d %d\n", e.Seq, n)
		}
	}
	return l.Close()
}

// archiveAll is the other thing that is done under faults: it needs a key.
func archiveAll(path string) error {
	signer, err := note.NewSigner(os.Getenv(faultVariable + "_KEY"))
	if err != nil {
		return err
	}
	l, err := Open(context.Background(), path, Options{Signer: signer})
	if err != nil {
		return err
	}
	_, err = l.Archive(context.Background(), big(1000).Time, Entry{Actor: "user root"}, proof.Header{}, os.Getenv(faultVariable+"_PUBLIC"))
	return errors.Join(err, l.Close())
}

// S1, S2, S11: whichever system call fails, once, or is the last that the process makes:
// the ledger opens and verifies, and no acknowledged entry is missing.
func TestEachSystemCallFails(t *testing.T) {
	strace, err := exec.LookPath("strace")
	switch {
	case testing.Short():
		t.Skip("some hundred processes under strace")
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	}
	// The nth call: all that differ in a short life; a few of each where every test runs.
	times := map[string][]int{"error=ENOSPC": {2}, "error=EIO": {1}, "signal=KILL": {3}}
	if exhaustive() {
		every := []int{1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 16, 21, 27, 34, 45, 60, 80, 110, 150}
		times = map[string][]int{"error=ENOSPC": every, "error=EIO": every, "signal=KILL": every}
	}
	var hit atomic.Int64
	t.Run("calls", func(t *testing.T) {
		for _, call := range []string{"openat", "pwrite64", "pread64", "fdatasync", "fsync", "ftruncate", "unlink", "unlinkat", "linkat", "mmap", "write"} {
			t.Run(call, func(t *testing.T) {
				t.Parallel()
				for how, times := range times {
					for _, when := range times {
						if (&fault{strace, call, how, when}).appending(t) {
							hit.Add(1)
						}
					}
				}
			})
		}
		for _, call := range []string{"openat", "write", "pwrite64", "read", "fdatasync", "fsync", "ftruncate", "mkdirat", "renameat", "lseek", "newfstatat"} {
			t.Run("archive/"+call, func(t *testing.T) {
				t.Parallel()
				for how, times := range times {
					for _, when := range times {
						if (&fault{strace, call, how, when}).archiving(t) {
							hit.Add(1)
						}
					}
				}
			})
		}
	})
	t.Logf("%d faults", hit.Load())
	if least := int64(len(times["error=EIO"])) * 15; hit.Load() < min(least, 100) {
		t.Errorf("only %d system calls could be made to fail", hit.Load())
	}
}

// fault is a system call that fails once, or is the last.
type fault struct {
	strace, call, how string
	when              int
}

func (f *fault) String() string { return fmt.Sprintf("%s, %s, time %d", f.call, f.how, f.when) }

// strike runs this test binary under the fault, of which only calls on these paths are
// counted, and returns what it printed, and whether there was such a call.
func (f *fault) strike(t *testing.T, env []string, paths ...string) (out string, struck bool) {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	args := []string{"-f", "-qq", "-o", trace, "-e", "trace=" + f.call, "-e", fmt.Sprintf("inject=%s:%s:when=%d", f.call, f.how, f.when)}
	for _, p := range paths {
		args = append(args, "-P", p)
	}
	child := exec.CommandContext(t.Context(), f.strace, append(args, os.Args[0])...)
	child.Env = append(os.Environ(), env...)
	said, err := child.Output()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	log, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	return string(said), bytes.Contains(log, []byte("INJECTED")) || bytes.Contains(log, []byte("killed by SIGKILL"))
}

// files are those of a ledger.
func files(path string) []string {
	return []string{path, path + "-wal", path + "-shm", path + "-journal", string(lateFileOf(path)), filepath.Dir(path)}
}

// appending has a writer meet the fault, and reports whether it did.
func (f *fault) appending(t *testing.T) bool {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state", "ledger.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if f.when%2 == 0 { // half of them with a ledger that is there already
		mustClose(t, path)
	}
	out, struck := f.strike(t, []string{faultVariable + "=" + path}, files(path)...)
	if !struck {
		return false
	}
	acknowledged := map[int64]int{}
	for line := range strings.Lines(out) {
		var seq int64
		var n int
		if _, err := fmt.Sscan(line, &seq, &n); err == nil && strings.HasSuffix(line, "\n") {
			acknowledged[seq] = n
		}
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && len(acknowledged) == 0 {
		return true
	}
	wantSound(t, f.String(), path, acknowledged)
	return true
}

// archiving has the fault happen while entries are archived, and reports whether it did.
func (f *fault) archiving(t *testing.T) bool {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state", "ledger.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	private, public, err := note.GenerateKey(nil, "kitano")
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := map[int64]int{}
	for n := range 8 {
		acknowledged[mustAppend(t, l, big(n))[0].Seq] = n
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir, name := ArchiveDir(path), "entries-000000001-000000008.airlock"
	env := []string{faultVariable + "=" + path, faultVariable + "_KEY=" + private, faultVariable + "_PUBLIC=" + public}
	_, struck := f.strike(t, env, append(files(path), dir, filepath.Join(dir, name), filepath.Join(dir, "."+name+".new"))...)
	if struck {
		wantSound(t, "archiving, "+f.String(), path, acknowledged)
	}
	return struck
}

// mustClose makes a ledger with one entry.
func mustClose(t *testing.T, path string) {
	t.Helper()
	l, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, at(0))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// wantSound checks that the ledger opens, verifies, and has every acknowledged entry.
func wantSound(t *testing.T, what, path string, acknowledged map[int64]int) {
	t.Helper()
	l, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	report, err := l.Verify(t.Context(), nil, nil, nil)
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	broken := slices.ContainsFunc(report.Findings, func(f proof.Finding) bool { return f.Grave && f.Rule != "door" && f.Rule != "window" && f.Rule != "S3" })
	if broken { // the doors' story is at's, and no story
		t.Errorf("%s: %v", what, report.Findings)
	}
	if report.Unread > 0 {
		t.Errorf("%s: an archive is missing", what)
	}
	history, err := l.History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []Entry
	for e, err := range history.Entries(t.Context(), Filter{}) {
		if err != nil {
			t.Errorf("%s: %v", what, err)
			break
		}
		all = append(all, e)
	}
	for seq, n := range acknowledged {
		if seq > int64(len(all)) || !all[seq-1].Time.Equal(big(n).Time) {
			t.Errorf("%s: acknowledged entry %d is missing", what, seq)
		}
	}
	if err := l.Close(); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}
