package cli

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"airlock/switchctl"
	"airlock/switchctl/switchtest/cliswitch"
)

// recorded is a login to awplus's screens, and what was told of its recordings.
func recorded(t *testing.T) (*agent, switchctl.Port, *[]Recording) {
	t.Helper()
	sw := cliswitch.Start(t, filepath.Join("testdata", "screens", "awplus.txtar"))
	var told []Recording
	d, err := Dial(t.Context(), Config{Address: sw.Address, Platform: "awplus", User: sw.User, Password: cliswitch.Password,
		KnownHosts: sw.KnownHosts, Enable: "secret", Timeout: 10 * time.Second,
		Sessions: Sessions{Dir: filepath.Join(t.TempDir(), "sessions"), Switch: "core/1", Recorded: func(r Recording) { told = append(told, r) }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() }) // again: it may have been closed
	p, err := d.Find(t.Context(), switchctl.Lookup{Name: sw.Door})
	if err != nil {
		t.Fatal(err)
	}
	return d.(*agent), p, &told
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestRecording: a login that changed something is an asciicast that ends with it, holds
// no secret (S13), and is told with its hash.
func TestRecording(t *testing.T) {
	d, p, told := recorded(t)
	dir := d.config.Sessions.Dir
	if err := p.Set(t.Context(), switchctl.AdminDown); err != nil {
		t.Fatal(err)
	}
	if names := list(t, dir); len(names) != 1 || !strings.HasSuffix(names[0], "-core-1.cast.part") || len(*told) != 0 {
		t.Errorf("under way: %q, told %+v", names, *told)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	names := list(t, dir)
	if len(names) != 1 || len(*told) != 1 || (*told)[0].File != names[0] || (*told)[0].Broken != nil {
		t.Fatalf("ended: %q, told %+v", names, *told)
	}
	text, err := os.ReadFile(filepath.Join(dir, names[0]))
	if err != nil {
		t.Fatal(err)
	}
	if r := (*told)[0]; r.SHA256 != sha256.Sum256(text) || r.Size != int64(len(text)) {
		t.Errorf("told %x of %d bytes, the file has %x of %d", r.SHA256, r.Size, sha256.Sum256(text), len(text))
	}
	for _, secret := range []string{"secret", cliswitch.Password + "\""} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the recording holds %q", secret)
		}
	}
	if typed := typed(t, text); !strings.Contains(typed, "configure terminal\ninterface port1.0.3\nshutdown\nend\n") {
		t.Errorf("typed %q", typed)
	}
}

// typed reads an asciicast strictly and returns its input.
func typed(t *testing.T, text []byte) string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	var header struct{ Version, Width, Height int }
	if err := json.Unmarshal([]byte(lines[0]), &header); err != nil || header.Version != 2 || header.Width == 0 || header.Height == 0 {
		t.Errorf("header %s: %v", lines[0], err)
	}
	all := ""
	for _, line := range lines[1:] {
		var event []any
		if err := json.Unmarshal([]byte(line), &event); err != nil || len(event) != 3 {
			t.Fatalf("event %s: %v", line, err)
		}
		if event[1] == "i" {
			all += event[2].(string)
		}
	}
	return all
}

// TestRecordingOfReading is not kept.
func TestRecordingOfReading(t *testing.T) {
	d, p, told := recorded(t)
	if _, err := p.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if names := list(t, d.config.Sessions.Dir); len(names) != 0 || len(*told) != 0 {
		t.Errorf("%q, told %+v", names, *told)
	}
}

