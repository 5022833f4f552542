//go:build linux

package ends

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"airlock/lab"
	"airlock/lab/labtest"

	"golang.org/x/sys/unix"
)

// program is airlock, built once for all tests.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "airlock-ends-")
		if err == nil {
			defer os.RemoveAll(dir)
			program = filepath.Join(dir, "airlock")
			build := exec.Command("go", "build", "-o", program, "../../cmd/airlock")
			build.Stderr = os.Stderr
			err = errors(build.Run(), flag.Set("test.parallel", "8")) // hospitals mostly wait
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

func errors(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// hang bounds every wait for something that must come.
const hang = 2 * time.Minute

// hospital is a lab with the program in it.
type hospital struct {
	*lab.Hospital
	t       *testing.T
	ports   *lab.Sampler
	guarded bool
	nights  int
}

func newHospital(t *testing.T, guarded bool) *hospital {
	t.Helper()
	h := &hospital{Hospital: labtest.Up(t, lab.Options{}), t: t, guarded: guarded}
	text, err := os.ReadFile(h.PolicyFile())
	h.must(err)
	text = bytes.Replace(text, []byte("timezone: "), []byte("guard: {interval: 1s, lease_ttl: 3s}\ntimezone: "), 1)
	h.must(os.WriteFile(h.PolicyFile(), text, 0o600))
	h.must(h.SetVaultRate(t.Context(), 100)) // so that sending takes a second
	h.ports, err = h.Sampler(lab.DepartmentsPort, lab.VaultPort)
	h.must(err)
	t.Cleanup(func() { h.ports.Stop() })
	h.airlock("init")
	if guarded {
		c := h.command("guard")
		h.must(c.Start())
		t.Cleanup(func() {
			c.Process.Kill()
			c.Wait()
		})
		h.until("the guard lives", func() bool {
			_, err := os.Stat(filepath.Join(filepath.Dir(h.guardLedger()), "guard.json"))
			return err == nil
		})
	}
	return h
}

func (h *hospital) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *hospital) guardLedger() string { return filepath.Join(h.StateDir(), "guard", "ledger.db") }

func (h *hospital) command(args ...string) *exec.Cmd {
	return h.Command(context.Background(), lab.NAS, program, append([]string{"-c", h.PolicyFile()}, args...)...)
}

// airlock wants the program to end well, and gives what it printed.
func (h *hospital) airlock(args ...string) []byte {
	h.t.Helper()
	c := h.command(args...)
	var complaint bytes.Buffer
	c.Stderr = &complaint
	out, err := c.Output()
	if err != nil {
		h.t.Fatalf("airlock %s: %v\n%s%s", strings.Join(args, " "), err, out, complaint.String())
	}
	return out
}

// gather makes a night that is not in the vault yet, by a command that first puts the doors
// where they belong.
func (h *hospital) gather() {
	h.t.Helper()
	data := make([]byte, 12<<20)
	rand.Read(data)
	h.nights++
	h.must(os.WriteFile(filepath.Join(h.SystemDir("imaging"), fmt.Sprintf("検査 %d.dcm", h.nights%2)), data, 0o644))
	h.airlock("gather", "imaging")
	if h.isUp(lab.VaultPort) || !h.isUp(lab.DepartmentsPort) {
		h.t.Error("S5: after a start the ports are not where they rest")
	}
}

// until waits for something outside the program.
func (h *hospital) until(what string, there func() bool) {
	h.t.Helper()
	for end := time.Now().Add(hang); !there(); {
		if time.Now().After(end) {
			h.t.Fatalf("waited in vain until %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// isUp is what the switch's own kernel says of a port.
func (h *hospital) isUp(port string) bool {
	up := false
	for _, t := range h.ports.Transitions() {
		if t.Port == port {
			up = t.Up
		}
	}
	return up
}

// entry is a line of a ledger.
type entry struct {
	Time     time.Time
	Kind, To string
}

func (h *hospital) entries(args ...string) (all []entry) {
	h.t.Helper()
	for line := range bytes.Lines(h.airlock(append([]string{"audit", "list", "--json"}, args...)...)) {
		var e entry
		h.must(json.Unmarshal(line, &e))
		all = append(all, e)
	}
	return all
}

// run is a window that is held by one command, with its output read by the test.
type run struct {
	*hospital
	cmd    *exec.Cmd
	ours   *os.File // the end that the test reads
	theirs *os.File // and the one that the command writes
	before int      // generations in the vault
	seen   int      // transitions before it
	mu     sync.Mutex
	text   bytes.Buffer
}

// window begins one, on a terminal of its own or with a pipe.
func (h *hospital) window(terminal bool) *run {
	h.t.Helper()
	r := &run{hospital: h, cmd: h.command("window", "secondary", "--reason", "to be ended"), before: h.generations(), seen: len(h.ports.Transitions())}
	var err error
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if terminal {
		r.ours, r.theirs, err = openTerminal()
		r.cmd.Stdin = r.theirs
		r.cmd.SysProcAttr.Setctty = true
	} else {
		r.ours, r.theirs, err = os.Pipe()
	}
	h.must(err)
	r.cmd.Stdout, r.cmd.Stderr = r.theirs, r.theirs
	h.must(r.cmd.Start())
	h.t.Cleanup(func() {
		r.cmd.Process.Kill()
		r.theirs.Close()
		r.ours.Close()
	})
	if terminal {
		h.must(r.theirs.Close())
	}
	go io.Copy(r, r.ours)
	return r
}

// Write takes what was said.
func (r *run) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *run) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// openTerminal is a pseudo-terminal (pts(4)).
func openTerminal() (master, slave *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0) // so that closing it ends a read
	if err != nil {
		return nil, nil, err
	}
	number, err1 := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	err2 := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	err3 := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 200})
	if err = errors(err1, err2, err3); err != nil {
		return nil, nil, errors(err, unix.Close(fd))
	}
	master = os.NewFile(uintptr(fd), "/dev/ptmx")
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	return master, slave, err
}

func (h *hospital) generations() int {
	all, err := filepath.Glob(filepath.Join(h.VaultDir(), "generations", "*"))
	h.must(err)
	return len(all)
}

// since reports whether a port has gone up, or down, in this window.
func (r *run) since(port string, up bool) bool {
	for _, t := range r.ports.Transitions()[r.seen:] {
		if t.Port == port && t.Up == up {
			return true
		}
	}
	return false
}

// reach waits until the window has come to a phase.
func (r *run) reach(p phase) {
	r.t.Helper()
	there := map[phase]func() bool{
		planning:  func() bool { return strings.Contains(r.said(), "working out") },
		opening:   func() bool { return r.since(lab.DepartmentsPort, false) },
		open:      func() bool { return r.since(lab.VaultPort, true) },
		sending:   func() bool { return strings.Contains(r.said(), "sending") },
		sealed:    func() bool { return r.generations() > r.before },
		shutting:  func() bool { return r.since(lab.VaultPort, false) },
		reopening: func() bool { return r.since(lab.DepartmentsPort, true) },
	}[p]
	r.until("the window has come to: "+p.String()+"\n"+r.said(), there)
}

func signalName(s syscall.Signal) string { return unix.SignalName(s) }

func (r *run) signal(s syscall.Signal) { _ = r.cmd.Process.Signal(s) } // it may have ended

func signalled(s syscall.Signal) func(*run) { return func(r *run) { r.signal(s) } }

// hangUp closes the terminal.
func (r *run) hangUp() { r.must(r.ours.Close()) }

// stopped has the process stand still, until its lease has run out, and then end.
func (r *run) stopped() {
	r.signal(syscall.SIGSTOP)
	r.until("the port is down", func() bool { return !r.isUp(lab.VaultPort) })
	r.signal(syscall.SIGKILL)
}

// unread closes the pipe from which the output was read.
func (r *run) unread() { r.must(r.ours.Close()) }

// fill leaves no room in the pipe, and nobody who reads it, until the port is down.
func (r *run) fill() {
	r.must(r.ours.SetReadDeadline(time.Now())) // ends the copying
	pipe, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", r.theirs.Fd()), unix.O_WRONLY|unix.O_NONBLOCK, 0)
	r.must(err)
	for err == nil {
		_, err = unix.Write(pipe, make([]byte, 4096))
	}
	r.must(unix.Close(pipe))
	r.until("the window is over", func() bool { return r.since(lab.VaultPort, false) && r.isUp(lab.DepartmentsPort) })
	r.must(r.ours.SetReadDeadline(time.Time{}))
	go io.Copy(io.Discard, r.ours)
}

// wait gives the exit code; -1 after a signal.
func (r *run) wait() int {
	r.t.Helper()
	ended := make(chan struct{})
	go func() {
		r.cmd.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(hang):
		r.t.Fatal("the process does not end")
	}
	return r.cmd.ProcessState.ExitCode()
}
