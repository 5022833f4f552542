//go:build linux

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"airlock/blob"
	"airlock/lab"
	"airlock/lab/departments"
	"airlock/ledger"

	"github.com/creack/pty"
)

// rules is what the policy file says.
type rules struct {
	maxOpen, leaseTTL, interval time.Duration
	patrol                      time.Duration // 0: as often as may be
	traps                       bool          // the switch tells of its ports, and the orchestrator listens
	forgeable                   bool          // it listens to what anybody can forge, too
	secondWay                   bool          // to the vault's port: the switch's command line
}

// brisk makes of the minutes of a night seconds.
var brisk = rules{maxOpen: 8 * time.Second, leaseTTL: 3 * time.Second, interval: time.Second, forgeable: true}

// look is after which time the guard has found a port that was opened by hand: it looks
// every interval, at what the agent remembers, and shuts.
func (r rules) look() time.Duration { return r.interval + lab.AgentMemory + time.Second/2 }

// The doors, as the lab's policy file calls them.
const (
	vaultDoor = "vault-door"
	vaultName = "secondary"
)

// portMbits is what the vault's port carries, slow enough for a small window to be hit.
const portMbits = 40

// hang is how long a program may take that was not hindered.
const hang = 90 * time.Second

// site is a hospital with the program in it, as a hospital runs it: a guard, and most of
// the time an orchestrator, each a process of its own.
type site struct {
	*lab.Hospital
	airlock, kopia string // the programs; kopia may be ""
	clock          *clock
	ports          *lab.Sampler
	serve, guard   *program // nil: not running
	programs       []*program
	rules
	laden       bool               // the vault lacks more than it can get soon
	generations map[int64]blob.Sum // the hash of each generation, when it was seen first
}

// program is a process that runs.
type program struct {
	name  string
	cmd   *exec.Cmd
	ended chan struct{}
	said  int64 // where its words begin in the log

	endedAt  time.Time // once ended is closed
	terminal *os.File  // the other end of the terminal that it was started on; nil without one
}

// newSite brings a hospital up, in place of one of the same name, and gathers for the first time.
func newSite(ctx context.Context, o Options, r rules, name string) (_ *site, err error) {
	hospital, err := lab.Up(ctx, lab.Options{
		Name: name, Dir: filepath.Join("/tmp", "al-"+name), CLI: r.secondWay,
		VaultDisk: 2 << 30, StateDisk: 256 << 20, RepositoryDisk: 2 << 30,
	})
	if err != nil {
		return nil, err
	}
	s := &site{Hospital: hospital, airlock: o.Airlock, kopia: o.Kopia, rules: r, generations: map[int64]blob.Sum{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Down())
		}
	}()
	if err := s.SetVaultRate(ctx, portMbits); err != nil {
		return nil, err
	}
	if s.traps {
		if err := s.Start(ctx, lab.PromptTraps); err != nil {
			return nil, err
		}
	}
	if err := s.edit(); err != nil {
		return nil, err
	}
	if s.clock, err = newClock(s.Dir); err != nil {
		return nil, err
	}
	if s.ports, err = s.Sampler(lab.VaultPort, lab.DepartmentsPort, lab.NASPort); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"init"}, {"gather"}, {"window", vaultName, "--reason", "the first"}} {
		if err := s.do(ctx, args...); err != nil {
			return nil, err
		}
	}
	return s, s.takeReleaseKey()
}

// releaseKey is the file of the key that ends a lockdown.
func (s *site) releaseKey() string { return filepath.Join(s.Dir, "secrets", "release") }

// takeReleaseKey keeps the key that init printed.
func (s *site) takeReleaseKey() error {
	_, after, _ := strings.Cut(s.words(s.programs[0]), "release key")
	fields := strings.Fields(after)
	if len(fields) == 0 {
		return errors.New("airlock init printed no release key")
	}
	return os.WriteFile(s.releaseKey(), []byte(fields[0]), 0o600)
}

