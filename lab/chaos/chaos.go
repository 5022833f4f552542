//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"airlock/lab"

	"golang.org/x/sync/errgroup"
)

// Options say how a hospital is attacked.
type Options struct {
	Faults int
	Seed   uint64
	// First is the number of the first fault, 1 by default. A run that begins at a
	// later one draws what a longer run would have drawn there.
	First int
	// Kinds are the kinds that are drawn; all by default.
	Kinds []string
	// Airlock is the program under attack. Kopia is the stock kopia program; with ""
	// only airlock restores.
	Airlock, Kopia string
	// Evidence is the folder that what was found is kept in, made if need be.
	Evidence string
	// Beside is how many hospitals are attacked at once; 1 by default. Most of a round
	// is waiting.
	Beside int
	// Name begins the name of each hospital, so that several runs can go on at once.
	// What a killed run left is removed by the next of its name.
	Name string
	Log  io.Writer
}

// Kinds lists the kinds of faults there are.
func Kinds() []string {
	var kinds []string
	for _, f := range faults() {
		kinds = append(kinds, f.kind)
	}
	return kinds
}

// perHospital is after how many faults a hospital is made anew, which bounds the room
// that its disks need.
const perHospital = 40

// roundWithin bounds one round, whatever hangs in it.
const roundWithin = 5 * time.Minute

// ErrViolated: a rule did not hold.
var ErrViolated = errors.New("a rule did not hold")

// Run has faults strike, and tells of each. ErrViolated says that something was found,
// and where the evidence is.
func Run(ctx context.Context, o Options) (Report, error) {
	kinds, err := o.settle()
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Log, "%d faults from number %d, seed %d\n", o.Faults, o.First, o.Seed)
	numbers := make(chan int, o.Faults)
	for i := range o.Faults {
		numbers <- o.First + i
	}
	close(numbers)
	run := &run{Options: o, kinds: kinds}
	lanes, ctx := errgroup.WithContext(ctx)
	for i := range min(o.Beside, o.Faults) {
		lanes.Go(func() error { return run.lane(ctx, i, numbers) })
	}
	err = lanes.Wait()
	slices.SortFunc(run.report, func(a, b Result) int { return a.Number - b.Number })
	if run.violated > 0 {
		err = errors.Join(err, fmt.Errorf("%w after %d of %d faults; the evidence is in %s", ErrViolated, run.violated, len(run.report), o.Evidence))
	}
	return run.report, err
}

// run is what the hospitals of a Run share.
type run struct {
	Options
	kinds []fault

	mu       sync.Mutex
	report   Report
	violated int
}

// lane has the faults of some numbers strike one after the other, in one hospital after
// the other. Where FRR is installed, every second hospital has a second way to its vault's
// port.
func (c *run) lane(ctx context.Context, lane int, numbers <-chan int) (err error) {
	rules, both := brisk, lab.Missing(true) == nil
	rules.secondWay = both && lane%2 == 1
	var s *site
	defer func() {
		if s != nil {
			err = errors.Join(err, s.Down())
		}
	}()
	used := 0
	for number := range numbers {
		if s == nil {
			if s, err = newSite(ctx, c.Options, rules, fmt.Sprintf("%s-%d", c.Name, lane+1)); err != nil {
				return fmt.Errorf("a new hospital: %w", err)
			}
			rules.secondWay = both && !rules.secondWay
			used = 0
		}
		r := drawn(c.Seed, number, pick(c.kinds, c.Seed, number))
		r.site = s
		bounded, cancel := context.WithTimeoutCause(ctx, roundWithin, errors.New("the round did not end"))
		result := r.run(bounded)
		cancel()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		c.tell(result)
		if used++; len(result.Violations) == 0 && used < perHospital {
			continue
		}
		if len(result.Violations) > 0 {
			if err := s.keep(filepath.Join(c.Evidence, fmt.Sprintf("seed-%d-fault-%d", c.Seed, number)), result); err != nil {
				return err
			}
		}
		err := s.Down()
		if s = nil; err != nil {
			return err
		}
	}
	return nil
}

