//go:build linux

package hostile

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"airlock/lab"
	"airlock/lab/labtest"
)

// fullVariable, when set, takes the figures of docs/chaos.md.
const fullVariable = "AIRLOCK_EXHAUSTIVE"

// liarsVariable makes this program the server of liars, with the address and the host key.
const liarsVariable = "AIRLOCK_LIARS"

const departments = "10.77.0.11"

func TestMain(m *testing.M) {
	if where := os.Getenv(liarsVariable); where != "" {
		address, key, _ := strings.Cut(where, " ")
		fmt.Fprintln(os.Stderr, serveLiars(address, key))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const (
	limit      = 1 << 30 // what the cgroup gives serve
	mostMemory = 600 << 20
	mostSlower = 1.20
	stopWithin = 10 * time.Second
)

// size is what an honest source has anew each night, and how often all is measured.
type size struct {
	files, each, rounds int
}

// No source can hold up the others, or take the executor's memory.
func TestHostileSources(t *testing.T) {
	s := size{files: 20, each: 100 << 10, rounds: 1}
	full := os.Getenv(fullVariable) != ""
	if full {
		s = size{files: 100, each: 1 << 20, rounds: 3}
	}
	h := up(t, s)
	for _, by := range []string{"sftp", "smb"} {
		var alone, beside []time.Duration
		var slower []float64 // of each pair of nights, for what the machine does changes by the minute
		var memory int64
		var stopped time.Duration
		for range s.rounds {
			alone = append(alone, h.night(nil).honest)
			n := h.night(h.hostile[by])
			beside = append(beside, n.honest)
			slower = append(slower, n.honest.Seconds()/alone[len(alone)-1].Seconds())
			memory, stopped = max(memory, n.memory), max(stopped, n.stopped)
		}
		a, b, ratio := median(alone), median(beside), median(slower)
		t.Logf("| %s | %.1f s | %.1f s | %.2f | %d MB | %.1f s |", by, a.Seconds(), b.Seconds(), ratio, memory>>20, stopped.Seconds())
		if memory > mostMemory {
			t.Errorf("%s: serve had %d MB", by, memory>>20)
		}
		if stopped > stopWithin {
			t.Errorf("%s: serve took %v to stop", by, stopped)
		}
		if full && ratio > mostSlower { // with little data it is the turns that count
			t.Errorf("%s: honest sources took %v alone and %v beside hostile ones", by, alone, beside)
		}
	}
}

func median[T cmp.Ordered](all []T) T {
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

// hospital is a lab with the program in it, and a policy file of sources alone.
type hospital struct {
	*lab.Hospital
	t       *testing.T
	airlock string
	policy  string
	honest  []string
	hostile map[string][]string // by protocol
	size    size
}

func up(t *testing.T, s size) *hospital {
	t.Helper()
	h := &hospital{Hospital: labtest.Up(t, lab.Options{}), t: t, hostile: map[string][]string{}, size: s}
	h.airlock = filepath.Join(t.TempDir(), "airlock")
	if out, err := exec.Command("go", "build", "-o", h.airlock, "../../cmd/airlock").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.policy = filepath.Join(h.Dir, "sources.yaml")
	h.must(os.WriteFile(h.policy, []byte(h.systems()), 0o600))
	h.lie()
	h.smbTraps()
	h.must(h.command("init").Run())
	h.night(nil) // the first night of a repository is like no other
	return h
}

func (h *hospital) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *hospital) command(args ...string) *exec.Cmd {
	c := h.Command(context.Background(), lab.NAS, h.airlock, append([]string{"-c", h.policy}, args...)...)
	c.Stderr = os.Stderr
	return c
}

// systems is the policy file: ten honest ones, and ten that are not.
func (h *hospital) systems() string {
	var b strings.Builder
	fmt.Fprintf(&b, "site: hostile\ntimezone: Asia/Tokyo\nstate: %[1]s/state\nrepository:\n  url: file://%[1]s/primary\n  passphrase: {file: %[1]s/secrets/repository}\nsystems:\n", h.Dir)
	add := func(name, source string) {
		fmt.Fprintf(&b, "  %s: {schedule: \"15 22 1 1 *\", rpo: 9000h, source: {%s}}\n", name, source)
	}
	smb := func(port int, folder string) string {
		return fmt.Sprintf("url: \"smb://svc-backup@%s:%d/backup$/%s\", password: {file: %s/secrets/smb}", departments, port, folder, h.Dir)
	}
	sftp := func(port int, folder string) string {
		return fmt.Sprintf("url: \"sftp://root@%s:%d%s\", key: {file: %[4]s/secrets/key}, known_hosts: %[4]s/known_hosts", departments, port, folder, h.Dir)
	}
	for i := range 5 {
		a, b := fmt.Sprint("files-", i), fmt.Sprint("share-", i)
		add(a, sftp(22, h.SystemDir(a)))
		add(b, smb(445, b))
		h.honest = append(h.honest, a, b)
	}
	for i, l := range liars {
		add(string(l)+"-sftp", sftp(firstPort+i, "/backups"))
		add(string(l)+"-smb", smb(trapsPort, string(l)))
		h.hostile["sftp"] = append(h.hostile["sftp"], string(l)+"-sftp")
		h.hostile["smb"] = append(h.hostile["smb"], string(l)+"-smb")
	}
	return b.String()
}

// leftOver is what nice(1) gives hostile servers: the honest ones and airlock, which is here
// to be judged, would lack on this one machine what each hostile one has to itself elsewhere.
var leftOver = []string{"-n", "19"}

// lie starts the liars at the departments'.
func (h *hospital) lie() {
	h.t.Helper()
	self, err := os.Executable()
	h.must(err)
	known, err := os.ReadFile(filepath.Join(h.Dir, "known_hosts"))
	h.must(err)
	key := strings.Fields(strings.SplitN(string(known), "\n", 2)[0])
	for i := range liars {
		known = fmt.Appendf(known, "[%s]:%d %s %s\n", departments, firstPort+i, key[1], key[2])
	}
	h.must(os.WriteFile(filepath.Join(h.Dir, "known_hosts"), known, 0o600))
	c := h.Command(context.Background(), lab.Departments, "nice", append(leftOver, self)...)
	c.Env = append(os.Environ(), liarsVariable+"="+departments+" "+filepath.Join(h.Dir, "ssh", "host"))
	h.says(c, "lying")
}

// says starts a program and returns once it said a word.
func (h *hospital) says(c *exec.Cmd, word string) {
	h.t.Helper()
	c.Stderr = nil
	out, err := c.StdoutPipe()
	h.must(err)
	c.Stderr = c.Stdout
	h.must(c.Start())
	h.t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), word) {
			go func() {
				for lines.Scan() {
				}
			}()
			return
		}
		h.t.Log(lines.Text())
	}
	h.t.Fatalf("%s ended without saying %q", c.Args, word)
}

