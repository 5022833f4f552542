//go:build linux

package openings

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"airlock/lab"
	"airlock/lab/labtest"
	"airlock/ledger"
)

// scrapeVariable makes this program one that fetches an address, from within a host.
const scrapeVariable = "AIRLOCK_SCRAPE"

// Once built for the test.
var airlock, auditor string

func TestMain(m *testing.M) {
	if address := os.Getenv(scrapeVariable); address != "" {
		if err := scrape(address); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "airlock-openings-")
		if err == nil {
			defer os.RemoveAll(dir)
			airlock, auditor = filepath.Join(dir, "airlock"), filepath.Join(dir, "airlock-audit")
			err = errors.Join(build(airlock, "../../cmd/airlock"), build(auditor, "../../cmd/airlock-audit"))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

func build(file, pkg string) error {
	c := exec.Command("go", "build", "-o", file, pkg)
	c.Stderr = os.Stderr
	return c.Run()
}

func scrape(address string) error {
	client := http.Client{Timeout: hang}
	answer, err := client.Get(address)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	_, err = io.Copy(os.Stdout, answer.Body)
	return err
}

// hang bounds every wait for something that must come, and every command.
const hang = 2 * time.Minute

// rules make a night brisk: nothing runs by its schedule, and the vault's is the only door.
var rules = strings.NewReplacer(
	"timezone: ", "guard: {interval: 1s, lease_ttl: 3s}\ntimezone: ",
	`"30 2 * * *"`, `"30 2 1 1 *"`, `"15 22 * * 1-6"`, `"15 22 1 1 *"`, `"@hourly"`, `"15 22 1 1 *"`,
	"    inner_door: departments-door\n", "", "  departments-door:\n    switch: core\n    port: {name: "+lab.DepartmentsPort+"}\n", "",
	"rpo: 50h", "rpo: 9000h", "rpo: 26h", "rpo: 9000h",
)

// portMbits has a window of studyBytes last for two seconds, and for longer after one that
// was killed.
const (
	portMbits  = 40
	studyBytes = 6 << 20
)

// hospital is a lab with the program in it.
type hospital struct {
	*lab.Hospital
	t      *testing.T
	ports  *lab.Sampler
	serve  *exec.Cmd
	guard  *exec.Cmd // nil: does not run
	nights int
}

func newHospital(t *testing.T) *hospital {
	t.Helper()
	h := &hospital{Hospital: labtest.Up(t, lab.Options{}), t: t}
	text, err := os.ReadFile(h.PolicyFile())
	h.must(err)
	h.must(os.WriteFile(h.PolicyFile(), []byte(rules.Replace(string(text))), 0o600))
	h.must(h.SetVaultRate(t.Context(), portMbits))
	h.ports, err = h.Sampler(lab.VaultPort)
	h.must(err)
	t.Cleanup(func() { h.ports.Stop() })
	h.airlock("init")
	h.startServe()
	return h
}

func (h *hospital) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *hospital) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	c := h.Command(ctx, lab.NAS, program, args...)
	c.WaitDelay = time.Second
	return c
}

// says runs a program to its end, gives what it printed, and its exit code.
func (h *hospital) says(program string, args ...string) ([]byte, int) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), hang)
	defer cancel()
	c := h.command(ctx, program, args...)
	var complaint bytes.Buffer
	c.Stderr = &complaint
	out, err := c.Output()
	var ended *exec.ExitError
	if err != nil && (!errors.As(err, &ended) || ctx.Err() != nil) {
		h.t.Fatalf("%s: %v\n%s%s", strings.Join(c.Args, " "), err, out, complaint.Bytes())
	}
	if code := c.ProcessState.ExitCode(); code != 0 {
		h.t.Logf("%s: exit code %d %s", strings.Join(args, " "), code, complaint.Bytes())
	}
	return out, c.ProcessState.ExitCode()
}

// airlock wants the program to end well, and gives what it printed.
func (h *hospital) airlock(args ...string) []byte {
	h.t.Helper()
	out, code := h.says(airlock, h.with(args)...)
	if code != 0 {
		h.t.Fatalf("airlock %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

func (h *hospital) with(args []string) []string {
	return append([]string{"-c", h.PolicyFile()}, args...)
}

// start starts the program in the background, and returns once its log has a word.
func (h *hospital) start(word string, args ...string) *exec.Cmd {
	h.t.Helper()
	c := h.command(context.Background(), airlock, h.with(args)...)
	log, err := os.CreateTemp(h.Dir, args[0]+"-*.log")
	h.must(err)
	c.Stdout, c.Stderr = log, log
	h.must(errors.Join(c.Start(), log.Close()))
	h.t.Cleanup(func() { c.Process.Kill() })
	h.until("airlock "+args[0]+" says "+word, func() bool {
		text, err := os.ReadFile(log.Name())
		h.must(err)
		return bytes.Contains(text, []byte(word))
	})
	return c
}

func (h *hospital) startServe() { h.t.Helper(); h.serve = h.start("msg=serving", "serve") }

// guarded has a guard run, or none.
func (h *hospital) guarded(run bool) {
	h.t.Helper()
	switch {
	case run && h.guard == nil:
		h.guard = h.start("msg=guarding", "guard")
	case !run && h.guard != nil:
		h.end(h.guard, syscall.SIGTERM)
		h.guard = nil
	}
}

// end sends a signal, and wants the process to end.
func (h *hospital) end(c *exec.Cmd, s syscall.Signal) {
	h.t.Helper()
	h.must(c.Process.Signal(s))
	h.wait(c)
}

func (h *hospital) wait(c *exec.Cmd) {
	h.t.Helper()
	ended := make(chan struct{})
	go func() {
		c.Wait() // its exit code is what it has to say
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(hang):
		h.t.Fatalf("%s does not end", strings.Join(c.Args, " "))
	}
}

// until waits for something outside the test.
func (h *hospital) until(what string, there func() bool) {
	h.t.Helper()
	for end := time.Now().Add(hang); !there(); {
		if time.Now().After(end) {
			h.t.Fatalf("waited in vain until %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// gather leaves a new study with the imaging department, and has it gathered.
func (h *hospital) gather() {
	h.t.Helper()
	data := make([]byte, studyBytes)
	rand.Read(data)
	h.nights++
	h.must(os.WriteFile(filepath.Join(h.SystemDir("imaging"), fmt.Sprintf("検査 %d.dcm", h.nights%2)), data, 0o644))
	h.airlock("gather", "imaging")
}

// isUp is what the switch's own kernel says of the vault's port.
func (h *hospital) isUp() bool {
	all := h.ports.Transitions()
	return len(all) > 0 && all[len(all)-1].Up
}

func (h *hospital) ledger() string { return filepath.Join(h.StateDir(), "ledger.db") }

func (h *hospital) guardLedger() string { return filepath.Join(h.StateDir(), "guard", "ledger.db") }

// read is a ledger as it stands now; empty where there is none.
func (h *hospital) read(file string, f ledger.Filter) (all []ledger.Entry) {
	h.t.Helper()
	r, err := ledger.OpenReader(h.t.Context(), file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	h.must(err)
	for e, err := range r.Entries(h.t.Context(), f) {
		h.must(err)
		all = append(all, e)
	}
	h.must(r.Close())
	return all
}

// children are the processes that a process started.
func (h *hospital) children(parent int) (all []int) {
	h.t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	h.must(err)
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			h.must(err)
			all = append(all, pid)
		}
	}
	return all
}