// commandLine is the second way.
const commandLine = `  core-cli:
    driver: cli
    address: 10.78.0.1:22
    cli:
      platform: frr
      user: root
      key: {file: %[1]s/secrets/key}
      known_hosts: %[1]s/known_hosts

doors:
`

// edit has the policy file say the rules, and bounds what a door may take. The guard
// keeps its ledger on another disk than the executor.
func (s *site) edit() error {
	text, err := os.ReadFile(s.PolicyFile())
	if err != nil {
		return err
	}
	top := fmt.Sprintf("timezone: Asia/Tokyo\npatrol: {every: %s, misses: 2}\n", max(5*time.Second, s.patrol))
	if s.traps {
		top += "traps: {listen: \"" + lab.TrapsTo + "\"}\n"
	}
	if s.forgeable {
		top += fmt.Sprintf("traps: {listen: %q, switches: {core: {snmp: {version: 2c, insecure: true, community: {file: %s}}}}}\n", lab.TrapsTo, s.trapCommunity())
		if err := os.WriteFile(s.trapCommunity(), []byte(lab.TrapCommunity), 0o600); err != nil {
			return err
		}
	}
	vaultsPort, switches := "port: {name: p3}\n    open_within: 4s\n    prove_within: 4s\n", "doors:\n"
	if s.secondWay {
		vaultsPort += "    fallback: core-cli\n"
		switches = fmt.Sprintf(commandLine, s.Dir)
	}
	for _, pair := range [][2]string{
		{"timezone: Asia/Tokyo\n", top + fmt.Sprintf("guard: {interval: %s, lease_ttl: %s, ledger: %s}\n", s.interval, s.leaseTTL, s.guardLedger())},
		{"max_open: 45m", fmt.Sprintf("max_open: %s, answer_within: 3s", s.maxOpen)},
		{"port: {name: p3}\n", vaultsPort},
		{"\ndoors:\n", "\n" + switches},
		{"port: {name: p1}\n", "port: {name: p1}\n    open_within: 4s\n    prove_within: 4s\n"},
		{"limits: {concurrency: 4}", "limits: {concurrency: 4, retries: 2}"},
	} {
		if !bytes.Contains(text, []byte(pair[0])) {
			return fmt.Errorf("the lab's policy file has no %q", pair[0])
		}
		text = bytes.ReplaceAll(text, []byte(pair[0]), []byte(pair[1]))
	}
	return os.WriteFile(s.PolicyFile(), text, 0o600)
}

func (s *site) trapCommunity() string { return filepath.Join(s.Dir, "secrets", "trap-community") }

func (s *site) guardLedger() string { return filepath.Join(s.Dir, "guard", "ledger.db") }

// Down ends everything.
func (s *site) Down() error {
	for _, p := range s.programs {
		p.signal(syscall.SIGKILL)
	}
	return s.Hospital.Down()
}

// command is airlock on the NAS, by the hospital's clock.
func (s *site) command(ctx context.Context, args ...string) *exec.Cmd {
	c := s.Command(ctx, lab.NAS, s.airlock, append([]string{"-c", s.PolicyFile()}, args...)...)
	c.Env = append(os.Environ(), s.clock.environment()...)
	return c
}

// start starts airlock in the background; what it says stands in the folder of logs.
func (s *site) start(args ...string) (*program, error) {
	p := &program{name: args[0], cmd: s.command(context.Background(), args...), ended: make(chan struct{})}
	log, err := s.openLog(p)
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	err = p.cmd.Start()
	if err = errors.Join(err, log.Close()); err != nil {
		return nil, err
	}
	s.follow(p)
	return p, nil
}

