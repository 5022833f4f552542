package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"airlock/lab/sshkeys"
	"airlock/switchctl/switchtest/snmpswitch"
	"airlock/vault"

	"github.com/gosnmp/gosnmp"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"
)

// binaries is the folder of the program as users run it. It is built without the race
// detector, under which every derivation of a repository's key takes seconds.
var binaries string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "airlock-scripts-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binaries = dir
		build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), ".", "../airlock-audit")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// The scripts run the real program. A switch that speaks SNMP stands beside each; what
// it does to its ports is seen without airlock.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Setup:               setUp,
		Cmds:                commands(),
		RequireExplicitExec: true,
		Condition: func(name string) (bool, error) {
			switch name {
			case "root":
				return os.Getuid() == 0, nil
			case "loginuid": // somebody logged in, and sudo's word for who it is does not count
				text, err := os.ReadFile("/proc/self/loginuid")
				return err == nil && strings.TrimSpace(string(text)) != "4294967295", nil
			}
			return false, fmt.Errorf("there is no condition %s", name)
		},
	})
}

// site is what one script plays with.
type site struct {
	core   *snmpswitch.Switch
	silent atomic.Bool   // the switch answers nothing
	moves  atomic.Int64  // of the two doors' ports, by commands
	logins chan struct{} // one for each client that waits for the hung vault
}

type siteKey struct{}

func setUp(e *testscript.Env) error {
	s := &site{logins: make(chan struct{}, 100)}
	core, err := snmpswitch.New(snmpswitch.Config{
		User: "airlock", AuthPassword: "authentication", PrivacyPassword: "privacy-privacy",
		Ports: []snmpswitch.Port{
			{Index: 1, Name: "p1", Alias: "部門ネットワーク", Description: "port 1", Up: true, OnAdmin: s.moved},
			{Index: 2, Name: "p2", Alias: "spare", Description: "port 2"},
			{Index: 3, Name: "p3", Alias: "vault", Description: "port 3", OnAdmin: s.moved},
			{Index: 4, Name: "p4", Alias: "vault", Description: "port 4"},
		},
	})
	if err != nil {
		return err
	}
	s.core = core
	s.faults(snmpswitch.Faults{})
	e.Values[siteKey{}] = s
	e.Defer(func() {
		core.Close()
		if err := killWatchers(e.WorkDir); err != nil {
			e.T().Log(err)
		}
	})
	e.Setenv("PATH", binaries+string(os.PathListSeparator)+e.Getenv("PATH"))
	e.Setenv("SWITCH", core.Addr())
	e.Setenv("AIRLOCK_LANG", "en")
	// A port that was free just now: the policy file has to name one.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err := errors.Join(err, l.Close()); err != nil {
		return err
	}
	e.Setenv("PORT", port)
	return errors.Join(makeSite(e), s.hungVault(e))
}

// hungVault writes hung.yaml, the same site with a vault that accepts connections and
// then says nothing: a window of it stays open until something ends it.
func (s *site) hungVault(e *testscript.Env) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	e.Defer(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				hello := make([]byte, 1)
				if _, err := c.Read(hello); err == nil {
					s.logins <- struct{}{}
				}
				io.Copy(io.Discard, c) // until the client gives up
				c.Close()
			}()
		}
	}()
	host, _, err := sshkeys.New("host")
	if err != nil {
		return err
	}
	_, key, err := sshkeys.New("airlock")
	if err != nil {
		return err
	}
	known, secret := filepath.Join(e.WorkDir, "known_hosts"), filepath.Join(e.WorkDir, "secrets", "key")
	text := strings.Replace(policyFile, "url: file://$WORK/vault", fmt.Sprintf("url: sftp://airlock@%s/vault\n    key: {file: %s}\n    known_hosts: %s", l.Addr(), secret, known), 1)
	return errors.Join(
		sshkeys.WriteKnownHosts(known, host.PublicKey(), l.Addr().String()),
		os.WriteFile(secret, key, 0o600),
		writePolicy(e, "hung.yaml", text))
}

