package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"airlock/lab/sshkeys"
	"airlock/switchctl/switchtest/cliswitch"
	"airlock/switchctl/switchtest/snmpswitch"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/crypto/ssh"
)

// Every place of the policy file that takes a secret has one of its own.
const secretPolicy = `site: s13-hospital
timezone: Asia/Tokyo
state: DIR/state
status: {listen: "STATUS"}
ledger: {syslog: {url: "tcp://SIEM", facility: local0}}
repository:
  url: file://DIR/nas
  passphrase: {env: S13_PASSPHRASE}
switches:
  core:
    driver: snmp
    address: CORE
    snmp: {user: airlock, auth: SHA-256, auth_password: {env: S13_AUTH}, privacy: AES, privacy_password: {file: DIR/secrets/privacy}}
  edge:
    driver: snmp
    address: NOBODY
    snmp: {version: 2c, insecure: true, community: {file: DIR/secrets/community}}
  stairs:
    driver: cli
    address: STAIRS
    cli: {platform: awplus, user: CLIUSER, password: {file: DIR/secrets/cli}, enable: {env: S13_ENABLE}, known_hosts: CLIKNOWN}
  attic:
    driver: cli
    address: SSHD
    cli: {platform: awplus, user: airlock, key: {file: DIR/secrets/switchkey}, known_hosts: DIR/known_hosts}
doors:
  vault-door: {switch: core, port: {name: p3}, open_within: 10s, prove_within: 2s}
  departments-door: {switch: stairs, port: {name: "CLIDOOR"}, open_within: 10s, prove_within: 5s}
  edge-door: {switch: edge, port: {name: p9}, fallback: attic, fallback_port: {name: p9}, open_within: 2s, prove_within: 2s}
guard:
  interval: 500ms
  lease_ttl: 3s
  switches:
    core:
      driver: snmp
      address: CORE
      snmp: {user: airlock, auth: SHA-256, auth_password: {file: DIR/secrets/guardauth}, privacy: AES, privacy_password: {env: S13_GUARDPRIV}}
vaults:
  secondary:
    url: file://DIR/vault
    door: vault-door
    inner_door: departments-door
    window: {schedule: "30 2 * * *", max_open: 5m}
  far:
    url: sftp://airlock@SSHD/srv/vault
    key: {file: DIR/secrets/vaultkey}
    password: {file: DIR/secrets/vault}
    known_hosts: DIR/known_hosts
    door: edge-door
    window: {schedule: "30 3 * * *", max_open: 5m}
systems:
  accounting:
    source: {url: "file://DIR/accounting"}
    schedule: "15 22 * * *"
  imaging:
    source: {url: "smb://svc@NOBODY/scans$", password: {env: S13_SMB}}
    schedule: "15 23 * * *"
  eyes:
    source: {url: "sftp://svc@SSHD/srv/eyes", key: {file: DIR/secrets/eyeskey}, password: {file: DIR/secrets/eyes}, known_hosts: DIR/known_hosts}
    schedule: "45 23 * * *"
`

// S13: whatever leaves the program in two nights, one of which with every login wrong,
// holds none of the secrets: what commands print, the log, the ledger with its exports and
// reports, the recordings of logins, the status and metrics, syslog, the arguments of
// processes.
func TestNoSecretLeaves(t *testing.T) {
	if testing.Short() {
		t.Skip("two nights take a while")
	}
	s := newSecretSite(t)
	s.night("right")
	for _, wanted := range []string{"window done", "accounting: 1 file"} {
		if !strings.Contains(s.left["right: window secondary"]+s.left["right: gather"], wanted) {
			t.Errorf("nothing worked, so nothing was tested: no %q in %s\n%s", wanted, s.left["right: window secondary"], s.left["right: gather"])
		}
	}
	s.plant("wrong-")
	s.night("wrong")
	if !strings.Contains(s.left["wrong: serve"], "credentials") {
		t.Errorf("no login failed, so nothing was tested: %s", s.left["wrong: serve"])
	}
	s.collect()
	for where, what := range s.left {
		for name, secret := range s.secrets {
			for _, form := range forms(secret) {
				if at := strings.Index(what, form); at >= 0 {
					t.Errorf("S13: %s holds the secret of %s: …%q…", where, name, what[max(0, at-80):at])
				}
			}
		}
	}
	if len(s.secrets) < 25 || len(s.left) < 40 {
		t.Errorf("%d secrets, %d places looked at", len(s.secrets), len(s.left))
	}
}

// forms are the ways in which a secret may be written.
func forms(secret string) []string {
	return []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))[:len(secret)], hex.EncodeToString([]byte(secret)), url.QueryEscape(secret)}
}

