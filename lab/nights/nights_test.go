//go:build linux

package nights

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"airlock/lab"
	"airlock/lab/departments"
	"airlock/lab/labtest"
)

// program builds a command once for all tests: airlock, and the stock kopia from the
// module that the repository is made with.
var program = struct{ airlock, kopia func() (string, error) }{
	build("../../cmd/airlock", "airlock", "."),
	build("../../tools", "kopia", "github.com/kopia/kopia"),
}

var binaries string

func build(dir, name, pkg string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		file := filepath.Join(binaries, name)
		c := exec.Command("go", "build", "-o", file, pkg)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
		}
		return file, nil
	})
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		// Hospitals mostly wait: more of them than there are processors.
		err := flag.Set("test.parallel", strconv.Itoa(2*runtime.NumCPU()))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if binaries, err = os.MkdirTemp("", "airlock-nights-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(binaries)
		return m.Run()
	}())
}

// hospital is a lab with the program in it.
type hospital struct {
	*lab.Hospital
	t       *testing.T
	airlock string
	ports   *lab.Sampler
}

// up brings a hospital up whose policy file was edited by pairs of old and new text.
func up(t *testing.T, o lab.Options, edits ...string) *hospital {
	t.Helper()
	t.Parallel()
	h := &hospital{Hospital: labtest.Up(t, o), t: t}
	var err error
	if h.airlock, err = program.airlock(); err != nil {
		t.Fatal(err)
	}
	h.edit(edits...)
	if h.ports, err = h.Sampler(lab.DepartmentsPort, lab.VaultPort); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.ports.Stop() })
	h.do(0, "init")
	return h
}

// edit changes the policy file.
func (h *hospital) edit(pairs ...string) {
	h.t.Helper()
	text, err := os.ReadFile(h.PolicyFile())
	if err != nil {
		h.t.Fatal(err)
	}
	for pair := range slices.Chunk(pairs, 2) {
		if !bytes.Contains(text, []byte(pair[0])) {
			h.t.Fatalf("the policy file has no %q", pair[0])
		}
		text = bytes.ReplaceAll(text, []byte(pair[0]), []byte(pair[1]))
	}
	if err := os.WriteFile(h.PolicyFile(), text, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// command is the program on the NAS.
func (h *hospital) command(args ...string) *exec.Cmd {
	return h.Command(context.Background(), lab.NAS, h.airlock, append([]string{"-c", h.PolicyFile()}, args...)...)
}

// do runs the program, wants an exit code, and gives what it printed.
func (h *hospital) do(code int, args ...string) string {
	h.t.Helper()
	c := h.command(args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); c.ProcessState == nil {
		h.t.Fatal(err)
	}
	if got := c.ProcessState.ExitCode(); got != code {
		h.t.Fatalf("airlock %s: exit code %d, not %d\n%s%s", strings.Join(args, " "), got, code, stdout.String(), stderr.String())
	}
	h.t.Logf("airlock %s:\n%s%s", strings.Join(args, " "), stdout.String(), stderr.String())
	return stdout.String() + stderr.String()
}

// says wants words in a text.
func (h *hospital) says(text string, words ...string) {
	h.t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			h.t.Errorf("it does not say %q:\n%s", w, text)
		}
	}
}

// background starts the program and gives it back when it said words on its log.
func (h *hospital) background(words string, args ...string) *exec.Cmd {
	h.t.Helper()
	c := h.command(args...)
	log, err := c.StderrPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	said := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			h.t.Log(lines.Text())
			if strings.Contains(lines.Text(), words) {
				select {
				case said <- true:
				default:
				}
			}
		}
		close(said)
	}()
	if !<-said {
		h.t.Fatalf("airlock %s ended without saying %q", strings.Join(args, " "), words)
	}
	return c
}

// hang bounds every wait for something that must come.
const hang = 2 * time.Minute

