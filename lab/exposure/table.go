//go:build linux

package exposure

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"time"

	"airlock/lab"
)

// portSpeed is what the vault's port carries, in bytes a second.
const portSpeed = 125e6

// figure is one night of one way.
type figure struct {
	open               time.Duration // that the port was up
	link               time.Duration // of it, until the vault's host answered
	toVault, fromVault int64         // bytes through the port
	memory             string        // the most that the processes have had so far
}

// wire is what the bytes need, in seconds: what is read back is read after it was sent.
func (f figure) wire() float64 { return float64(f.toVault+f.fromVault) / portSpeed }

// goal is what the exposure may be at the most.
func (f figure) goal() float64 { return 1.25*f.wire() + 0.3 }

func (f figure) String() string {
	return fmt.Sprintf("open %.3f s, link %.3f s, wire %.3f s (%.1f MB there, %.1f MB back)", f.open.Seconds(), f.link.Seconds(), f.wire(), float64(f.toVault)/1e6, float64(f.fromVault)/1e6)
}

// row is what is known of one way on one kind of night.
type row struct {
	night, way string
	figures    []figure
}

const header = `| night | way | runs | door open: median | worst | until the vault answered | through the port | wire time | open / wire | 1.25 × wire + 0.3 s | memory at the most |
|---|---|---:|---:|---:|---:|---:|---:|---:|---|---|
`

// String is a row of the table. All is of the median run, but for the memory.
func (r row) String() string {
	memory := r.figures[len(r.figures)-1].memory
	f := slices.SortedFunc(slices.Values(r.figures), func(a, b figure) int { return int(a.open - b.open) })
	m := f[len(f)/2]
	held := "held"
	if m.open.Seconds() > m.goal() {
		held = "missed"
	}
	ratio := "–" // of next to nothing
	if m.wire() >= 0.05 {
		ratio = fmt.Sprintf("%.2f", m.open.Seconds()/m.wire())
	}
	return fmt.Sprintf("| %s | %s | %d | %.2f s | %.2f s | %.2f s | %.1f MB | %.2f s | %s | %.2f s: %s | %s |",
		r.night, r.way, len(f), m.open.Seconds(), f[len(f)-1].open.Seconds(), m.link.Seconds(),
		float64(m.toVault+m.fromVault)/1e6, m.wire(), ratio, m.goal(), held, memory)
}

// about says what is measured, where and when.
func (o Options) about(ctx context.Context) (string, error) {
	version, err := exec.CommandContext(ctx, o.Airlock, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", o.Airlock, err)
	}
	cpu, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "", err
	}
	var model []byte
	if m := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(cpu); m != nil {
		model = m[1]
	}
	return fmt.Sprintf("%s, %s; %d × %s; load before: %s\n\n", bytes.TrimSpace(version), time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		runtime.NumCPU(), model, load[:bytes.IndexByte(load, ' ')]), nil
}

// octets is what the switch's port has counted.
type octets struct{ toVault, fromVault int64 }

func (b *bench) octets(ctx context.Context) (octets, error) {
	out, err := b.Command(ctx, lab.Switch, "ip", "-s", "-j", "link", "show", "dev", lab.VaultPort).Output()
	if err != nil {
		return octets{}, fmt.Errorf("read the port's counters: %w", err)
	}
	var links []struct {
		Stats64 struct{ TX, RX struct{ Bytes int64 } }
	}
	if err := json.Unmarshal(out, &links); err != nil || len(links) != 1 {
		return octets{}, fmt.Errorf("read the port's counters: %w: %s", err, out)
	}
	return octets{links[0].Stats64.TX.Bytes, links[0].Stats64.RX.Bytes}, nil
}