// secretSite is a site full of secrets, and all that left it.
type secretSite struct {
	*testing.T
	dir, status string
	stairs      *cliswitch.Switch
	core        *snmpswitch.Switch
	env         []string
	secrets     map[string]string

	mu   sync.Mutex
	left map[string]string
	siem bytes.Buffer
}

func newSecretSite(t *testing.T) *secretSite {
	t.Helper()
	s := &secretSite{T: t, dir: t.TempDir(), secrets: map[string]string{}, left: map[string]string{}}
	s.stairs = cliswitch.Start(t, filepath.Join("..", "..", "switchctl", "cli", "testdata", "screens", "awplus.txtar"))
	for _, dir := range []string{"secrets", "nas", "vault", "accounting"} {
		s.must(os.Mkdir(filepath.Join(s.dir, dir), 0o700))
	}
	s.must(os.WriteFile(filepath.Join(s.dir, "accounting", "ledger.dump"), []byte("a dump"), 0o600))
	s.plant("")
	core, err := snmpswitch.New(snmpswitch.Config{
		User: "airlock", AuthPassword: s.secrets["S13_AUTH"], PrivacyPassword: s.secrets["privacy"],
		Ports: []snmpswitch.Port{{Index: 1, Name: "p1", Up: true}, {Index: 3, Name: "p3"}},
	})
	s.must(err)
	s.core = core
	t.Cleanup(func() { core.Close() })
	nobody, siem, status := s.listen(), s.listen(), s.listen()
	s.status = status.Addr().String()
	s.must(nobody.Close())
	s.must(status.Close())
	go s.receive(siem)
	text := strings.NewReplacer("DIR", s.dir, "STATUS", s.status, "SIEM", siem.Addr().String(), "CORE", core.Addr(), "NOBODY", nobody.Addr().String(),
		"STAIRS", s.stairs.Address, "CLIUSER", s.stairs.User, "CLIKNOWN", s.stairs.KnownHosts, "CLIDOOR", s.stairs.Door, "SSHD", s.refuser()).Replace(secretPolicy)
	s.must(os.WriteFile(filepath.Join(s.dir, "airlock.yaml"), []byte(text), 0o600))
	return s
}

func (s *secretSite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *secretSite) listen() net.Listener {
	s.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	s.Cleanup(func() { l.Close() })
	return l
}

// plant draws every secret anew; those before stay secret.
func (s *secretSite) plant(prefix string) {
	s.Helper()
	s.env = append(os.Environ(), "AIRLOCK_LANG=en")
	keep := func(name, text string) {
		s.secrets[prefix+name] = text
	}
	for _, name := range []string{"S13_PASSPHRASE", "S13_AUTH", "S13_ENABLE", "S13_GUARDPRIV", "S13_SMB"} {
		text := rand.Text()
		if name == "S13_PASSPHRASE" && prefix != "" {
			text = s.secrets[name] // or no gathering gets anywhere
		}
		keep(name, text)
		s.env = append(s.env, name+"="+text)
	}
	for _, name := range []string{"privacy", "community", "cli", "guardauth", "vault", "eyes"} {
		text := rand.Text()
		keep(name, text)
		s.must(os.WriteFile(filepath.Join(s.dir, "secrets", name), []byte(text+"\n"), 0o600))
	}
	if prefix == "" {
		s.stairs.Accept(s.secrets["cli"], s.secrets["S13_ENABLE"])
	}
	for _, name := range []string{"switchkey", "vaultkey", "eyeskey"} {
		_, pem, err := sshkeys.New(name)
		s.must(err)
		s.must(os.WriteFile(filepath.Join(s.dir, "secrets", name), pem, 0o600))
		lines := strings.Split(string(pem), "\n")
		keep(name, lines[3])
	}
}

// refuser is an SSH server that knows nobody.
func (s *secretSite) refuser() string {
	s.Helper()
	key, _, err := sshkeys.New("host")
	s.must(err)
	l := s.listen()
	s.must(sshkeys.WriteKnownHosts(filepath.Join(s.dir, "known_hosts"), key.PublicKey(), l.Addr().String()))
	conf := &ssh.ServerConfig{PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, fmt.Errorf("nobody") }}
	conf.AddHostKey(key)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				ssh.NewServerConn(c, conf)
				c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// receive is the SIEM.
func (s *secretSite) receive(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			buffer := make([]byte, 4096)
			for {
				n, err := c.Read(buffer)
				s.mu.Lock()
				s.siem.Write(buffer[:n])
				s.mu.Unlock()
				if err != nil {
					c.Close()
					return
				}
			}
		}()
	}
}

// leave keeps what left the program somewhere.
func (s *secretSite) leave(where, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left[where] += what
}

func (s *secretSite) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(binaries, "airlock"), append([]string{"-c", filepath.Join(s.dir, "airlock.yaml")}, args...)...)
	c.Env = s.env
	return c
}

