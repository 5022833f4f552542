//go:build linux

package cli_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"airlock/lab"
	"airlock/lab/labtest"
	"airlock/switchctl"
	"airlock/switchctl/cli"
	"airlock/switchctl/switchtest"
)

const wardVault = "vault of ward 3 (3F)"

// TestFRR holds the driver to the contract with the real vtysh behind the real sshd;
// what the port is, the kernel says (S3).
func TestFRR(t *testing.T) {
	h, config, wire := frr(t)
	name := lab.VaultPort
	conformance := switchtest.Harness{
		Dial:   func(ctx context.Context) (switchctl.Switch, error) { return cli.Dial(ctx, config) },
		Port:   rowOf(t, config, name),
		Truth:  func() (switchctl.Admin, error) { return kernel(h, name) },
		Settle: 10 * time.Second,
		Refused: map[switchctl.Lookup]error{
			{Name: "br0"}: switchctl.ErrNotPhysical,
			{Name: "lo"}:  switchctl.ErrNotPhysical,
			{Index: 4711}: switchctl.ErrNoMatch,
		},
		Rename: func(to string) error {
			err := h.RenamePort(t.Context(), name, to)
			name = to
			return err
		},
		Silence: wire.silence,
	}
	if conformance.Port.Alias != wardVault || conformance.Port.Type != 6 || conformance.Port.Index == 0 {
		t.Fatalf("the port is %+v", conformance.Port)
	}
	switchtest.Conformance(t, conformance)
}

// TestFRRRefuses: a command that vtysh refuses is ErrRefused with its words, and the
// login is good for the next one.
func TestFRRRefuses(t *testing.T) {
	h, config, _ := frr(t)
	config.PlatformDir = t.TempDir()
	text, err := os.ReadFile("platforms/frr.yaml")
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(text), "shut: [configure terminal, 'interface {port}', shutdown, end]",
		"shut: [configure terminal, 'interface {port}', bogus, shutdown, end]", 1)
	if err := os.WriteFile(filepath.Join(config.PlatformDir, "frr.yaml"), []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	sw, err := cli.Dial(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer sw.Close()
	port, err := sw.Find(t.Context(), switchctl.Lookup{Name: lab.VaultPort})
	if err != nil {
		t.Fatal(err)
	}
	err = port.Set(t.Context(), switchctl.AdminDown)
	if !errors.Is(err, switchctl.ErrRefused) || !strings.Contains(err.Error(), "% Unknown command: bogus") {
		t.Errorf("set: %v", err)
	}
	if admin, err := kernel(h, lab.VaultPort); err != nil || admin != switchctl.AdminUp {
		t.Errorf("shutdown was sent after a refusal: %v, %v", admin, err)
	}
	if r, err := port.Read(t.Context()); err != nil || r.Row.Admin != switchctl.AdminUp {
		t.Errorf("read after a refusal: %+v, %v", r, err)
	}
}

func vtysh(t *testing.T, h *lab.Hospital, commands ...string) ([]byte, error) {
	args := []string{"--vty_socket", filepath.Join(h.Dir, "frr"), "--config_dir", filepath.Join(h.Dir, "frr")}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	return h.Command(t.Context(), lab.Switch, "vtysh", args...).CombinedOutput()
}

// frr is a lab whose switch has a command line, and the way there.
func frr(t *testing.T) (*lab.Hospital, cli.Config, *wire) {
	labtest.Want(t, "nc")
	h := labtest.Up(t, lab.Options{CLI: true})
	if err := h.SetPort(t.Context(), lab.VaultPort, true); err != nil {
		t.Fatal(err)
	}
	out, err := vtysh(t, h, "configure terminal", "interface "+lab.VaultPort, "description "+wardVault)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	key, err := os.ReadFile(filepath.Join(h.Dir, "secrets", "key"))
	if err != nil {
		t.Fatal(err)
	}
	w := wireTo(t, h, "10.78.0.1", "22")
	known, err := os.ReadFile(filepath.Join(h.Dir, "known_hosts"))
	if err != nil {
		t.Fatal(err)
	}
	pinned := strings.Fields(string(known))
	host, port, _ := net.SplitHostPort(w.address)
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, fmt.Appendf(nil, "[%s]:%s %s %s\n", host, port, pinned[1], pinned[2]), 0o600); err != nil {
		t.Fatal(err)
	}
	return h, cli.Config{Address: w.address, Platform: "frr", User: "root", Key: key, KnownHosts: file}, w
}

func rowOf(t *testing.T, c cli.Config, name string) switchctl.Row {
	t.Helper()
	sw, err := cli.Dial(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := sw.Rows(t.Context())
	if err := errors.Join(err, sw.Close()); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Name == name || r.Description == name {
			return r
		}
	}
	t.Fatalf("no %s among %+v", name, rows)
	return switchctl.Row{}
}

// kernel tells whether the port is up, whoever set it.
func kernel(h *lab.Hospital, port string) (switchctl.Admin, error) {
	s, err := h.Sampler(port)
	if err != nil {
		return switchctl.AdminUnknown, err
	}
	seen := s.Stop()
	switch {
	case len(seen) == 0:
		return switchctl.AdminUnknown, fmt.Errorf("the kernel has no %s", port)
	case seen[len(seen)-1].Up:
		return switchctl.AdminUp, nil
	}
	return switchctl.AdminDown, nil
}

// wire leads from loopback into the lab's management network, and can be made to lose
// all that is on it.
type wire struct {
	address string
	mu      sync.Mutex
	lossy   bool
	ended   sync.WaitGroup
}

func (w *wire) silence(on bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lossy = on
	return nil
}

func (w *wire) loses() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lossy
}

func wireTo(t *testing.T, h *lab.Hospital, host, port string) *wire {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{address: listener.Addr().String()}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		listener.Close()
		w.ended.Wait()
	})
	w.ended.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			w.ended.Go(func() {
				defer conn.Close()
				nc := h.Command(ctx, lab.NAS, "nc", host, port)
				nc.Stdin, nc.Stdout = leaky{conn, w}, leaky{conn, w}
				stop := context.AfterFunc(ctx, func() { conn.Close() })
				defer stop()
				nc.Run() // ends with the connection
			})
		}
	})
	return w
}

// leaky passes on what it is given, or loses it.
type leaky struct {
	io.ReadWriter
	wire *wire
}

func (l leaky) Read(b []byte) (int, error) {
	for {
		n, err := l.ReadWriter.Read(b)
		if err != nil || !l.wire.loses() {
			return n, err
		}
	}
}

func (l leaky) Write(b []byte) (int, error) {
	if l.wire.loses() {
		return len(b), nil
	}
	return l.ReadWriter.Write(b)
}
