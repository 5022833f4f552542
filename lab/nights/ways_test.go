//go:build linux

package nights

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/lab"
)

// coreCLI is the lab's switch by its command line, as the policy file has it.
func (h *hospital) coreCLI() string {
	return `  core-cli:
    driver: cli
    address: 10.78.0.1:22
    cli: {platform: frr, user: root, key: {file: ` + h.Dir + `/secrets/key}, known_hosts: ` + h.Dir + `/known_hosts}

doors:
`
}

// A whole night over the command line of a switch.
func TestNightByCommandLine(t *testing.T) {
	h := up(t, lab.Options{CLI: true})
	h.edit("doors:\n", h.coreCLI(), "switch: core\n", "switch: core-cli\n")
	h.says(h.do(0, "check", "--connect"), "after a power cut")
	h.do(0, "gather")
	h.says(h.do(0, "window", "--reason", "test"), "done", "proven shut")
	h.agree()
	h.restores("imaging", "--from", "secondary")

	// The logins that opened and shut are recorded, and the ledger has their hashes. One that
	// was lost is followed by another.
	opened := 0
	for _, e := range h.ledger("--kind", "session") {
		var d struct {
			File, SHA256, Switch string
			Doors                []string
		}
		if err := json.Unmarshal(e.Detail, &d); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(h.Dir, "state", "sessions", d.File))
		if err != nil || fmt.Sprintf("%x", sha256.Sum256(text)) != d.SHA256 || d.Switch != "core-cli" || len(d.Doors) == 0 {
			t.Errorf("the ledger has %+v: %v", d, err)
		}
		h.says(string(text), "shutdown")
		opened += strings.Count(string(text), "\"i\",\"no shutdown\"")
	}
	if opened < 2*2 {
		t.Errorf("the recordings show that %d doors were opened, want two of each window", opened)
	}
}

// S12: the switch's SNMP agent dies while the door is open. The door is shut by its
// second way, and nothing but that is left to a person.
func TestSecondWay(t *testing.T) {
	h := up(t, lab.Options{CLI: true})
	h.edit("doors:\n", h.coreCLI(), "switch: core\n", "switch: core\n    fallback: core-cli\n")
	h.bulk("imaging", "scan.bin", 64<<20)
	h.do(0, "gather")
	c := h.command("window", "--reason", "test")
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	h.until("the vault's port is up", func() bool { return h.isUp(lab.VaultPort) })
	if err := h.Stop(t.Context(), lab.SNMP); err != nil {
		t.Fatal(err)
	}
	h.until("the vault's port is down again", func() bool { return !h.isUp(lab.VaultPort) })
	if err := h.Start(t.Context(), lab.SNMP); err != nil {
		t.Fatal(err)
	}
	err := c.Wait()
	t.Logf("%s%v", out.String(), err)
	h.says(out.String(), "window done", "proven shut")
	h.agree()
	var way bool
	for _, e := range h.ledger("--door", "vault-door", "--kind", "door") {
		way = way || e.To == "shut" && strings.Contains(string(e.Detail), `"by":"core-cli"`)
	}
	if !way {
		t.Error("no entry says that the door was seen shut by core-cli")
	}
	h.until("the departments' port is up again", func() bool { return h.isUp(lab.DepartmentsPort) })
}

// Whoever shuts the port through which it reaches the switch locks itself out.
func TestLockOut(t *testing.T) {
	h := up(t, lab.Options{})
	h.says(h.do(0, "check", "--connect"), "airlock does not reach switch core through it")
	// The switch is managed in band now, through the NAS's own port.
	for host, lines := range map[lab.Host][]string{
		lab.Switch: {"addr del 10.78.0.1/24 dev mgmt0", "addr add 10.78.0.1/24 dev br0"},
		lab.NAS:    {"addr del 10.78.0.2/24 dev mgmt", "addr add 10.78.0.2/24 dev eth0"},
	} {
		for _, line := range lines {
			if out, err := h.Command(t.Context(), host, "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
				t.Fatalf("ip %s: %v\n%s", line, err, out)
			}
		}
	}
	h.edit("port: {name: "+lab.DepartmentsPort+"}", "port: {name: "+lab.NASPort+"}")
	h.says(h.do(1, "check", "--connect"), "would lock airlock out")
}