// night runs everything once, whatever comes of it.
func (s *secretSite) night(which string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 5*time.Minute)
	defer cancel()
	run := func(args ...string) {
		out, _ := s.command(ctx, args...).CombinedOutput()
		s.leave(which+": "+strings.Join(args[:min(2, len(args))], " "), string(out))
	}
	if which == "right" {
		out, err := s.command(ctx, "init").CombinedOutput() // prints the recovery kit, which is the one place for secrets
		if err != nil {
			s.Fatalf("init: %v\n%s", err, out)
		}
	}
	end := s.serve(ctx, which)
	run("gather")
	run("window", "secondary", "--reason", "a test")
	run("window", "far", "--reason", "a test")
	run("restore", "accounting", "--to", filepath.Join(s.dir, "to-"+which), "--from", "secondary", "--reason", "a test")
	run("verify")
	run("snapshots")
	run("status")
	run("status", "--json")
	s.poll(which)
	end()
	var looks sync.WaitGroup
	for _, args := range [][]string{
		{"check"}, {"check", "--connect"}, {"plan"}, {"ports", "core"}, {"ports", "stairs"}, {"ports", "edge"}, {"status", "--nagios"},
		{"audit", "list", "--json"}, {"audit", "list"}, {"audit", "list", "--csv"}, {"audit", "verify"}, {"audit", "list", "--ledger", filepath.Join(s.dir, "state", "guard", "ledger.db"), "--json"},
		{"audit", "report", "--from", "2020-01-01"}, {"audit", "export", filepath.Join(s.dir, which+".export")}, {"check", "--bogus=" + "x"},
	} {
		looks.Go(func() { run(args...) })
	}
	looks.Wait()
}

// serve runs the executor and the guard until end is called.
func (s *secretSite) serve(ctx context.Context, which string) (end func()) {
	s.Helper()
	var ends []func()
	for _, name := range []string{"guard", "serve"} {
		c := s.command(ctx, name)
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		s.must(c.Start())
		ends = append(ends, func() {
			s.leave(which+": /proc", s.arguments(c.Process.Pid))
			c.Process.Signal(syscall.SIGTERM)
			c.Wait() // its exit code is that of a door that is not shut
			s.leave(which+": "+name, out.String())
		})
	}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", s.status); err == nil {
			c.Close()
			break
		}
		if time.Since(began) > time.Minute {
			s.Fatal("serve does not answer")
		}
	}
	return func() {
		for _, end := range ends {
			end()
		}
	}
}

// arguments are those of a process and its children, as everybody sees them.
func (s *secretSite) arguments(pid int) string {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	s.must(err)
	var all strings.Builder
	for _, dir := range dirs {
		stat, _ := os.ReadFile(filepath.Join(dir, "stat"))
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); filepath.Base(dir) == strconv.Itoa(pid) || len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
			all.Write(line)
		}
	}
	return all.String()
}

// poll asks everything that can be asked.
func (s *secretSite) poll(which string) {
	for _, path := range []string{"/v1/status", "/metrics", "/healthz", "/v1/ledger/head", "/v1/ledger/proof?from=1", "/v1/leases?nonce=0123456789abcdef0123456789abcdef", "/"} {
		answer, err := http.Get("http://" + s.status + path)
		if err != nil {
			s.Error(err)
			continue
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		s.must(err)
		s.leave(which+": "+path, string(body))
	}
}

// collect adds what lies on disks: everything but the secrets and the keys themselves.
func (s *secretSite) collect() {
	s.Helper()
	s.mu.Lock()
	s.left["syslog"] = s.siem.String()
	s.mu.Unlock()
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, s.dir+"/")
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == "secrets" || name == "state/keys"):
			return fs.SkipDir
		case !d.Type().IsRegular() || name == "state/guard/ledger.key":
			return nil
		}
		data, err := os.ReadFile(path)
		if err == nil && strings.HasSuffix(name, ".export") {
			var zip *zstd.Decoder
			if zip, err = zstd.NewReader(nil); err == nil {
				data, err = zip.DecodeAll(data, nil)
				zip.Close()
			}
		}
		s.leave(name, string(data))
		return err
	})
	s.must(err)
	for _, wanted := range []string{"right.export", "wrong.export", "state/ledger.db", "state/guard/ledger.db", "state/sessions"} {
		found := false
		for where := range s.left {
			found = found || strings.HasPrefix(where, wanted)
		}
		if !found {
			s.Errorf("there is no %s, so nothing of it was tested", wanted)
		}
	}
	for name, file := range map[string]string{"site.key": "state/keys/site.key", "ledger.key": "state/guard/ledger.key"} {
		text, err := os.ReadFile(filepath.Join(s.dir, file))
		s.must(err)
		parts := strings.SplitN(strings.TrimSpace(string(text)), "+", 5) // PRIVATE+KEY+name+hash+key
		s.secrets[name] = parts[4]
	}
}