// smbTraps are what Samba shows without a lie: links in circles, a long list, a deep tree,
// and a file larger than any disk. One that hangs is a pipe that nobody fills.
func (h *hospital) smbTraps() {
	h.t.Helper()
	at := func(l liar) string {
		dir := h.SystemDir(string(l))
		h.must(os.MkdirAll(dir, 0o755))
		return dir
	}
	wide := at(endlessFolders)
	for i := range 10 {
		h.must(os.MkdirAll(filepath.Join(wide, fmt.Sprint("d", i)), 0o755))
		h.must(os.Symlink("..", filepath.Join(wide, fmt.Sprint("d", i), "back")))
		for j := range 10 {
			h.must(os.Symlink(fmt.Sprintf("../d%d", j), filepath.Join(wide, fmt.Sprint("d", i), fmt.Sprint("to", j))))
		}
	}
	long := at(endlessList)
	for i := range 1000 * h.size.files {
		h.must(os.WriteFile(filepath.Join(long, fmt.Sprintf("f%d-%0200d", i, i)), nil, 0o644))
	}
	down := at(deep)
	for range 400 {
		down = filepath.Join(down, "d")
	}
	h.must(os.MkdirAll(down, 0o755))
	h.must(syscall.Mkfifo(filepath.Join(at(hung), "f1"), 0o644))
	f, err := os.Create(filepath.Join(at(lyingSizes), "f2"))
	h.must(err)
	h.must(errors.Join(f.Truncate(8<<40), f.Close()))
	h.trapsServer()
}

const trapsPort = 1445

// trapsServer is the Samba of the traps: of the lab's own but for the port and the files in
// which a Samba keeps what it is doing.
func (h *hospital) trapsServer() {
	h.t.Helper()
	own, traps := filepath.Join(h.Dir, "smb"), filepath.Join(h.Dir, "traps")
	text, err := os.ReadFile(filepath.Join(own, "smb.conf"))
	h.must(err)
	conf := strings.Replace(string(text), "smb ports = 445", fmt.Sprint("smb ports = ", trapsPort), 1)
	for _, dir := range []string{"lock", "state", "cache", "pid", "ncalrpc"} {
		conf = strings.Replace(conf, filepath.Join(own, dir), filepath.Join(traps, dir), 1)
		h.must(os.MkdirAll(filepath.Join(traps, dir), 0o755))
	}
	file := filepath.Join(traps, "smb.conf")
	h.must(os.WriteFile(file, []byte(conf), 0o600))
	c := h.Command(context.Background(), lab.Departments, "sh", append([]string{"-c", `mount -t tmpfs -o size=16m lab /run && exec nice "$@"`, "sh"},
		append(leftOver, "smbd", "--foreground", "--no-process-group", "--debug-stdout", "--configfile="+file)...)...)
	h.says(c, "started")
}