// startOnTerminal starts airlock as a person does, on a terminal of its own, which is lost
// when p.terminal is closed.
func (s *site) startOnTerminal(args ...string) (*program, error) {
	p := &program{name: args[0], cmd: s.command(context.Background(), args...), ended: make(chan struct{})}
	log, err := s.openLog(p)
	if err != nil {
		return nil, err
	}
	p.cmd.Env = append(p.cmd.Env, "TERM=dumb")
	if p.terminal, err = pty.Start(p.cmd); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go func() {
		defer log.Close()
		io.Copy(log, p.terminal) // ends with an error when the terminal does
	}()
	s.follow(p)
	return p, nil
}

func (s *site) openLog(p *program) (*os.File, error) {
	log, err := os.OpenFile(s.log(p), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if p.said, err = log.Seek(0, 2); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	fmt.Fprintf(log, "--- %s airlock %s\n", time.Now().Format(time.RFC3339Nano), strings.Join(p.cmd.Args, " "))
	return log, nil
}

// follow notes when a program that was started ends.
func (s *site) follow(p *program) {
	s.programs = append(s.programs, p)
	go func() {
		p.cmd.Wait() // its exit code is what it has to say
		p.endedAt = time.Now()
		close(p.ended)
	}()
}

func (s *site) log(p *program) string {
	return filepath.Join(s.Dir, "log", "airlock-"+p.name)
}

// words are what a program said so far.
func (s *site) words(p *program) string {
	text, err := os.ReadFile(s.log(p))
	if err != nil {
		return err.Error()
	}
	return string(text[min(p.said, int64(len(text))):])
}

// lastWords are the end of it, for an error.
func (s *site) lastWords(p *program) string {
	text := s.words(p)
	return text[max(0, len(text)-600):]
}

func (p *program) signal(signal syscall.Signal) { p.cmd.Process.Signal(signal) } // one that ended needs none

func (p *program) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// wait returns once the program ended. One that does not is asked what it does, and
// killed.
func (p *program) wait(ctx context.Context, patience time.Duration) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-late.C:
	}
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGABRT) // what it does is in its log then
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		p.signal(syscall.SIGKILL)
		<-p.ended
	}
	return fmt.Errorf("airlock %s did not end within %s; what it did stands in its log", p.name, patience)
}

// do runs airlock to its end, which must be a good one.
func (s *site) do(ctx context.Context, args ...string) error {
	p, err := s.start(args...)
	if err != nil {
		return err
	}
	if err := p.wait(ctx, hang); err != nil {
		return err
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("airlock %s: exit code %d: %s", strings.Join(args, " "), code, s.lastWords(p))
	}
	return nil
}

// ensure has the guard run, and the orchestrator if it shall.
func (s *site) ensure(ctx context.Context, serving bool) error {
	if s.guard == nil || !s.guard.running() {
		p, err := s.start("guard")
		if err != nil {
			return err
		}
		s.guard = p
		if err := s.until(ctx, p, "msg=guarding"); err != nil {
			return err
		}
	}
	if s.serve != nil && !s.serve.running() {
		s.serve = nil
	}
	switch {
	case serving && s.serve == nil:
		p, err := s.start("serve")
		if err != nil {
			return err
		}
		s.serve = p
		return s.until(ctx, p, "msg=serving")
	case !serving && s.serve != nil:
		s.serve.signal(syscall.SIGTERM)
		if err := s.serve.wait(ctx, hang); err != nil {
			return err
		}
		if code := s.serve.cmd.ProcessState.ExitCode(); code != 0 {
			return fmt.Errorf("airlock serve: exit code %d after SIGTERM: %s", code, s.lastWords(s.serve))
		}
		s.serve = nil
	}
	return nil
}

// until waits for words of a program.
func (s *site) until(ctx context.Context, p *program, words string) error {
	return s.poll(ctx, hang, fmt.Sprintf("airlock %s to say %q", p.name, words), func() bool {
		said := s.words(p)
		_, said, _ = strings.Cut(said, "\n") // after its own command line
		return strings.Contains(said, words) || !p.running()
	})
}

