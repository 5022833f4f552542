package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"

	"airlock/sshconn"
	"airlock/vault"
	vaultsftp "airlock/vault/sftp"
)

// hostVariable, when set, makes this test binary a vault's host in a process of its own,
// which can be killed: a hosted in JSON.
const hostVariable = "AIRLOCK_TEST_HOST"

// everyVariable, when set, has tests go through everything instead of a part.
const everyVariable = "AIRLOCK_EXHAUSTIVE"

// hosted says what the process does.
type hosted struct {
	Folder, State, Site, Client string
	Ahead                       time.Duration // its clock
	Prune                       bool          // that, instead of serving until stdin ends
}

func TestMain(m *testing.M) {
	if text := os.Getenv(hostVariable); text != "" {
		if err := hostAlone(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func hostAlone(text string) (err error) {
	var c hosted
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	site, err1 := note.NewVerifier(c.Site)
	client, _, _, _, err2 := ssh.ParseAuthorizedKey([]byte(c.Client))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	h, err := Open(context.Background(), Config{
		Name: "lab-vault", Zone: time.UTC, Folder: c.Folder, State: c.State, Site: site,
		Keep: vault.Keep{Hourly: 1}, Brake: 100, Log: slog.New(slog.DiscardHandler), Actor: "user test",
		Now: func() time.Time { return time.Now().Add(c.Ahead) },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if c.Prune {
		_, err := h.Prune(context.Background(), PruneOptions{ClockRight: true})
		return err
	}
	key, err := HostKey(c.State)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	return h.Serve(ctx, l, Service{HostKey: key, Clients: map[string]ssh.PublicKey{"airlock": client}, Limits: usual()})
}

// alone starts a host in a process of its own, under strace with some arguments. done
// ends it, and says how it ended.
func (w *world) alone(prune bool, strace ...string) (done func() error) {
	w.t.Helper()
	w.stop()
	conf, err := json.Marshal(hosted{w.conf.Folder, w.conf.State, w.siteKey, string(ssh.MarshalAuthorizedKey(w.client.public)), w.ahead, prune})
	if err != nil {
		w.t.Fatal(err)
	}
	args := append(strace, os.Args[0])
	c := exec.CommandContext(w.t.Context(), args[0], args[1:]...)
	c.Env = append(os.Environ(), hostVariable+"="+string(conf))
	c.Stderr = &logged{t: w.t}
	in, err1 := c.StdinPipe()
	out, err2 := c.StdoutPipe()
	if err := errors.Join(err1, err2, c.Start()); err != nil {
		w.t.Fatal(err)
	}
	address, _ := bufio.NewReader(out).ReadString('\n') // none if it is killed before
	w.conn = sshconn.Config{}
	if address = strings.TrimSpace(address); address != "" {
		w.conn = sshconn.Config{Address: address, User: "airlock", Key: w.client.private, KnownHosts: w.knows(address)}
	}
	w.pid = c.Process.Pid
	return func() error { return errors.Join(in.Close(), c.Wait()) }
}

// tryWindow holds a window that may be cut.
func (w *world) tryWindow() (vault.Report, error) {
	if w.conn.Address == "" {
		return vault.Report{}, errors.New("the host was killed at its start")
	}
	store, err := vaultsftp.Dial(w.t.Context(), vaultsftp.Config{Conn: w.conn, Path: w.conf.Folder})
	if err != nil {
		return vault.Report{}, err
	}
	report, err := w.plan().Send(w.t.Context(), store, w, nil)
	return report, errors.Join(err, store.Close())
}

// withStrace finds strace. In CI it must be there.
func withStrace(t *testing.T) string {
	path, err := exec.LookPath("strace")
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("%v; lab/install.sh installs it", err)
	case err != nil:
		t.Skip(err)
	}
	return path
}

// carriesOn wants, after a cut: the earlier generations whole, every generation that has
// a receipt whole, and the next window to be done.
func (w *world) carriesOn(what string, earlier ...int64) {
	w.t.Helper()
	failed := w.t.Failed()
	w.serve(usual())
	w.night()
	report := w.window()
	w.sound(append(earlier, report.Generation)...)
	verified, err := w.host.Verify(w.t.Context(), VerifyOptions{})
	if err != nil || len(verified.Damaged) > 0 {
		w.t.Errorf("%+v, %v", verified, err)
	}
	if w.t.Failed() && !failed {
		w.t.Errorf("that was after: %s", what)
	}
	w.stop()
}

// kill is one call at whose entry a process is killed: the first, second … that one of
// its threads makes, for strace counts them by thread.
type kill struct {
	call string
	when int
}

func (k kill) String() string { return fmt.Sprintf("killed at %s, time %d", k.call, k.when) }

// Without --seccomp-bpf, with which strace 6.1 finds no call but the first.
func (k kill) strace(program, dir string) []string {
	return []string{program, "-f", "-qq", "-o", filepath.Join(dir, "trace"), "-e", "trace=" + k.call, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", k.call, k.when)}
}

// kills are some, or all that matter.
func kills(calls ...string) (all []kill) {
	times := []int{2}
	if os.Getenv(everyVariable) != "" {
		times = []int{1, 2, 3, 4, 5, 6, 7, 8, 11, 15, 20, 30}
	}
	for _, call := range calls {
		for _, when := range times {
			all = append(all, kill{call, when})
		}
	}
	return all
}

// S9, S10: the host is killed at the calls by which it changes the disk. No earlier
// generation suffers, and the next window carries on.
func TestHostIsKilled(t *testing.T) {
	strace := withStrace(t)
	killed := 0
	for _, k := range kills("linkat", "fsync", "unlinkat", "mkdirat", "openat", "pwrite64", "renameat", "fchmod", "write") {
		w := newWorld(t)
		w.windows(1)
		done := w.alone(false, k.strace(strace, w.dir)...)
		w.night()
		report, cut := w.tryWindow()
		if done() != nil {
			killed++
		}
		earlier := []int64{1}
		if cut == nil {
			earlier = append(earlier, report.Generation)
		}
		w.carriesOn(k.String(), earlier...)
	}
	t.Logf("%d cuts", killed)
	if killed < 3 {
		t.Errorf("the host was killed %d times only", killed)
	}
}

// S10: prune is killed at the calls by which it changes the disk. What is kept stays
// whole, and the next prune carries on.
func TestPruneIsKilled(t *testing.T) {
	strace := withStrace(t)
	killed := 0
	for _, k := range kills("unlinkat", "fsync", "pwrite64", "openat") {
		w := newWorld(t)
		w.conf.Keep, w.conf.MinAge = vault.Keep{Hourly: 1}, 0
		w.outlived()
		if w.alone(true, k.strace(strace, w.dir)...)() != nil {
			killed++
		}
		w.prunesOn(k.String())
		w.carriesOn(k.String(), 3)
	}
	t.Logf("%d cuts", killed)
	if killed < 2 {
		t.Errorf("prune was killed %d times only", killed)
	}
}

// outlived makes three generations, of which the first has blobs that no other has.
func (w *world) outlived() {
	w.t.Helper()
	w.windows(1)
	for name := range w.blobs {
		if !strings.HasPrefix(name, "kopia.") {
			delete(w.blobs, name)
		}
	}
	w.windows(2)
	w.stop()
}

// prunesOn wants a cut prune to be carried on, to its end.
func (w *world) prunesOn(what string) {
	w.t.Helper()
	w.open()
	w.sound(3)
	if r := w.prune(PruneOptions{}); r.Kept != 1 || r.Strays > 0 {
		w.t.Errorf("%s: %+v", what, r)
	}
	if again := w.prune(PruneOptions{}); len(again.Dropped)+again.Blobs > 0 {
		w.t.Errorf("%s: pruned twice: %+v", what, again)
	}
}
