//go:build linux

package chaos

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"airlock/lab"
	"airlock/lab/labtest"
)

// inTests is how many faults strike in a test, and how many with -short. A seed that
// failed is set by CHAOS_SEED; many more faults come with make chaos.
const inTests, inShortTests = 24, 4

// S1 to S7, S10 and S12, attacked.
func TestChaos(t *testing.T) {
	if err := lab.Missing(false); err != nil {
		labtest.Up(t, lab.Options{}) // skips, or fails
	}
	labtest.Want(t, "cc")
	dir := t.TempDir()
	o := Options{
		Faults: inTests, Seed: uint64(rand.Uint32()), Beside: 3, Log: t.Output(),
		Name: labtest.Options(t, lab.Options{}).Name, Evidence: filepath.Join(os.TempDir(), "airlock-chaos-evidence"),
	}
	if testing.Short() {
		o.Faults, o.Beside = inShortTests, 2
	}
	if text := os.Getenv("CHAOS_SEED"); text != "" {
		var err error
		if o.Seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	o.Airlock = build(t, dir, "airlock", "../../cmd/airlock", ".")
	if !testing.Short() {
		o.Kopia = build(t, dir, "kopia", "../../tools", "github.com/kopia/kopia")
	}
	report, err := Run(t.Context(), o)
	t.Logf("\n%s", report)
	if err != nil {
		t.Fatalf("seed %d: %v", o.Seed, err)
	}
	if len(report) != o.Faults {
		t.Fatalf("%d faults struck, not %d", len(report), o.Faults)
	}
}

func build(t *testing.T, dir, name, from, pkg string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	c := exec.Command("go", "build", "-o", file, pkg)
	c.Dir = from
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return file
}

// The same seed draws the same faults, wherever a run begins; each kind comes once
// before any comes again.
func TestDrawing(t *testing.T) {
	kinds := faults()
	var first []string
	for number := 1; number <= 2*len(kinds); number++ {
		r := drawn(7, number, pick(kinds, 7, number))
		again := drawn(7, number, pick(kinds, 7, number))
		if r.String() != again.String() || r.serving != again.serving {
			t.Errorf("number %d is %s, and then %s", number, r, again)
		}
		if !slices.Contains(r.fault.stages, r.stage) {
			t.Errorf("%s strikes at %s", r.fault.kind, r.stage)
		}
		first = append(first, r.fault.kind)
	}
	for _, pack := range [][]string{first[:len(kinds)], first[len(kinds):]} {
		if got := slices.Sorted(slices.Values(pack)); !slices.Equal(got, slices.Sorted(slices.Values(Kinds()))) {
			t.Errorf("a pack has %q", got)
		}
	}
	if slices.Equal(first[:len(kinds)], first[len(kinds):]) {
		t.Error("every pack comes in the same order")
	}
}

// The clock that is set is the one that a Go program reads; and what it shows is known.
func TestClock(t *testing.T) {
	labtest.Want(t, "cc")
	dir := t.TempDir()
	c, err := newClock(dir)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "now.go")
	const source = `package main

import ("fmt"; "time"; "C")

func main() {
	begun := time.Now()
	fmt.Print(begun.UnixNano())
	if time.Since(begun) > time.Minute { panic("monotonic time was stepped, too") }
}
`
	if err := os.WriteFile(program, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	now := build(t, dir, "now", ".", program)
	for _, ahead := range []time.Duration{0, -73 * time.Hour, 70 * time.Minute, 0} {
		if err := c.set(ahead); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		run := exec.Command(now)
		run.Env = append(os.Environ(), c.environment()...)
		out, err := run.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		ns, err := strconv.ParseInt(string(out), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		shown := time.Unix(0, ns)
		if off := shown.Sub(before.Add(ahead)).Abs(); off > 10*time.Second {
			t.Errorf("ahead by %s it shows %s, which is %s off", ahead, shown, off)
		}
		if at := c.truly(shown); at.Before(before.Round(0)) || at.After(time.Now()) {
			t.Errorf("ahead by %s: what it shows was truly at %s, and not after %s", ahead, at, before)
		}
	}
}
