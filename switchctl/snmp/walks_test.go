package snmp_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/switchctl"
	"airlock/switchctl/snmp"
)

// TestRecordedSwitches reads every recorded switch through the driver, as Debian's
// snmpsim serves it, and asks for one row of each by each key: the answer is that row
// or a refusal, never another row (S7). AIRLOCK_SWITCHDATA names the folder that holds
// snmp/*.snmprec.
func TestRecordedSwitches(t *testing.T) {
	folder := os.Getenv("AIRLOCK_SWITCHDATA")
	if folder == "" {
		t.Skip("AIRLOCK_SWITCHDATA is not set: no recorded walks here")
	}
	walks, err := filepath.Glob(filepath.Join(folder, "snmp", "*.snmprec"))
	if err != nil || len(walks) == 0 {
		t.Fatalf("no walks in %s: %v", folder, err)
	}
	address := startSnmpsim(t, filepath.Join(folder, "snmp"))
	found, refused := 0, 0
	for _, walk := range walks {
		name := strings.TrimSuffix(filepath.Base(walk), ".snmprec")
		sw := dialWhenUp(t, snmp.Config{Address: address, Version: "2c", Community: name, Timeout: 2 * time.Second})
		rows, err := sw.Rows(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		recording, err := os.ReadFile(walk)
		if err != nil {
			t.Fatal(err)
		}
		typed := 0
		for _, r := range rows {
			if r.Type != 0 {
				typed++
			}
		}
		if recorded := bytes.Count(append([]byte("\n"), recording...), []byte("\n1.3.6.1.2.1.2.2.1.3.")); typed != recorded {
			t.Errorf("%s: %d rows have an ifType, recorded are %d", name, typed, recorded)
		}
		if len(rows) > 0 {
			f, r := askForRow(t, sw, rows[len(rows)/2])
			found, refused = found+f, refused+r
		}
		if err := sw.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d switches, %d lookups found their row, %d were refused", len(walks), found, refused)
	if found == 0 {
		t.Error("nothing was found at all")
	}
}

func askForRow(t *testing.T, sw switchctl.Switch, r switchctl.Row) (found, refused int) {
	t.Helper()
	for _, ask := range []switchctl.Lookup{{Name: r.Name}, {Alias: r.Alias}, {Description: r.Description}, {Index: r.Index}} {
		if ask == (switchctl.Lookup{}) {
			continue
		}
		p, err := sw.Find(t.Context(), ask)
		if errors.Is(err, switchctl.ErrAmbiguous) || errors.Is(err, switchctl.ErrNotPhysical) {
			refused++
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", ask, err)
			continue
		}
		found++
		reading, err := p.Read(t.Context())
		if errors.Is(err, switchctl.ErrRefused) {
			continue // some recordings lack the states
		}
		if now := reading.Row; err != nil || now.Index != r.Index || now.Name != r.Name || now.Description != r.Description || now.Type != r.Type {
			t.Errorf("%s: read %+v, %v; want %+v", ask, now, err, r)
		}
	}
	return found, refused
}

func startSnmpsim(t *testing.T, data string) (address string) {
	t.Helper()
	need(t, true, "snmpsimd")
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = free.LocalAddr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	cache, err := os.MkdirTemp("", "airlock-snmpsim-") // not t.TempDir, whose parents nobody may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(cache); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(cache, 0o777); err != nil {
		t.Fatal(err)
	}
	// It does not serve as root.
	simulator := exec.Command("snmpsimd", "--data-dir="+data, "--cache-dir="+cache, "--agent-udpv4-endpoint="+address,
		"--process-user=nobody", "--process-group=nogroup", "--logging-method=null")
	if err := simulator.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := simulator.Process.Kill(); err != nil {
			t.Error(err)
		}
		simulator.Wait() // says that it was killed
	})
	return address
}