// tell prints a result, and adds it to the report.
func (c *run) tell(r Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report = append(c.report, r)
	if len(r.Violations) > 0 {
		c.violated++
	}
	fmt.Fprintf(c.Log, "%s %d/%d #%d %s\n", time.Now().Format(time.TimeOnly), len(c.report), c.Faults, r.Number, r)
}

func (o *Options) settle() ([]fault, error) {
	if o.First == 0 {
		o.First = 1
	}
	if o.Name == "" {
		o.Name = "chaos"
	}
	o.Beside = max(o.Beside, 1)
	kinds := faults()
	for _, k := range o.Kinds {
		if !slices.Contains(Kinds(), k) {
			return nil, fmt.Errorf("there is no kind of fault %q; there are: %s", k, strings.Join(Kinds(), ", "))
		}
	}
	if len(o.Kinds) > 0 {
		kinds = slices.DeleteFunc(kinds, func(f fault) bool { return !slices.Contains(o.Kinds, f.kind) })
	}
	return kinds, nil
}

// pick draws the kind of a fault as from a pack of cards, so that each kind comes once
// before any comes again.
func pick(kinds []fault, seed uint64, number int) fault {
	pack, card := (number-1)/len(kinds), (number-1)%len(kinds)
	r := rand.New(rand.NewPCG(seed, 1<<32+uint64(pack)))
	return kinds[r.Perm(len(kinds))[card]]
}

// String is a result as a line, and a line more for each violation.
func (r Result) String() string {
	text := fmt.Sprintf("%s: open %.3f s, recovered after %.1f s", r.What, r.Verdict.open.Seconds(), r.Recovered.Seconds())
	for _, v := range r.Violations {
		text += "\n  VIOLATION: " + strings.ReplaceAll(v, "\n", "\n    ")
	}
	return text
}

// keep copies what tells of a result out of a hospital that will be taken down.
func (s *site) keep(dir string, r Result) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintln(&text, r)
	for _, t := range s.ports.Transitions() {
		fmt.Fprintf(&text, "%s up=%-5t after %s by %s\n", t.Port, t.Up, t.After.Format(time.RFC3339Nano), t.By.Format(time.RFC3339Nano))
	}
	if err := os.WriteFile(filepath.Join(dir, "result.txt"), []byte(text.String()), 0o600); err != nil {
		return err
	}
	for _, from := range []string{"log", "state/ledger.db", "state/ledger.db-wal", "state/ledger.late.jsonl", "state/leases", "state/lockdown", "guard", "airlock.yaml"} {
		if _, err := os.Stat(filepath.Join(s.Dir, from)); err != nil {
			continue // not every hospital has it
		}
		if out, err := exec.Command("cp", "-r", filepath.Join(s.Dir, from), dir).CombinedOutput(); err != nil {
			return fmt.Errorf("keep %s: %w: %s", from, err, out)
		}
	}
	return nil
}

// Report is what came of a run, in the order of the faults.
type Report []Result

// String is a table by kind of fault, with the worst of each.
func (r Report) String() string {
	type row struct {
		count, violations int
		worst             verdict
		recovered         time.Duration
	}
	rows := map[string]*row{"all": {}}
	for _, result := range r {
		if rows[result.Kind] == nil {
			rows[result.Kind] = &row{}
		}
		for _, t := range []*row{rows[result.Kind], rows["all"]} {
			t.count++
			t.violations += len(result.Violations)
			t.worst = t.worst.worst(result.Verdict)
			t.recovered = max(t.recovered, result.Recovered)
		}
	}
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 1, ' ', tabwriter.AlignRight|tabwriter.Debug)
	fmt.Fprintln(w, "|fault\tcount\topen s\tunlogged s\toverdue s\tboth s\trecovery s\tviolations\t")
	fmt.Fprintln(w, "|---\t---:\t---:\t---:\t---:\t---:\t---:\t---:\t")
	for _, kind := range append(Kinds(), "all") {
		if t := rows[kind]; t != nil {
			fmt.Fprintf(w, "|%s\t%d\t%.2f\t%.3f\t%.3f\t%.3f\t%.1f\t%d\t\n", kind, t.count, t.worst.open.Seconds(),
				t.worst.unlogged.Seconds(), t.worst.overdue.Seconds(), t.worst.both.Seconds(), t.recovered.Seconds(), t.violations)
		}
	}
	w.Flush()
	return text.String()
}
