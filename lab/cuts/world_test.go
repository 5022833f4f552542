//go:build linux

package cuts

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"airlock/lab/departments"
	"airlock/lab/embedded"
	"airlock/lease"
	"airlock/ledger"
	"airlock/orchestrator"
	"airlock/state"
	"airlock/vault"
	"airlock/vault/local"

	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"
)

// binaries is the folder of the program as users run it, built without the race detector.
var binaries string

func TestMain(m *testing.M) {
	if os.Getenv(watchedVariable) != "" {
		err := becomeWatched(os.Args[1:])
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	flag.Parse()
	os.Exit(func() int {
		err := flag.Set("test.parallel", strconv.Itoa(2*runtime.NumCPU())) // hospitals mostly wait
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if binaries, err = os.MkdirTemp("", "airlock-cuts-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(binaries)
		build := exec.Command("go", "build", "-o", filepath.Join(binaries, "airlock"), "../../cmd/airlock")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// system is the one department whose backups are gathered here.
const system = "ophthalmology"

// changing are the folders that a window changes.
var changing = [...]string{"site/state", "site/primary", "site/vault", "host"}

// world is a hospital whose switch and departments live in this process, so that they
// survive the orchestrator, and whose vault's host is a process of its own behind the
// switch's port. It can be put back to one evening: earlier generations are in the vault,
// and what was gathered since is not.
type world struct {
	t        *testing.T
	dir      string
	earlier  int64
	hospital *embedded.Hospital
	site     note.Verifier
	host     *exec.Cmd // of the vault
	before   int       // files in the vault that evening
}

func newWorld(t *testing.T, earlier int64) *world {
	w := &world{t: t, dir: t.TempDir(), earlier: earlier}
	var err error
	w.hospital, err = embedded.Start(w.path("site"))
	w.must(err)
	t.Cleanup(func() { w.must(w.hospital.Close()) })
	w.airlock("init")
	w.must(w.moveVault())
	w.guard()
	key, err := os.ReadFile(w.path("site/state/keys/site.pub"))
	w.must(err)
	w.site, err = note.NewVerifier(strings.TrimSpace(string(key)))
	w.must(err)
	t.Cleanup(w.unserve)
	w.serve()
	for night := range earlier {
		w.gather()
		w.copy(w.source(), w.path(fmt.Sprint("night-", night+1)))
		w.airlock("window", "--reason", "a night")
		if night == 0 {
			w.must(w.hospital.SecondNight())
		}
		w.must(os.WriteFile(filepath.Join(w.source(), fmt.Sprintf("検査 %d.bin", night)), noise(night, 300_000), 0o600))
	}
	w.gather()
	w.unserve()
	for _, folder := range changing {
		w.copy(w.path(folder), w.path(filepath.Join("evening", folder)))
	}
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// source is the folder of the department's backups.
func (w *world) source() string {
	for _, s := range w.hospital.Systems {
		if s.Name == system {
			return s.Dir
		}
	}
	panic("the hospital has no " + system)
}

// noise are bytes that are not compressible, other ones for each night.
func noise(night int64, size int) []byte {
	var b bytes.Buffer
	for n := 0; b.Len() < size; n++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%d %d", night, n))
		b.Write(sum[:])
	}
	return b.Bytes()[:size]
}

// moveVault puts a host of airlock's own in the place of the hospital's vault.
func (w *world) moveVault() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	listen := l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	address, err := w.hospital.PutBehindVaultPort(listen)
	if err != nil {
		return err
	}
	key, err1 := os.ReadFile(w.path("site/secrets/key"))
	site, err2 := os.ReadFile(w.path("site/state/keys/site.pub"))
	policy, err3 := os.ReadFile(w.hospital.PolicyFile)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	client, err := ssh.ParsePrivateKey(key)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("vault: lab-vault\ntimezone: Asia/Tokyo\nfolder: %s\nstate: %s\nlisten: %q\nsite_key: %q\nclients:\n  airlock: {public_key: %q}\nfloor: 1MB\n",
		w.hospital.VaultDir, w.path("host"), listen, strings.TrimSpace(string(site)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(client.PublicKey()))))
	if err := os.WriteFile(w.path("vault.yaml"), []byte(text), 0o600); err != nil {
		return err
	}
	var keys struct {
		Receipt string `json:"receipt_key"`
		Known   string `json:"known_hosts"`
	}
	if err := json.Unmarshal(w.run("-c", w.path("vault.yaml"), "vault", "keys", "--json"), &keys); err != nil {
		return err
	}
	hosts := strings.ReplaceAll(keys.Known, strings.Fields(keys.Known)[0], knownAs(address))
	edited := []string{fmt.Sprintf("guard: {interval: 10m, lease_ttl: 10m, ledger: %q}\n", w.path("guard/ledger.db"))}
	inVaults := false
	for line := range strings.Lines(string(policy)) {
		inVaults = line == "vaults:\n" || inVaults && strings.HasPrefix(line, " ")
		switch {
		case strings.HasPrefix(line, "    probe: ") && exhaustive():
			line = fmt.Sprintf("    probe: %q\n", address)
		case strings.HasPrefix(line, "    probe: "):
			line = "" // its silence takes as long as all the rest of a window
		case inVaults && strings.HasPrefix(line, "    url: "):
			line = fmt.Sprintf("    url: %q\n    receipt_key: %q\n", "sftp://airlock@"+address+w.hospital.VaultDir, keys.Receipt)
		case inVaults && strings.HasPrefix(line, "    known_hosts: "):
			line = fmt.Sprintf("    known_hosts: %q\n", w.path("known_hosts"))
		}
		edited = append(edited, line)
	}
	return errors.Join(
		os.WriteFile(w.path("known_hosts"), []byte(hosts+"\n"), 0o600),
		os.WriteFile(w.hospital.PolicyFile, []byte(strings.Join(edited, "")), 0o600))
}

// guard has the executor believe that a guard lives, which does nothing here: what a start
// makes of a port that was left up is what is looked at, and a watcher would shut it before.
func (w *world) guard() {
	w.t.Helper()
	now, err := lease.Now()
	w.must(err)
	file := lease.GuardFile(w.path("guard/ledger.db"))
	w.must(os.MkdirAll(filepath.Dir(file), 0o700))
	w.must(lease.Guard{PID: os.Getpid(), Version: "test", At: time.Now(), Clock: now}.Write(file))
}

// knownAs is an address as known_hosts has it.
func knownAs(address string) string {
	host, port, _ := net.SplitHostPort(address)
	return "[" + host + "]:" + port
}

// command is the program as hospital IT runs it.
func (w *world) command(args ...string) *exec.Cmd {
	return exec.CommandContext(w.t.Context(), filepath.Join(binaries, "airlock"), args...)
}

// run wants the program to end well, and gives what it printed.
func (w *world) run(args ...string) []byte {
	w.t.Helper()
	c := w.command(args...)
	var complaint bytes.Buffer
	c.Stderr = &complaint
	out, err := c.Output()
	if err != nil {
		w.t.Fatalf("airlock %s: %v\n%s%s", strings.Join(args, " "), err, out, complaint.String())
	}
	return out
}

// airlock runs the program on the site.
func (w *world) airlock(args ...string) []byte {
	w.t.Helper()
	return w.run(append([]string{"-c", w.hospital.PolicyFile}, args...)...)
}

func (w *world) gather() {
	w.t.Helper()
	w.airlock("gather", system, "--reason", "a night")
}

// serve starts the vault's host, and returns once it listens.
func (w *world) serve() {
	w.t.Helper()
	c := w.command("-c", w.path("vault.yaml"), "vault", "serve")
	log, err := c.StderrPipe()
	w.must(errors.Join(err, c.Start()))
	w.host = c
	lines := bufio.NewReader(log)
	var said strings.Builder
	for {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if err != nil {
			w.t.Fatalf("the vault's host ended:\n%s", said.String())
		}
		if strings.Contains(line, "serving") {
			break
		}
	}
	go lines.WriteTo(discard{}) // lest it wait for a reader
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// unserve ends the vault's host, if one runs.
func (w *world) unserve() {
	if w.host != nil {
		w.host.Process.Kill()
		w.host.Wait()
		w.host = nil
	}
}

// copy makes a folder what another is, to the times of its files.
func (w *world) copy(from, to string) {
	w.t.Helper()
	w.must(errors.Join(os.RemoveAll(to), os.MkdirAll(filepath.Dir(to), 0o700)))
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
}

// evening puts everything back to what it was before the window that is cut.
func (w *world) evening() {
	w.t.Helper()
	w.unserve()
	for _, folder := range changing {
		w.copy(w.path(filepath.Join("evening", folder)), w.path(folder))
	}
	w.before = w.files()
	w.serve()
}

// files counts what lies in the vault.
func (w *world) files() (count int) {
	w.must(filepath.WalkDir(w.hospital.VaultDir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // what was incoming has arrived
			return nil
		}
		if err == nil && !d.IsDir() {
			count++
		}
		return err
	}))
	return count
}

// entries reads the ledger as it lies there, without touching it.
func (w *world) entries() []ledger.Entry {
	w.t.Helper()
	dir := w.t.TempDir()
	files, err := filepath.Glob(w.path("site/state/ledger.db*"))
	w.must(err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		w.must(errors.Join(err, os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o600)))
	}
	r, err := orchestrator.OpenLedger(w.t.Context(), state.Folder(dir))
	w.must(err)
	var all []ledger.Entry
	for e, err := range r.Entries(w.t.Context(), ledger.Filter{}) {
		w.must(err)
		all = append(all, e)
	}
	w.must(errors.Join(r.Close(), os.RemoveAll(dir)))
	return all
}

// wholeGenerations checks every generation in the vault blob by blob, and gives the
// newest. One without its signature is none: its window was cut just then.
func (w *world) wholeGenerations() (newest *vault.Generation) {
	w.t.Helper()
	store, err := local.Open(w.hospital.VaultDir)
	w.must(err)
	defer func() { w.must(store.Close()) }()
	all, err := vault.Generations(w.t.Context(), store)
	w.must(err)
	count := int64(0)
	for _, info := range all {
		g, err := vault.LoadSigned(w.t.Context(), store, info.Number, w.site)
		if errors.Is(err, vault.ErrUntrusted) && info.Number > w.earlier {
			continue
		}
		if err != nil {
			w.t.Errorf("S10: generation %d: %v", info.Number, err)
			continue
		}
		for _, e := range g.Blobs {
			data, err := os.ReadFile(filepath.Join(w.hospital.VaultDir, e.At()))
			if err != nil || sha256.Sum256(data) != e.SHA256 {
				w.t.Errorf("S10: generation %d: blob %s: %v, %d bytes of %d", g.Number, e.Name, err, len(data), e.Size)
			}
		}
		newest = g
		count++
	}
	if count < w.earlier {
		w.t.Fatalf("S10: %d generations are left", count)
	}
	return newest
}

// restores wants a generation of the vault back as the department had it that night.
func (w *world) restores(generation int64) {
	w.t.Helper()
	to, want := w.t.TempDir(), w.source()
	if generation <= w.earlier {
		want = w.path(fmt.Sprint("night-", generation))
	}
	w.airlock("restore", system, "--from", embedded.VaultName, "--drill", "--generation", fmt.Sprint(generation), "--to", to, "--reason", "test")
	if files, difference, err := departments.Same(want, to, []string{"*.tmp"}); err != nil || difference != "" || files < 9 {
		w.t.Errorf("S10: generation %d restores %d files %s %v", generation, files, difference, err)
	}
	w.must(os.RemoveAll(to))
}

// lies says whether there is such a file in the vault, or one in such a folder.
func (w *world) lies(name string) bool {
	name = filepath.Join(w.hospital.VaultDir, name)
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	w.must(err)
	if !info.IsDir() {
		return true
	}
	inside, err := os.ReadDir(name)
	w.must(err)
	return len(inside) > 0
}