func writePolicy(e *testscript.Env, name, text string) error {
	text = strings.NewReplacer("$WORK", e.WorkDir, "$SWITCH", e.Getenv("SWITCH")).Replace(text)
	return os.WriteFile(filepath.Join(e.WorkDir, name), []byte(text), 0o600)
}

// faults makes the switch misbehave; silence is kept apart.
func (s *site) faults(f snmpswitch.Faults) {
	f.Drop = func(gosnmp.PDUType) bool { return s.silent.Load() }
	s.core.SetFaults(f)
}

// makeSite writes a policy file whose folders all lie in the script's own.
func makeSite(e *testscript.Env) error {
	for name, text := range map[string]string{
		"secrets/auth":   "authentication",
		"secrets/priv":   "privacy-privacy",
		"会計/台帳.csv":      "患者,点数\n山田,120\n",
		"会計/控え/十一月.csv":  "合計,240\n",
		"画像/検査 001.dcm":  strings.Repeat("画像", 4000),
		"画像/ｶﾅ/長い名前.dcm": strings.Repeat("x", 70000),
	} {
		name = filepath.Join(e.WorkDir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			return err
		}
	}
	return errors.Join(writePolicy(e, "airlock.yaml", policyFile), os.Mkdir(filepath.Join(e.WorkDir, "nas"), 0o700), os.Mkdir(filepath.Join(e.WorkDir, "vault"), 0o700))
}

const policyFile = `site: test-hospital
timezone: Asia/Tokyo
state: $WORK/state
repository:
  url: file://$WORK/nas
  passphrase: {file: $WORK/secrets/repository}
switches:
  core:
    driver: snmp
    address: $SWITCH
    snmp: {user: airlock, auth: SHA-256, auth_password: {file: $WORK/secrets/auth}, privacy: AES, privacy_password: {file: $WORK/secrets/priv}}
doors:
  vault-door: {switch: core, port: {name: p3, alias: vault}, open_within: 20s, prove_within: 2s}
  departments-door: {switch: core, port: {name: p1}, open_within: 20s, prove_within: 2s}
vaults:
  secondary:
    url: file://$WORK/vault
    door: vault-door
    inner_door: departments-door
    window: {schedule: "30 2 * * *", max_open: 5m}
systems:
  accounting:
    title: 医事会計
    source: {url: "file://$WORK/会計"}
    schedule: "15 22 * * *"
    rpo: 26h
    rto: 4h
    exclude: ["*.tmp"]
  imaging:
    title: 画像診断
    source: {url: "file://$WORK/画像"}
    schedule: "0 3 * * *"
`

func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"exits":   exits,
		"await":   await,
		"port":    port,
		"switch":  misbehave,
		"sigterm": sigterm,
		"sighup":  sighup,
		"sigkill": sigkill,
		"orphan":  orphan,
		"mode":    mode,
		"edit":    edit,
		"polls":   polls,
		"flood":   flood,

		"moved":     moved,
		"vaulthost": vaultHost,
		"spoil":     spoil,
		"cut":       cut,
		"encrypt":   encrypt,
		"newest":    newest,
		"lists":     lists,
		"lacks":     lacks,
		"proofs":    proofs,
		"hash":      hash,
		"kopia":     kopia,
		"follow":    follow,
		"apart":     apart,
		"allsorts":  allSorts,
		"same":      same,
	}
}

// proofs copies the one proof of a contradiction, whose name has a hash in it, to
// contradiction.proof.
func proofs(ts *testscript.TestScript, _ bool, _ []string) {
	files, err := filepath.Glob(ts.MkAbs("state/proofs/*"))
	ts.Check(err)
	if len(files) != 1 {
		ts.Fatalf("the proofs are %q", files)
	}
	text, err := os.ReadFile(files[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("contradiction.proof"), text, 0o600))
}

// exits CODE program args… runs a program and wants its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want || neg {
		ts.Fatalf("exit code %d, not %d", got, want)
	}
}