// night is what one of them was like.
type night struct {
	honest  time.Duration // until the last honest source was gathered
	memory  int64         // the most that serve had, in bytes
	stopped time.Duration // what serve took to end
}

// night gathers the honest sources anew, beside others.
func (h *hospital) night(others []string) (n night) {
	h.t.Helper()
	h.work()
	group := h.cgroup()
	script := `echo $$ > ` + group + `/cgroup.procs && exec "$@"`
	if group == "" {
		script = `exec "$@"`
	}
	serve := exec.Command("sh", append([]string{"-c", script, "sh"}, h.Command(context.Background(), lab.NAS, h.airlock, "-c", h.policy, "serve").Args...)...)
	h.says(serve, "msg=serving")
	if len(others) > 0 {
		beside := h.command(append([]string{"gather"}, others...)...)
		beside.Stderr = nil
		h.must(beside.Start())
		defer beside.Wait() // its end is no concern of the honest
		h.until("one of them is read", func() bool { return h.gathering() > 0 })
	}
	began := time.Now()
	out, err := h.command(append([]string{"gather", "--json"}, h.honest...)...).Output()
	n.honest = time.Since(began)
	if err != nil {
		h.t.Errorf("honest sources: %v\n%s", err, out)
	}
	n.memory = peak(serve.Process.Pid)
	began = time.Now()
	h.must(serve.Process.Signal(syscall.SIGTERM))
	serve.Wait()
	n.stopped = time.Since(began)
	h.t.Logf("beside %v: %.1f s, %d MB, stopped in %.1f s", others, n.honest.Seconds(), n.memory>>20, n.stopped.Seconds())
	return n
}

// work gives every honest source new files.
func (h *hospital) work() {
	h.t.Helper()
	random := rand.NewChaCha8([32]byte{byte(rand.Int()), byte(rand.Int()), byte(rand.Int())})
	data := make([]byte, h.size.each)
	for _, name := range h.honest {
		h.must(os.MkdirAll(h.SystemDir(name), 0o755))
		for i := range h.size.files {
			random.Read(data)
			h.must(os.WriteFile(filepath.Join(h.SystemDir(name), fmt.Sprintf("検査 %d.dcm", i)), data, 0o644))
		}
	}
}

// cgroup is a folder of one with a limit of memory; "" where this machine gives none.
func (h *hospital) cgroup() string {
	for _, kind := range [][2]string{{"memory/", "memory.limit_in_bytes"}, {"", "memory.max"}} {
		dir := "/sys/fs/cgroup/" + kind[0] + filepath.Base(h.Dir)
		if os.MkdirAll(dir, 0o755) != nil {
			continue
		}
		if os.WriteFile(filepath.Join(dir, kind[1]), []byte(strconv.Itoa(limit)), 0) == nil {
			h.t.Cleanup(func() { os.Remove(dir) })
			return dir
		}
		os.Remove(dir)
	}
	if os.Getenv(fullVariable) != "" {
		h.t.Fatal("this machine gives no cgroup with a limit of memory")
	}
	return ""
}

// gathering is how many systems are being read.
func (h *hospital) gathering() (n int) {
	h.t.Helper()
	out, _ := h.command("status", "--json").Output() // a system that was never gathered is an exit code of its own
	var st struct {
		Running []struct{ Task, Stage string }
	}
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&st); err != nil {
		h.t.Fatalf("%v: %s", err, out)
	}
	for _, p := range st.Running {
		if p.Stage == "reading" {
			n++
		}
	}
	return n
}

func (h *hospital) until(what string, there func() bool) {
	h.t.Helper()
	for end := time.Now().Add(time.Minute); !there(); {
		if time.Now().After(end) {
			h.t.Fatalf("waited in vain until %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// peak is the most memory that a process had so far, in bytes.
func peak(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	if m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status); m != nil {
		kB, _ := strconv.ParseInt(string(m[1]), 10, 64)
		return kB << 10
	}
	return 0
}