// until waits for something outside the program.
func (h *hospital) until(what string, there func() bool) {
	h.t.Helper()
	for end := time.Now().Add(hang); !there(); {
		if time.Now().After(end) {
			h.t.Fatalf("waited in vain until %s", what)
		}
		<-time.After(2 * time.Millisecond)
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

// entry is a line of the ledger.
type entry struct {
	Seq    int64
	Time   time.Time
	Kind   string
	Door   string
	From   string
	To     string
	Reason string
	Detail json.RawMessage
}

func (h *hospital) ledger(filter ...string) []entry {
	h.t.Helper()
	c := h.command(append([]string{"audit", "list", "--json"}, filter...)...)
	out, err := c.Output()
	if err != nil {
		h.t.Fatal(err)
	}
	var all []entry
	for line := range bytes.Lines(out) {
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			h.t.Fatalf("%v: %s", err, line)
		}
		all = append(all, e)
	}
	return all
}

// within is how far the ledger and the sampler may be apart.
const within = 5 * time.Millisecond

// agree holds every transition that the sampler saw of the vault's port against the
// ledger: really up between opening and open, really down between shutting and shut.
func (h *hospital) agree() {
	h.t.Helper()
	entries := h.ledger("--door", "vault-door")
	up := map[string]bool{}
	for _, t := range h.ports.Transitions() {
		up[t.Port] = t.Up
		if up[lab.VaultPort] && up[lab.DepartmentsPort] {
			h.t.Errorf("S6: both ports were up at %s", t.By)
		}
		if t.Port != lab.VaultPort || t.After.IsZero() {
			continue
		}
		begins, ends := "opening", "open"
		if !t.Up {
			begins, ends = "shutting", "shut"
		}
		var before, after entry
		for _, e := range entries {
			if e.To == begins && !e.Time.After(t.By.Add(within)) {
				before, after = e, entry{}
			}
			// An opening that was called off is shut without having been read back.
			if (e.To == ends || e.To == "shut") && before.Seq > 0 && after.Seq == 0 && e.Seq > before.Seq {
				after = e
			}
		}
		if before.Seq == 0 || after.Seq == 0 || after.Time.Before(t.After.Add(-within)) {
			h.t.Errorf("the ledger does not hold the port's change to up=%t between %s and %s: %s at %s, %s at %s",
				t.Up, t.After, t.By, begins, before.Time, ends, after.Time)
		}
	}
}

// never wants the vault's port not to have moved since the hospital came up.
func (h *hospital) neverOpened() {
	h.t.Helper()
	for _, t := range h.ports.Transitions() {
		if t.Port == lab.VaultPort && t.Up {
			h.t.Errorf("the vault's port was up at %s", t.By)
		}
	}
}

// restores wants a system's files back as the department has them now.
func (h *hospital) restores(system string, args ...string) {
	h.t.Helper()
	to := filepath.Join(h.t.TempDir(), system)
	h.do(0, append([]string{"restore", system, "--to", to, "--reason", "test"}, args...)...)
	files, difference, err := departments.Same(h.SystemDir(system), to, []string{"*.tmp"})
	if err != nil || difference != "" || files == 0 {
		h.t.Errorf("restore %s %v: %d files, %s %v", system, args, files, difference, err)
	}
}

// reading waits until a system's files are being read, as the status tells.
func (h *hospital) reading(system string) {
	h.t.Helper()
	h.until(system+" is being read", func() bool {
		out, _ := h.command("status", "--json").Output() // a door that was not read yet is exit code 3
		var st struct {
			Running []struct {
				Task, Stage string
				Bytes       int64
			}
		}
		if err := json.Unmarshal(out, &st); err != nil {
			h.t.Fatalf("%v: %s", err, out)
		}
		for _, p := range st.Running {
			if p.Task == "gather "+system && p.Stage == "reading" && p.Bytes > 4<<20 {
				return true
			}
		}
		return false
	})
}

// bulk gives a department a file that takes a while.
func (h *hospital) bulk(system, name string, size int) {
	h.t.Helper()
	data := make([]byte, size)
	for i, x := 0, uint64(size); i < size; i++ { // xorshift: neither compressible nor the same twice
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		data[i] = byte(x)
	}
	if err := os.WriteFile(filepath.Join(h.SystemDir(system), name), data, 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// A whole night, and the vault's folder in the hands of the stock program.
func TestNight(t *testing.T) {
	h := up(t, lab.Options{})
	h.do(0, "check")
	h.do(0, "check", "--connect")
	h.do(0, "gather")
	h.says(h.do(0, "window", "secondary", "--reason", "test"), "done", "open for", "on the wire", "proven shut")
	h.agree()
	for _, system := range []string{"accounting", "imaging", "ophthalmology"} {
		h.restores(system)
	}
	h.restores("accounting", "--from", "secondary")
	h.do(0, "window", "secondary", "--reason", "nothing new")
	h.do(0, "verify")
	h.do(0, "verify", "--vault", "secondary", "--percent", "100")
	h.agree()
	h.says(h.do(0, "status"), "SHUT", "医事会計")
	h.stockKopia()
	if seqs := h.ledger(); seqs[0].Seq != 1 || seqs[len(seqs)-1].Seq != int64(len(seqs)) {
		t.Errorf("the ledger has a gap")
	}
	for _, secret := range []string{lab.SNMPAuth, lab.SNMPPrivacy} { // S13
		if out, err := exec.Command("grep", "-rlF", secret, h.StateDir()).Output(); err == nil {
			t.Errorf("S13: a secret is in %s", out)
		}
	}
}

// stockKopia restores from the vault's folder with the program that everybody has.
func (h *hospital) stockKopia() {
	h.t.Helper()
	kopia, err := program.kopia()
	if err != nil {
		h.t.Fatal(err)
	}
	passphrase, err := os.ReadFile(filepath.Join(filepath.Dir(h.PolicyFile()), "secrets", "repository"))
	if err != nil {
		h.t.Fatal(err)
	}
	dir := h.t.TempDir()
	run := func(args ...string) []byte {
		h.t.Helper()
		c := exec.Command(kopia, append([]string{"--config-file", filepath.Join(dir, "config"), "--log-dir", dir}, args...)...)
		c.Env = append(os.Environ(), "KOPIA_PASSWORD="+strings.TrimSpace(string(passphrase)), "KOPIA_CHECK_FOR_UPDATES=false", "KOPIA_CACHE_DIRECTORY="+filepath.Join(dir, "cache"))
		var stderr bytes.Buffer
		c.Stderr = &stderr
		out, err := c.Output()
		if err != nil {
			h.t.Fatalf("kopia %v: %v\n%s", args, err, stderr.String())
		}
		return out
	}
	run("repository", "connect", "filesystem", "--readonly", "--path", h.VaultDir())
	var snapshots []struct {
		ID     string
		Source struct{ Path string }
	}
	if err := json.Unmarshal(run("snapshot", "list", "--all", "--json"), &snapshots); err != nil {
		h.t.Fatal(err)
	}
	restored := 0
	for _, s := range snapshots {
		if strings.Contains(s.Source.Path, "accounting") {
			to := filepath.Join(dir, s.ID)
			run("snapshot", "restore", s.ID, to)
			if _, difference, err := departments.Same(h.SystemDir("accounting"), to, []string{"*.tmp"}); err != nil || difference != "" {
				h.t.Errorf("kopia restored something else: %s %v", difference, err)
			}
			restored++
		}
	}
	if restored == 0 {
		h.t.Error("the stock program finds no snapshot of accounting")
	}
}

// S5: an executor that died with the port open, and with it whoever watched over it; the
// next start shuts it.
func TestKilledWithThePortOpen(t *testing.T) {
	h := up(t, lab.Options{})
	h.bulk("imaging", "大きな検査.dcm", 200<<20)
	h.do(0, "gather", "imaging")
	c := h.command("window", "secondary", "--reason", "to be killed")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	h.until("the vault's port is up", func() bool { return h.isUp(lab.VaultPort) })
	h.killWithWatcher(c.Process)
	c.Wait()
	if !h.isUp(lab.VaultPort) {
		t.Fatal("the port was shut before the program was killed: nothing was tested")
	}
	began := time.Now()
	serve := h.background("is where it belongs", "serve")
	var took time.Duration
	for _, tr := range h.ports.Transitions() {
		if tr.Port == lab.VaultPort && !tr.Up {
			took = tr.By.Sub(began)
		}
	}
	if took <= 0 || took > 2*time.Second {
		t.Errorf("S5: the next start shut the port after %s", took)
	}
	t.Logf("kill -9, next start → shut: %s", took)
	found := slices.ContainsFunc(h.ledger("--kind", "alarm"), func(e entry) bool { return e.Door == "vault-door" && e.Reason == "was found open" })
	if !found {
		t.Error("S5: no entry says that the door was found open")
	}
	if !slices.ContainsFunc(h.ledger("--kind", "window"), func(e entry) bool { return e.To == "cut" }) {
		t.Error("no entry says that the window was cut")
	}
	// S10: the next window carries on.
	h.says(h.do(0, "window", "secondary", "--reason", "carry on"), "done")
	h.restores("imaging", "--from", "secondary")
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := serve.Wait(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
	h.agreeExceptKilled()
}

// killWithWatcher kills an executor and its watcher so that neither sees the other end.
func (h *hospital) killWithWatcher(executor *os.Process) {
	h.t.Helper()
	if err := executor.Signal(syscall.SIGSTOP); err != nil {
		h.t.Fatal(err)
	}
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", executor.Pid))
	if err != nil {
		h.t.Fatal(err)
	}
	killed := 0
	for _, list := range lists {
		pids, err := os.ReadFile(list)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, pid := range strings.Fields(string(pids)) {
			if err := exec.Command("kill", "-9", pid).Run(); err != nil {
				h.t.Fatal(err)
			}
			killed++
		}
	}
	if killed != 1 {
		h.t.Fatalf("the executor had %d watchers, not one", killed)
	}
	if err := executor.Kill(); err != nil {
		h.t.Fatal(err)
	}
}

// S4: an executor that dies or hangs with the port open: the guard shuts it, and it
// stays shut when the executor comes back.
func TestGuardShutsAfterKill(t *testing.T) {
	for _, c := range []struct {
		name   string
		signal syscall.Signal
		policy string
		within time.Duration
	}{
		{"killed", syscall.SIGKILL, "", 20 * time.Second}, // 15 s, 5 s: the defaults
		{"stopped", syscall.SIGSTOP, "guard: {interval: 1s, lease_ttl: 3s}\n", 4 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := up(t, lab.Options{}, "timezone: Asia/Tokyo\n", "timezone: Asia/Tokyo\n"+c.policy)
			h.bulk("imaging", "大きな検査.dcm", 400<<20)
			h.do(0, "gather", "imaging")
			guard := h.background("guarding", "guard")
			executor := h.command("window", "secondary", "--reason", "to be "+c.name)
			var said bytes.Buffer
			executor.Stdout, executor.Stderr = &said, &said
			if err := executor.Start(); err != nil {
				t.Fatal(err)
			}
			h.until("the vault's port is up", func() bool { return h.isUp(lab.VaultPort) })
			began := time.Now()
			if err := executor.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			h.until("the guard shuts the port", func() bool { return !h.isUp(lab.VaultPort) })
			var took time.Duration
			for _, tr := range h.ports.Transitions() {
				if tr.Port == lab.VaultPort && !tr.Up {
					took = tr.By.Sub(began)
				}
			}
			t.Logf("%s → shut by the guard: %s", c.name, took)
			if took < time.Second || took > c.within {
				t.Errorf("S4: the guard shut the port %s after the executor was %s", took, c.name)
			}
			if c.signal == syscall.SIGSTOP {
				if err := executor.Process.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
			}
			executor.Wait()
			if c.signal == syscall.SIGSTOP {
				if code := executor.ProcessState.ExitCode(); code != 1 {
					t.Errorf("exit code %d of an executor whose lease ran out:\n%s", code, said.String())
				}
				h.says(said.String(), "the lease of door vault-door is not valid", "proven shut")
			}
			for _, tr := range h.ports.Transitions() {
				if tr.Port == lab.VaultPort && tr.Up && tr.By.After(began.Add(took)) {
					t.Errorf("the port was up again at %s", tr.By)
				}
			}
			if err := guard.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := guard.Wait(); err != nil {
				t.Errorf("the guard ended with %v", err)
			}
			h.says(h.do(0, "window", "secondary", "--reason", "carry on"), "done") // S10
			h.restores("imaging", "--from", "secondary")
			h.agreeExceptKilled()
		})
	}
}

// agreeExceptKilled wants the doors never to have been open together; the killed
// window's shutting stands in the ledger as found open.
func (h *hospital) agreeExceptKilled() {
	h.t.Helper()
	up := map[string]bool{}
	for _, t := range h.ports.Transitions() {
		up[t.Port] = t.Up
		if up[lab.VaultPort] && up[lab.DepartmentsPort] {
			h.t.Errorf("S6: both ports were up at %s", t.By)
		}
	}
}

// SIGTERM while the door is open: shut first, then leave.
func TestTerminatedInTheMiddle(t *testing.T) {
	h := up(t, lab.Options{})
	h.bulk("imaging", "大きな検査.dcm", 200<<20)
	h.do(0, "gather", "imaging")
	c := h.command("window", "secondary", "--reason", "to be terminated")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	h.until("the vault's port is up", func() bool { return h.isUp(lab.VaultPort) })
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	if h.isUp(lab.VaultPort) || !h.isUp(lab.DepartmentsPort) {
		t.Error("it left with the doors elsewhere than they belong")
	}
	if code := c.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	h.agree()
	h.says(h.do(0, "window", "secondary"), "done")
	h.restores("imaging", "--from", "secondary")
}

// The faults of a night: each is a clear error, leaves the doors proven shut and
// nothing lost, and the next run carries on.
func TestVaultUnreachable(t *testing.T) {
	h := up(t, lab.Options{}, "max_open: 45m", "max_open: 45m, answer_within: 3s")
	ctx := context.Background()
	h.do(0, "gather")
	if err := h.Stop(ctx, lab.VaultSSH); err != nil {
		t.Fatal(err)
	}
	h.says(h.do(1, "window", "secondary"), "10.77.0.13:22 does not answer", "proven shut")
	h.agree()
	if err := h.Start(ctx, lab.VaultSSH); err != nil {
		t.Fatal(err)
	}
	h.says(h.do(0, "window", "secondary"), "done")
	h.restores("accounting", "--from", "secondary")
	h.agree()
}

func TestVaultDiskFull(t *testing.T) {
	h := up(t, lab.Options{VaultDisk: 128 << 20})
	h.do(0, "gather")
	h.do(0, "window", "secondary")
	h.bulk("imaging", "大きな検査.dcm", 20<<20)
	h.do(0, "gather", "imaging")
	if err := h.Fill(lab.VaultDisk); err != nil {
		t.Fatal(err)
	}
	h.says(h.do(1, "window", "secondary"), "full", "proven shut")
	h.restores("accounting", "--from", "secondary") // S10: the earlier generation stands
	h.agree()
	if err := h.Free(lab.VaultDisk); err != nil {
		t.Fatal(err)
	}
	h.says(h.do(0, "window", "secondary"), "done", "generation 2")
	h.restores("imaging", "--from", "secondary")
}

func TestSourceGoneInMidFile(t *testing.T) {
	h := up(t, lab.Options{}, "limits: {concurrency: 4}", "limits: {concurrency: 4, bandwidth: 8MB/s, retries: 2}")
	ctx := context.Background()
	h.do(0, "gather")
	h.bulk("accounting", "医事会計_全件.dump", 64<<20)
	c := h.command("gather")
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	h.reading("accounting")
	if err := h.Stop(ctx, lab.DepartmentsSMB); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	if code := c.ProcessState.ExitCode(); code != 4 {
		t.Errorf("exit code %d: one system's failure stopped another's?\n%s", code, out.String())
	}
	h.says(out.String(), "accounting: failed", "the source is gone")
	whole := 0
	for line := range strings.Lines(h.do(0, "snapshots", "accounting")) {
		if strings.HasPrefix(line, "accounting") && !strings.Contains(line, "incomplete") {
			whole++
		}
	}
	if whole != 1 {
		t.Errorf("there are %d whole snapshots, not the one of before", whole)
	}
	if err := h.Start(ctx, lab.DepartmentsSMB); err != nil {
		t.Fatal(err)
	}
	h.do(0, "gather")
	h.restores("accounting")
}

// A department's server that restarts in the middle only costs time.
func TestSourceRestartsInMidFile(t *testing.T) {
	h := up(t, lab.Options{}, "limits: {concurrency: 4}", "limits: {concurrency: 4, bandwidth: 16MB/s}")
	ctx := context.Background()
	h.bulk("accounting", "医事会計_全件.dump", 48<<20)
	c := h.command("gather", "accounting")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	h.reading("accounting")
	if err := h.Restart(ctx, lab.DepartmentsSMB); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	h.restores("accounting")
}

func TestWrongSNMPPassword(t *testing.T) {
	h := up(t, lab.Options{})
	h.do(0, "gather")
	secret := filepath.Join(filepath.Dir(h.PolicyFile()), "secrets", "snmp-auth")
	if err := os.WriteFile(secret, []byte("not the password"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := h.do(3, "window", "secondary") // S3: a door whose state is unknown counts as open
	h.says(text, "vault-door", "did not accept the credentials")
	h.neverOpened()
	if strings.Contains(text, "not the password") {
		t.Error("S13: the wrong password is in the message")
	}
	if err := os.WriteFile(secret, []byte(lab.SNMPAuth), 0o600); err != nil {
		t.Fatal(err)
	}
	h.says(h.do(0, "window", "secondary"), "done")
	h.agree()
}

// S7: the port's name is gone, or another port has it: nothing is sent.
func TestRenamedPort(t *testing.T) {
	h := up(t, lab.Options{})
	ctx := context.Background()
	h.do(0, "gather")
	rename := func(from, to string) {
		t.Helper()
		if err := h.RenamePort(ctx, from, to); err != nil {
			t.Fatal(err)
		}
		if err := h.Restart(ctx, lab.SNMP); err != nil { // which tells old names for some seconds otherwise
			t.Fatal(err)
		}
	}
	rename(lab.VaultPort, "uplink9")
	h.says(h.do(3, "window", "secondary"), "no port matches", "p3")
	rename("uplink9", lab.VaultPort)
	h.neverOpened()
	h.says(h.do(0, "window", "secondary"), "done")
}

// S1: where the ledger cannot take the intent, the door stays shut.
func TestLedgerDiskFull(t *testing.T) {
	h := up(t, lab.Options{StateDisk: 96 << 20})
	h.do(0, "gather")
	if err := h.Fill(lab.StateDisk); err != nil {
		t.Fatal(err)
	}
	text := h.do(1, "window", "secondary")
	h.says(text, "no space left on device")
	h.neverOpened()
	if err := h.Free(lab.StateDisk); err != nil {
		t.Fatal(err)
	}
	h.says(h.do(0, "window", "secondary"), "done")
	h.restores("accounting", "--from", "secondary")
	h.agree()
}

// Gatherings pause while a window has the departments' door shut, and carry on after.
func TestGatheringPausesForTheWindow(t *testing.T) {
	h := up(t, lab.Options{}, "limits: {concurrency: 4}", "limits: {concurrency: 4, bandwidth: 16MB/s}")
	h.do(0, "gather")
	h.bulk("accounting", "医事会計_全件.dump", 64<<20)
	h.bulk("imaging", "検査.dcm", 20<<20)
	h.do(0, "gather", "imaging")
	serve := h.background("is where it belongs", "serve")
	c := h.command("gather", "accounting")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	h.reading("accounting")
	h.says(h.do(0, "window", "secondary"), "done")
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	h.restores("accounting")
	h.agree()
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := serve.Wait(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
}