// await socket waits until an executor answers; await port NAME up|down, until the
// switch really has its port so; await vault, until a window hangs at the hung vault;
// await idle POLICY, until no window is in course; await entry POLICY TEXT, until the ledger
// says so.
func await(ts *testscript.TestScript, _ bool, args []string) {
	var there func() bool
	switch args[0] {
	case "vault":
		late := time.After(30 * time.Second)
		for {
			select {
			case <-ts.Value(siteKey{}).(*site).logins:
				if isUp(ts, "p3") { // not one that an earlier window made
					return
				}
			case <-late:
				ts.Fatalf("no window came to the vault")
			}
		}
	case "socket":
		there = func() bool {
			c, err := net.Dial("unix", ts.MkAbs("state/airlock.sock"))
			if err != nil {
				return false
			}
			return c.Close() == nil
		}
	case "port":
		there = func() bool { return isUp(ts, args[1]) == (args[2] == "up") }
	case "idle": // the ports are back before a window is over
		there = func() bool {
			_ = ts.Exec("airlock", "-c", args[1], "status") // its exit code tells of other things
			return !strings.Contains(ts.ReadFile("stdout"), "running: window")
		}
	case "status": // says something
		there = func() bool {
			_ = ts.Exec("airlock", "-c", args[1], "status") // its exit code tells of other things
			return strings.Contains(ts.ReadFile("stdout"), args[2])
		}
	case "entry": // of the ledger, about which something is said
		there = func() bool {
			_ = ts.Exec("airlock", append([]string{"-c", args[1], "audit", "list"}, args[3:]...)...) // another ledger may not be there yet
			return strings.Contains(ts.ReadFile("stdout"), args[2])
		}
	default:
		ts.Fatalf("await socket | vault | port NAME up|down | idle POLICY | entry POLICY TEXT [--ledger FILE]")
	}
	for deadline := time.Now().Add(30 * time.Second); !there(); runtime.Gosched() {
		if time.Now().After(deadline) {
			ts.Fatalf("this did not come about: %s", strings.Join(args, " "))
		}
	}
}

func isUp(ts *testscript.TestScript, name string) bool {
	index, err := strconv.Atoi(strings.TrimPrefix(name, "p"))
	ts.Check(err)
	return ts.Value(siteKey{}).(*site).core.Up(index)
}

// port NAME up|down holds what the switch's port really is.
func port(ts *testscript.TestScript, neg bool, args []string) {
	if isUp(ts, args[0]) != (args[1] == "up") || neg {
		ts.Fatalf("port %s is not %s", args[0], args[1])
	}
}

func (s *site) moved(bool) { s.moves.Add(1) }

// moved none | some: whether a door's port was ever moved since this was asked last.
func moved(ts *testscript.TestScript, neg bool, args []string) {
	moves := ts.Value(siteKey{}).(*site).moves.Swap(0)
	if neg || len(args) != 1 || (args[0] == "none") != (moves == 0) {
		ts.Fatalf("ports were moved %d times, and not %q", moves, args)
	}
}

// switch sound | refuses | swallows | silent: what is wrong with the switch. switch
// opens NAME, shuts NAME: what another hand does.
func misbehave(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(siteKey{}).(*site)
	switch args[0] {
	case "sound":
		s.silent.Store(false)
		s.faults(snmpswitch.Faults{})
	case "refuses":
		s.faults(snmpswitch.Faults{RefuseSet: gosnmp.NoAccess})
	case "swallows":
		s.faults(snmpswitch.Faults{SwallowSet: true})
	case "silent":
		s.silent.Store(true)
	case "opens", "shuts":
		index, err := strconv.Atoi(strings.TrimPrefix(args[1], "p"))
		ts.Check(err)
		ts.Check(s.core.Edit(index, func(p *snmpswitch.Port) { p.Up = args[0] == "opens" }))
	default:
		ts.Fatalf("switch %s is not known", args[0])
	}
}

// polls PATH PATTERN [FILE] asks the address for monitoring, and keeps the answer.
func polls(ts *testscript.TestScript, _ bool, args []string) {
	response, err := http.Get("http://127.0.0.1:" + ts.Getenv("PORT") + args[0])
	ts.Check(err)
	body, err := io.ReadAll(response.Body)
	ts.Check(errors.Join(err, response.Body.Close()))
	if !regexp.MustCompile(args[1]).Match(body) {
		ts.Fatalf("%s answers %s:\n%s", args[0], response.Status, body)
	}
	if len(args) > 2 {
		ts.Check(os.WriteFile(ts.MkAbs(args[2]), body, 0o600))
	}
}

