//go:build linux

package exposure

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"

	"airlock/lab"
)

// receiver is what a vault is kept by on its host.
type receiver string

// The receivers, as the table calls them.
const (
	served  receiver = "airlock to airlock vault serve"
	openSSH receiver = "airlock to OpenSSH"
)

// airlock is airlock itself: an orchestrator that serves, as hospitals have it. Both
// receivers have the same repository and orchestrator's state, one after the other, so
// that everything is gathered once.
type airlock struct {
	*bench
	receiver
	policy       string   // file
	host         *process // airlock vault serve
	serving      *process // airlock serve, while a night is measured
	orchestrator int64    // the most memory that it had, in bytes
}

func (b *bench) airlock(r receiver) way {
	file := map[receiver]string{served: "served.yaml", openSSH: "openssh.yaml"}[r]
	return &airlock{bench: b, receiver: r, policy: filepath.Join(b.Dir, file)}
}

func (a *airlock) title() string { return string(a.receiver) }

// site is what one receiver's policy file says besides.
type site struct{ Dir, Source, Vault, Address, Folder, ReceiptKey string }

var siteText = template.Must(template.New("site").Parse(`site: bench
timezone: Asia/Tokyo
state: {{.Dir}}/state
repository:
  url: file://{{.Dir}}/primary
  passphrase: {file: {{.Dir}}/secrets/repository}
switches:
  core:
    driver: snmp
    address: 10.78.0.1:161
    snmp: {version: 3, user: airlock, auth: SHA-256, auth_password: {file: {{.Dir}}/secrets/snmp-auth}, privacy: AES, privacy_password: {file: {{.Dir}}/secrets/snmp-privacy}}
doors:
  vault-door: {switch: core, port: {name: p3}, probe: "{{.Address}}"}
  departments-door: {switch: core, port: {name: p1}}
vaults:
  {{.Vault}}:
    url: sftp://root@{{.Address}}{{.Folder}}
    key: {file: {{.Dir}}/secrets/key}
    known_hosts: {{.Dir}}/known_hosts
    door: vault-door
    inner_door: departments-door
    window: {schedule: "30 2 1 1 *", max_open: 45m}
    keep: {last: 30}
{{- with .ReceiptKey}}
    receipt_key: "{{.}}"
{{- end}}
systems:
  ward:
    title: 病棟
    source: {url: "file://{{.Source}}"}
    schedule: "15 22 1 1 *"
    rpo: 9000h
    rto: 4h
    keep: {last: 30}
`))

var hostText = template.Must(template.New("host").Parse(`vault: bench-vault
timezone: Asia/Tokyo
folder: {{.Folder}}
state: {{.Dir}}/vault/served-state
listen: "{{.Address}}"
host_key: {file: {{.Dir}}/ssh/host}
site_key: "{{.SiteKey}}"
clients:
  root: {public_key: "{{.ClientKey}}"}
`))

// prime makes the site, and its first generation.
func (a *airlock) prime(ctx context.Context) (err error) {
	s := a.site()
	if err := fill(siteText, a.policy, s); err != nil {
		return err
	}
	if _, err := a.do(ctx, a.policy, "init"); err != nil {
		return err
	}
	if a.receiver == served {
		if s.ReceiptKey, err = a.serveVault(ctx, s); err != nil {
			return err
		}
		if err := fill(siteText, a.policy, s); err != nil {
			return err
		}
	}
	if err := errors.Join(a.SetVaultRate(ctx, fast), a.ready(ctx)); err != nil {
		return err
	}
	_, err = a.keep(ctx)
	return errors.Join(err, a.SetVaultRate(ctx, 1000))
}

// fast is a port for what is not measured, in Mbit/s.
const fast = 20_000

func (a *airlock) site() site {
	if a.receiver == served {
		return site{Dir: a.Dir, Source: a.source, Vault: "hosted", Address: "10.77.0.13:2222", Folder: a.kept("hosted")}
	}
	return site{Dir: a.Dir, Source: a.source, Vault: "plain", Address: "10.77.0.13:22", Folder: a.kept("plain")}
}

func fill(t *template.Template, file string, values any) error {
	var text bytes.Buffer
	if err := t.Execute(&text, values); err != nil {
		return err
	}
	return os.WriteFile(file, text.Bytes(), 0o600)
}