// poll waits until there holds.
func (s *site) poll(ctx context.Context, patience time.Duration, what string, there func() bool) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !there() {
		select {
		case <-tick.C:
		case <-late.C:
			return fmt.Errorf("waited %s in vain for %s", patience, what)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// isUp is whether a port is up, by the sampler, and since when it is as it is.
func (s *site) isUp(port string) (bool, time.Time) {
	var last lab.Transition
	for _, t := range s.ports.Transitions() {
		if t.Port == port {
			last = t
		}
	}
	return last.Up, last.By
}

// study leaves a new study of so many bytes with the imaging department, which no
// compressor makes smaller.
func (s *site) study(r *rand.Rand, number, size int) error {
	data := make([]byte, size)
	for i := 0; i+8 <= size; i += 8 {
		x := r.Uint64()
		for j := range 8 {
			data[i+j] = byte(x >> (8 * j))
		}
	}
	return os.WriteFile(filepath.Join(s.SystemDir("imaging"), fmt.Sprintf("検査_%06d.dcm", number)), data, 0o644)
}

// sayings are what both ledgers say of the vault's door; an error says how one of them
// is not sound.
func (s *site) sayings(ctx context.Context) ([]saying, error) {
	ctx, cancel := context.WithTimeout(ctx, hang)
	defer cancel()
	entries, err := s.entries(ctx)
	if err != nil {
		return nil, err
	}
	said, err := s.take(nil, entries)
	if err == nil {
		_, err = readLedger(ctx, filepath.Join(s.StateDir(), "ledger.db"))
	}
	if err != nil {
		return nil, fmt.Errorf("the executor's ledger: %w", err)
	}
	if entries, err = readLedger(ctx, s.guardLedger()); err == nil {
		said, err = s.take(said, entries)
	}
	if err != nil {
		return nil, fmt.Errorf("the guard's ledger: %w", err)
	}
	order(said)
	return said, nil
}

// entries is the executor's ledger, as airlock lists it.
func (s *site) entries(ctx context.Context) ([]ledger.Entry, error) {
	c := s.command(ctx, "audit", "list", "--json")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("airlock audit list: %w: %s", err, stderr.Bytes())
	}
	var entries []ledger.Entry
	for line := range bytes.Lines(out) {
		var e ledger.Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("airlock audit list: %w: %s", err, line)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// take adds what entries say of the vault's door, and wants them without a gap.
func (s *site) take(said []saying, entries []ledger.Entry) ([]saying, error) {
	var durable time.Time // the last intent
	for i, e := range entries {
		if e.Seq != int64(i+1) {
			return nil, fmt.Errorf("entry %d stands where %d should", e.Seq, i+1)
		}
		if e.Kind != ledger.KindDoor || e.Door != vaultDoor {
			continue
		}
		at := s.clock.truly(e.Time)
		if e.To == "opening" { // S1: what counts is when it was durable, and nothing after it counts before
			at = s.clock.truly(e.Recorded)
			durable = at
		}
		said = append(said, saying{later(at, durable), e.To})
	}
	return said, nil
}

// readLedger reads a ledger, and checks its file.
func readLedger(ctx context.Context, path string) (all []ledger.Entry, err error) {
	r, err := ledger.OpenReader(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for e, err := range r.Entries(ctx, ledger.Filter{}) {
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, r.Check(ctx)
}

// restores wants the department's files back from the vault through its door.
func (s *site) restores(ctx context.Context, system string) error {
	to, err := os.MkdirTemp(s.Dir, "restored-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(to)
	if err := s.do(ctx, "restore", system, "--from", vaultName, "--to", to, "--reason", "chaos"); err != nil {
		return err
	}
	return s.same(system, to)
}

// same compares a restored folder with a department's, where nothing changes but
// imaging.
func (s *site) same(system, restored string) error {
	files, difference, err := departments.Same(s.SystemDir(system), restored, []string{"*.tmp"})
	if err == nil && (difference != "" || files == 0) {
		err = fmt.Errorf("%s came back otherwise: %d files, %s", system, files, difference)
	}
	return err
}