// sigterm sends SIGTERM to the program that was put into the background last.
func sigterm(ts *testscript.TestScript, _ bool, _ []string) {
	all := ts.BackgroundCmds()
	ts.Check(all[len(all)-1].Process.Signal(syscall.SIGTERM))
}

// sighup sends SIGHUP to the program that was put into the background last.
func sighup(ts *testscript.TestScript, _ bool, _ []string) {
	all := ts.BackgroundCmds()
	ts.Check(all[len(all)-1].Process.Signal(syscall.SIGHUP))
}

// sigkill COMMAND kills the program in the background whose last argument that is.
func sigkill(ts *testscript.TestScript, _ bool, args []string) {
	for _, c := range ts.BackgroundCmds() {
		if c.Args[len(c.Args)-1] == args[0] {
			ts.Check(c.Process.Kill())
			return
		}
	}
	ts.Fatalf("no %s runs in the background", args[0])
}

// orphan kills the program that was put into the background last, and its watchers: those
// first, for they would shut the door.
func orphan(ts *testscript.TestScript, _ bool, _ []string) {
	all := ts.BackgroundCmds()
	executor := all[len(all)-1].Process
	ts.Check(executor.Signal(syscall.SIGSTOP)) // lest it see them end
	ts.Check(killWatchers(ts.Getenv("WORK")))
	ts.Check(executor.Kill())
}

// killWatchers ends the watchers that were started below a folder; a switch that is gone
// would keep them for ever.
func killWatchers(folder string) error {
	processes, err := filepath.Glob("/proc/[0-9]*")
	for _, dir := range processes {
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline")) // it may have ended
		at, _ := os.Readlink(filepath.Join(dir, "cwd"))
		if string(line) != "airlock\x00watcher\x00" || !strings.HasPrefix(at, folder) {
			continue
		}
		pid, bad := strconv.Atoi(filepath.Base(dir))
		if err = errors.Join(err, bad); bad == nil {
			if gone := syscall.Kill(pid, syscall.SIGKILL); !errors.Is(gone, syscall.ESRCH) {
				err = errors.Join(err, gone)
			}
		}
	}
	return err
}

// mode OCTAL FILE holds a file's permissions.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	info, err := os.Lstat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := info.Mode().Perm(); got != os.FileMode(want) {
		ts.Fatalf("%s has mode %o, not %o", args[1], got, want)
	}
}

// edit FILE OLD NEW changes a text that occurs once; \n is a new line.
func edit(ts *testscript.TestScript, _ bool, args []string) {
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], `\n`, "\n")
	}
	text := ts.ReadFile(args[0])
	if strings.Count(text, args[1]) != 1 {
		ts.Fatalf("%s has %q %d times", args[0], args[1], strings.Count(text, args[1]))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], args[2], 1)), 0o600))
}