// serveVault starts airlock vault serve, and gives the key of its receipts.
func (a *airlock) serveVault(ctx context.Context, s site) (receiptKey string, err error) {
	siteKey, err := os.ReadFile(filepath.Join(a.Dir, "state", "keys", "site.pub"))
	if err != nil {
		return "", err
	}
	clientKey, err := os.ReadFile(filepath.Join(a.Dir, "ssh", "authorized_keys"))
	if err != nil {
		return "", err
	}
	file := filepath.Join(a.Dir, "vault.yaml")
	err = fill(hostText, file, map[string]string{"Dir": a.Dir, "Folder": s.Folder, "Address": s.Address,
		"SiteKey": strings.TrimSpace(string(siteKey)), "ClientKey": strings.TrimSpace(string(clientKey))})
	if err != nil {
		return "", err
	}
	text, err := a.do(ctx, file, "vault", "keys", "--json")
	if err != nil {
		return "", err
	}
	var keys struct {
		Receipt string `json:"receipt_key"`
		Known   string `json:"known_hosts"`
	}
	if err := json.Unmarshal(text, &keys); err != nil {
		return "", err
	}
	known, err := os.OpenFile(filepath.Join(a.Dir, "known_hosts"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return "", err
	}
	_, err = known.WriteString(keys.Known + "\n")
	if err = errors.Join(err, known.Close()); err != nil {
		return "", err
	}
	a.host, err = a.start(ctx, lab.Vault, file, "msg=serving", "vault", "serve")
	return keys.Receipt, err
}

// ready gathers, and leaves the orchestrator serving.
func (a *airlock) ready(ctx context.Context) (err error) {
	if a.serving, err = a.start(ctx, lab.NAS, a.policy, "msg=serving", "serve"); err != nil {
		return err
	}
	_, err = a.do(ctx, a.policy, "gather")
	return err
}

// keep holds a window.
func (a *airlock) keep(ctx context.Context) (figure, error) {
	text, err := a.do(ctx, a.policy, "window", "--reason", "bench", "--json")
	if err == nil {
		err = a.rest()
	}
	if err != nil {
		return figure{}, err
	}
	var record struct {
		Course struct{ Up, Answered, Ready, Sent, Sealed, Done, Down float64 }
	}
	err = json.Unmarshal(text, &record)
	c := record.Course
	a.options.say("%s: up %.3f, answered %.3f, ready %.3f, sent %.3f, sealed %.3f, done %.3f, down %.3f", a.title(), c.Up, c.Answered, c.Ready, c.Sent, c.Sealed, c.Done, c.Down)
	return figure{link: time.Duration(c.Answered * float64(time.Second)), memory: a.memory()}, err
}

// rest ends the orchestrator.
func (a *airlock) rest() error {
	p := a.serving
	if a.serving = nil; p == nil {
		return nil
	}
	a.orchestrator = max(a.orchestrator, p.peak())
	return p.stop()
}

func (a *airlock) end() error {
	err := a.rest()
	if a.host != nil {
		err = errors.Join(err, a.host.stop())
	}
	return err
}

// memory is the most that the processes have had so far.
func (a *airlock) memory() string {
	text := fmt.Sprintf("orchestrator %d MB", a.orchestrator>>20)
	if a.host != nil {
		text += fmt.Sprintf(", vault serve %d MB", a.host.peak()>>20)
	}
	return text
}

// do runs a command to its end, and gives what it printed.
func (a *airlock) do(ctx context.Context, policy string, args ...string) ([]byte, error) {
	c := a.Command(ctx, lab.NAS, a.options.Airlock, append([]string{"-c", policy}, args...)...)
	var out bytes.Buffer
	c.Stdout = &out
	err := run(c)
	return out.Bytes(), err
}

// process is airlock in the background.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan error
}

// start returns once the process has said that it is ready.
func (a *airlock) start(ctx context.Context, host lab.Host, policy, ready string, args ...string) (*process, error) {
	p := &process{log: filepath.Join(a.Dir, "log", filepath.Base(policy)+".log"), ended: make(chan error, 1)}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	p.cmd = a.Command(context.WithoutCancel(ctx), host, a.options.Airlock, append([]string{"-c", policy}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.ended <- p.cmd.Wait() }()
	for {
		said, err := os.ReadFile(p.log)
		if err != nil || bytes.Contains(said, []byte(ready)) {
			return p, err
		}
		select {
		case err := <-p.ended:
			return nil, fmt.Errorf("airlock %s ended: %w: %s", strings.Join(args, " "), err, said)
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), p.stop())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop has the process end by itself.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := <-p.ended; err != nil {
		said, _ := os.ReadFile(p.log) // the error is the other one
		return fmt.Errorf("%s: %w: %s", strings.Join(p.cmd.Args, " "), err, said[max(0, len(said)-2000):])
	}
	return nil
}

// peak is the most memory that the process had so far, in bytes; 0 if it is gone.
func (p *process) peak() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	if m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status); m != nil {
		kB, _ := strconv.ParseInt(string(m[1]), 10, 64)
		return kB << 10
	}
	return 0
}