// TestRecordingsRotate: a login ends when its recording is old or big, but not soon after
// a change, and never before a port is set (S2).
func TestRecordingsRotate(t *testing.T) {
	d, p, told := recorded(t)
	if err := p.Set(t.Context(), switchctl.AdminDown); err != nil {
		t.Fatal(err)
	}
	first := d.console.line.record
	read := func() {
		t.Helper()
		if r, err := p.Read(t.Context()); err != nil || r.Row.Admin != switchctl.AdminDown {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	first.mu.Lock()
	first.began = first.began.Add(-2 * longEnough)
	first.mu.Unlock()
	read()
	if d.console.line.record != first {
		t.Error("the login ended soon after a change")
	}
	first.mu.Lock()
	first.changed = first.changed.Add(-2 * quietFor)
	first.mu.Unlock()
	if err := p.Set(t.Context(), switchctl.AdminDown); err != nil {
		t.Fatal(err)
	}
	if d.console.line.record != first {
		t.Error("setting the port waited for a new login")
	}
	first.mu.Lock()
	first.began, first.to.size = time.Now(), bigEnough+1
	first.changed = first.changed.Add(-2 * quietFor)
	first.mu.Unlock()
	read()
	if d.console.line.record == first || len(*told) != 1 {
		t.Errorf("the login did not end; told %+v", *told)
	}
}

// TestRecordingThatGrows: nothing is written past the last limit, and that is told.
func TestRecordingThatGrows(t *testing.T) {
	d, p, told := recorded(t)
	r := d.console.line.record
	r.mu.Lock()
	r.to.size = tooBig + 1
	r.mu.Unlock()
	if err := p.Set(t.Context(), switchctl.AdminDown); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err == nil || !strings.Contains(err.Error(), "16 MiB") || len(*told) != 1 || (*told)[0].Broken == nil {
		t.Errorf("close: %v, told %+v", err, *told)
	}
}

// TestRecordingThatFails keeps no port from being shut (S2), and is told in the end.
func TestRecordingThatFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d, p, told := recorded(t)
	d.drop()
	d.config.Sessions.Dir = filepath.Join(file, "sessions")
	if err := p.Set(t.Context(), switchctl.AdminDown); err != nil {
		t.Fatal(err)
	}
	err := d.Close()
	if err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("close: %v", err)
	}
	if len(*told) != 1 || (*told)[0].File != "" || (*told)[0].Broken == nil {
		t.Errorf("told %+v", *told)
	}
}

// TestLeftovers: recordings of a program that was killed are finished once; what another
// writes is left alone.
func TestLeftovers(t *testing.T) {
	d, _, _ := recorded(t) // is writing
	dir := d.config.Sessions.Dir
	var want []Recording
	for i, text := range []string{`{"version": 2, "timestamp": 1700000000}` + "\n" + `[0.1, "o", "sw>`, ""} {
		name := fmt.Sprintf("20260101T00000%d.000000000Z-core.cast", i)
		if err := os.WriteFile(filepath.Join(dir, name+".part"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := Recording{File: name, Size: int64(len(text)), SHA256: sha256.Sum256([]byte(text))}
		if text != "" {
			r.Began = time.Unix(1700000000, 0)
		}
		want = append(want, r)
	}
	got, err := Leftovers(dir)
	if err != nil || len(got) != len(want) {
		t.Fatalf("%+v, %v", got, err)
	}
	for i := range want {
		if !errors.Is(got[i].Broken, errKilled) {
			t.Errorf("%+v", got[i])
		}
		got[i].Broken = nil
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
	if again, err := Leftovers(dir); err != nil || len(again) != 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("the one that was being written: %v", err)
	}
	if none, err := Leftovers(filepath.Join(dir, "missing")); err != nil || len(none) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
}

// TestLockEndsWithTheFile: what Leftovers relies on to tell the living from the dead.
func TestLockEndsWithTheFile(t *testing.T) {
	c, err := Sessions{Dir: t.TempDir(), Switch: "core"}.create(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	other := flock.New(c.file.Name())
	defer other.Close()
	if ours, err := other.TryLock(); err != nil || ours {
		t.Errorf("locked: %v, %v", ours, err)
	}
	if err := c.lock.Close(); err != nil {
		t.Fatal(err)
	}
	if ours, err := other.TryLock(); err != nil || !ours {
		t.Errorf("free: %v, %v", ours, err)
	}
	if err := c.file.Close(); err != nil {
		t.Fatal(err)
	}
}