// vaulthost writes vault.yaml, the policy file of a vault's host that is on this machine,
// and far.yaml, the same site with that vault and its receipts.
func vaultHost(ts *testscript.TestScript, _ bool, _ []string) {
	work := ts.Getenv("WORK")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	address := l.Addr().String()
	ts.Check(l.Close())
	client, err := ssh.ParsePrivateKey([]byte(ts.ReadFile("secrets/key")))
	ts.Check(err)
	write := func(name, text string) {
		ts.Check(os.WriteFile(filepath.Join(work, name), []byte(text), 0o600))
	}
	write("vault.yaml", fmt.Sprintf(`vault: lab-vault
timezone: Asia/Tokyo
folder: %s/vault
state: %s/host
listen: %q
site_key: %q
clients:
  airlock: {public_key: %q}
floor: 1MB
`, work, work, address, strings.TrimSpace(ts.ReadFile("state/keys/site.pub")), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(client.PublicKey())))))
	ts.Check(ts.Exec("airlock", "-c", "vault.yaml", "vault", "keys", "--json"))
	var keys struct {
		Receipt string `json:"receipt_key"`
		Known   string `json:"known_hosts"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &keys))
	write("far_known_hosts", keys.Known+"\n")
	policy := ts.ReadFile("airlock.yaml")
	place := fmt.Sprintf("url: sftp://airlock@%s%s/vault\n    key: {file: %s/secrets/key}\n    known_hosts: %s/far_known_hosts\n    receipt_key: %q", address, work, work, work, keys.Receipt)
	write("far.yaml", strings.Replace(policy, "url: file://"+work+"/vault", place, 1))
}

// spoil FILE changes a byte behind everybody's back.
func spoil(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	data := []byte(ts.ReadFile(args[0]))
	data[len(data)/2] ^= 1
	ts.Check(errors.Join(os.Chmod(name, 0o600), os.WriteFile(name, data, 0o600)))
}

// cut FILE BYTES leaves the beginning of a file.
func cut(ts *testscript.TestScript, _ bool, args []string) {
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(errors.Join(err, os.Chmod(ts.MkAbs(args[0]), 0o600), os.Truncate(ts.MkAbs(args[0]), size)))
}

// encrypt DIR does to every blob below it what ransomware does.
func encrypt(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(file string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, ".f") {
			return err
		}
		data, err := os.ReadFile(file)
		for i := range data {
			data[i] ^= byte(0x5a + i)
		}
		return errors.Join(err, os.Chmod(file, 0o600), os.WriteFile(file, data, 0o600))
	}))
}

// newest PREFIX VAR finds the repository's newest blob of a kind, and sets VAR to its file,
// which is named alike in the vault.
func newest(ts *testscript.TestScript, _ bool, args []string) {
	root := ts.MkAbs("nas")
	var found string
	var when time.Time
	ts.Check(filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, file)
		info, missing := d.Info()
		if strings.HasPrefix(vault.BlobOf(rel), args[0]) && missing == nil && info.ModTime().After(when) {
			found, when = rel, info.ModTime()
		}
		return errors.Join(err, missing)
	}))
	if found == "" {
		ts.Fatalf("no blob is named %s…", args[0])
	}
	ts.Setenv(args[1], found)
}

// manifest reads a generation in the vault's folder.
func manifest(ts *testscript.TestScript, number string) *vault.Generation {
	n, err := strconv.ParseInt(number, 10, 64)
	ts.Check(err)
	g, err := vault.Decode([]byte(ts.ReadFile("vault/" + vault.GenerationPath(n))))
	ts.Check(err)
	return g
}

// lists GENERATION FILE wants a generation to list the blob of that file.
func lists(ts *testscript.TestScript, neg bool, args []string) {
	if _, listed := manifest(ts, args[0]).Blob(vault.BlobOf(args[1])); listed == neg {
		ts.Fatalf("generation %s lists %s: %t", args[0], args[1], listed)
	}
}

// lacks GENERATION FILE PATTERN wants a generation to say why it lacks the blob.
func lacks(ts *testscript.TestScript, _ bool, args []string) {
	g := manifest(ts, args[0])
	for _, l := range g.Lacks {
		if l.Name == vault.BlobOf(args[1]) && regexp.MustCompile(args[2]).MatchString(l.Why) {
			return
		}
	}
	ts.Fatalf("generation %s lacks %v", args[0], g.Lacks)
}

// hash GENERATION VAR sets VAR to the beginning of a generation's hash.
func hash(ts *testscript.TestScript, _ bool, args []string) {
	sum, err := manifest(ts, args[0]).Hash()
	ts.Check(err)
	ts.Setenv(args[1], sum.String()[:12])
}

// stockKopia builds the stock program once.
var stockKopia = sync.OnceValues(func() (string, error) {
	program := filepath.Join(binaries, "kopia")
	out, err := exec.Command("go", "build", "-C", "../../tools", "-o", program, "github.com/kopia/kopia").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("build kopia: %w\n%s", err, out)
	}
	return program, err
})

// stockEnv is the stock program's own, with nothing left of another script.
func stockEnv(ts *testscript.TestScript) map[string]string {
	return map[string]string{
		"KOPIA_CHECK_FOR_UPDATES": "false", "KOPIA_CONFIG_PATH": ts.MkAbs("kopia.config"),
		"KOPIA_LOG_DIR": ts.MkAbs("kopia.log"), "KOPIA_CACHE_DIRECTORY": ts.MkAbs("kopia.cache"), "HOME": ts.MkAbs("."),
	}
}

// kopia args… runs the stock program with the repository's passphrase and a configuration
// of the script's own.
func kopia(ts *testscript.TestScript, neg bool, args []string) {
	program, err := stockKopia()
	ts.Check(err)
	for key, value := range stockEnv(ts) {
		ts.Setenv(key, value)
	}
	ts.Setenv("KOPIA_PASSWORD", strings.TrimSpace(ts.ReadFile("secrets/repository")))
	if err := ts.Exec(program, args...); (err != nil) != neg {
		ts.Fatalf("kopia %s: %v", args, err)
	}
}

// apart DOOR DOOR reads audit list --kind door --json from stdout, and wants both doors to
// have been open and never at once.
func apart(ts *testscript.TestScript, _ bool, args []string) {
	open, openings := "", map[string]int{}
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		var e struct{ Door, To string }
		ts.Check(json.Unmarshal([]byte(line), &e))
		switch {
		case !slices.Contains(args, e.Door):
		case e.To == "opening" && open != "":
			ts.Fatalf("%s was opened before %s was shut", e.Door, open)
		case e.To == "opening":
			open = e.Door
			openings[e.Door]++
		case e.To == "shut" && e.Door == open:
			open = ""
		}
	}
	if len(openings) != len(args) {
		ts.Fatalf("opened: %v", openings)
	}
}

// shellBlocks are the commands that a document tells people to type.
func shellBlocks(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join("../../docs", name))
	var commands strings.Builder
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllSubmatch(text, -1) {
		commands.Write(m[1])
	}
	return commands.String(), err
}

// follow DOCUMENT KEY=VALUE… types in all that a document says, on a machine that has the
// stock program and no airlock, and the passphrase where it is asked for. It stops at the
// first command that fails.
func follow(ts *testscript.TestScript, _ bool, args []string) {
	program, err := stockKopia()
	ts.Check(err)
	commands, err := shellBlocks(args[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("commands.sh"), []byte(commands), 0o600))
	shell := exec.Command("sh", "-eu", "commands.sh")
	shell.Dir, shell.Stdin = ts.MkAbs("."), strings.NewReader(ts.ReadFile("passphrase")+"\n")
	// The stock program alone, beside what every machine has.
	tools := ts.MkAbs("tools")
	ts.Check(os.MkdirAll(tools, 0o700))
	if err := os.Symlink(program, filepath.Join(tools, "kopia")); !errors.Is(err, fs.ErrExist) {
		ts.Check(err)
	}
	shell.Env = append([]string{"PATH=" + tools + ":/usr/bin:/bin"}, args[1:]...)
	for key, value := range stockEnv(ts) {
		shell.Env = append(shell.Env, key+"="+value)
	}
	var out strings.Builder
	shell.Stdout, shell.Stderr = &out, &out
	if err := shell.Run(); err != nil {
		ts.Fatalf("%s: %v\n%s", args[0], err, out.String())
	}
	ts.Logf("%s", out.String())
	ts.Check(os.WriteFile(ts.MkAbs("followed"), []byte(out.String()), 0o600))
	ts.Check(ts.Exec("cat", "followed")) // for what the script asks of stdout
}

// The document says the same to type in every language.
func TestDisasterInBothLanguages(t *testing.T) {
	english, err := shellBlocks("disaster.md")
	if err != nil {
		t.Fatal(err)
	}
	japanese, err := shellBlocks("disaster.ja.md")
	if err != nil || english != japanese || !strings.Contains(english, "kopia snapshot restore") {
		t.Errorf("%v; the commands differ:\n%s\n%s", err, english, japanese)
	}
}
