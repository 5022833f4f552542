//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"airlock/lab"
	"airlock/ledger"

	"golang.org/x/sys/unix"
)

// moment is what a fault waits for.
type moment string

const (
	before  moment = "before the window"   // and the window begins with it
	begun   moment = "after the beginning" // of the window or gathering
	opened  moment = "after the opening"   // of the vault's port
	closed  moment = "after the shutting"  // while it is being proven, and the inner door opened
	resting moment = "at rest"
)

// round is one fault, from the drawing to the judgement.
type round struct {
	site   *site
	number int
	fault  fault
	draw   *rand.Rand // what else is drawn comes from here
	// What was drawn: the programs that run, and when the fault strikes, and for how
	// long.
	serving bool
	stage   stage
	moment  moment
	delay   time.Duration
	lasts   time.Duration

	began      time.Time
	mended     time.Time
	foreground *program // the window or gathering; nil at rest
	stopped    *program
	mayEnd     bool     // the executor may have ended by the fault
	starved    *program // whose limit of resource was limit
	resource   int
	limit      unix.Rlimit
	traps      int // that were forged
	notes      []string

	hands, renamed, deaf []span
	deafSince            time.Time
	locked               span
	deceived             bool // the agent lied
	died                 []time.Time
}

// Result is what came of one fault.
type Result struct {
	Number     int
	Kind       string
	What       string // what was drawn, in words
	Verdict    verdict
	Recovered  time.Duration // from the mending to the end of the next good window
	Violations []string
}

// drawn is the round of a number, which depends on that and the seed alone.
func drawn(seed uint64, number int, f fault) *round {
	r := &round{number: number, fault: f, draw: rand.New(rand.NewPCG(seed, uint64(number)))}
	between := func(a, b time.Duration) time.Duration { return a + time.Duration(r.draw.Float64()*float64(b-a)) }
	r.stage = f.stages[r.draw.IntN(len(f.stages))]
	if r.draw.IntN(2) == 0 && slices.Contains(f.stages, window) {
		r.stage = window // where a port is open there is more to be spoilt
	}
	r.serving = r.stage == rest || r.draw.IntN(4) > 0
	r.lasts = between(f.lasts[0], f.lasts[1])
	switch m := r.draw.IntN(10); {
	case r.stage == rest:
		r.moment, r.delay = resting, between(0, time.Second)
	case r.stage == gathering:
		r.moment, r.delay = begun, between(0, 1200*time.Millisecond)
	case m < 1:
		r.moment = before
	case m < 3:
		r.moment, r.delay = begun, between(0, 1500*time.Millisecond)
	case m < 8:
		r.moment, r.delay = opened, between(0, 1800*time.Millisecond)
	default:
		r.moment, r.delay = closed, between(0, 800*time.Millisecond)
	}
	return r
}

func (r *round) String() string {
	who := "one command"
	if r.serving {
		who = "serve"
	}
	if r.site != nil && r.site.secondWay {
		who += ", two ways"
	}
	text := fmt.Sprintf("%s, %.3f s %s", r.fault.kind, r.delay.Seconds(), r.moment)
	if r.stage == gathering {
		text += " of a gathering"
	}
	text += fmt.Sprintf(" (%s), for %.3f s", who, r.lasts.Seconds())
	if len(r.notes) > 0 {
		text += ", " + strings.Join(r.notes, ", ")
	}
	return text
}

// executor is the program that has the site.
func (r *round) executor() *program {
	if r.site.serve != nil {
		return r.site.serve
	}
	return r.foreground
}

// run has the fault strike, and judges.
func (r *round) run(ctx context.Context) Result {
	res := Result{Number: r.number, Kind: r.fault.kind}
	fail := func(err error) {
		if err != nil {
			res.Violations = append(res.Violations, err.Error())
		}
	}
	if err := r.prepare(ctx); err != nil {
		fail(fmt.Errorf("before the fault: %w", err))
		res.What = r.String()
		return res
	}
	fail(r.attack(ctx))
	r.mended = time.Now()
	fail(r.settle(ctx))
	recovering := r.recover(ctx)
	fail(recovering)
	res.Recovered = time.Since(r.mended)
	res.What = r.String()
	verdict, err := r.judge(ctx)
	fail(err)
	res.Verdict = verdict
	for _, v := range []struct {
		what string
		long time.Duration
	}{
		{"the vault's port was up without a word in a ledger for", verdict.unlogged},
		{"the vault's port was up too long by", verdict.overdue},
		{"both doors were open for", verdict.both},
		{"in a lockdown the vault's port was up for", verdict.locked},
	} {
		if v.long > 0 {
			fail(fmt.Errorf("%s %s", v.what, v.long))
		}
	}
	fail(r.accused(ctx))
	fail(r.untouched())
	if recovering == nil { // else it is not known what the vault should hold
		fail(r.vaultSound(ctx))
	}
	return res
}

// prepare has everything run that shall, and gives the window something to carry.
func (r *round) prepare(ctx context.Context) error {
	if err := r.site.ensure(ctx, r.serving); err != nil {
		return err
	}
	if err := r.site.study(r.draw, r.number, (5+r.draw.IntN(5))<<20); err != nil {
		return err
	}
	if r.stage == window {
		if err := r.site.do(ctx, "gather", "imaging"); err != nil {
			return err
		}
	}
	r.began = time.Now()
	return nil
}

// attack begins what the fault shall strike, waits for its moment, and strikes and
// mends.
func (r *round) attack(ctx context.Context) (err error) {
	start := func() (err error) {
		switch r.stage {
		case window:
			r.foreground, err = r.site.startOnTerminal("window", vaultName, "--reason", "chaos")
		case gathering:
			r.foreground, err = r.site.startOnTerminal("gather", "imaging")
		}
		return err
	}
	if r.moment == before {
		if !r.serving {
			// There is no executor yet; the fault strikes as it begins.
			r.moment = begun
		} else if err := r.fault.strike(ctx, r); err != nil {
			return fmt.Errorf("strike: %w", err)
		}
	}
	if err := start(); err != nil {
		return err
	}
	if r.moment != before {
		r.await(ctx)
		if err := r.fault.strike(ctx, r); err != nil {
			return fmt.Errorf("strike: %w", err)
		}
	}
	sleep(ctx, r.lasts)
	if r.fault.mend != nil {
		if err := r.fault.mend(ctx, r); err != nil {
			return fmt.Errorf("mend: %w", err)
		}
	}
	return nil
}

// await waits for the fault's moment; one that does not come within some seconds is
// not waited for.
func (r *round) await(ctx context.Context) {
	const patience = 10 * time.Second
	wanted := func(up bool) func() bool {
		return func() bool {
			is, since := r.site.isUp(lab.VaultPort)
			return is == up && since.After(r.began) || !r.foreground.running()
		}
	}
	switch r.moment {
	case opened:
		r.site.poll(ctx, patience, "the port to go up", wanted(true)) // or else it strikes late
	case closed:
		r.site.poll(ctx, patience, "the port to go up", wanted(true))
		r.site.poll(ctx, patience, "the port to go down", wanted(false))
	}
	sleep(ctx, r.delay)
}

// settle waits until what was begun has ended and the vault's port is down, and has the
// programs run again that ended.
func (r *round) settle(ctx context.Context) error {
	var errs []error
	if r.site.serve != nil && !r.site.serve.running() && !r.mayEnd {
		errs = append(errs, fmt.Errorf("airlock serve ended by itself: %s", r.site.lastWords(r.site.serve)))
	}
	errs = append(errs, r.ended(ctx), r.site.ensure(ctx, r.serving))
	if r.foreground != nil {
		errs = append(errs, r.foreground.wait(ctx, hang))
	}
	errs = append(errs, r.site.poll(ctx, hang, "the vault's port to go down", func() bool {
		up, _ := r.site.isUp(lab.VaultPort)
		return !up
	}))
	return errors.Join(errs...)
}

// ended waits for an orchestrator that was made to end, to be started again as by
// systemd.
func (r *round) ended(ctx context.Context) error {
	if !r.mayEnd || r.site.serve == nil {
		return nil
	}
	return r.site.serve.wait(ctx, hang)
}

// recover wants a window to come to a good end, as soon as nothing hinders it.
func (r *round) recover(ctx context.Context) error {
	until := time.Now().Add(hang)
	for {
		err := r.site.do(ctx, "window", vaultName, "--reason", "after "+r.fault.kind)
		if err == nil || ctx.Err() != nil || time.Now().After(until) {
			return err
		}
		sleep(ctx, 300*time.Millisecond)
	}
}

// judge holds what was seen against what is written.
func (r *round) judge(ctx context.Context) (verdict, error) {
	said, err := r.site.sayings(ctx)
	if err != nil {
		return verdict{}, err
	}
	now := time.Now()
	seen := r.site.ports.Transitions()
	return evidence{
		limits: limits{maxOpen: r.site.maxOpen, grace: r.site.leaseTTL + r.site.interval, look: r.site.look()},
		now:    now,
		vault:  ups(seen, lab.VaultPort, r.began, now),
		inner:  ups(seen, lab.DepartmentsPort, r.began, now),
		said:   said, hands: r.hands, renamed: r.renamed, deaf: r.deaf, died: r.died, locked: r.locked,
	}.judge(), nil
}

// accused wants that nobody is said to have opened the port in a round in which nobody
// did, and no agent lied.
func (r *round) accused(ctx context.Context) error {
	if len(r.hands)+len(r.renamed) > 0 || r.deceived {
		return nil
	}
	entries, err := r.site.entries(ctx)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Kind == ledger.KindPatrol && e.To == "opened" && !r.site.clock.truly(e.Time).Before(r.began) {
			err = errors.Join(err, fmt.Errorf("entry %d accuses somebody of having opened the port: %s", e.Seq, e.Reason))
		}
	}
	return err
}

// untouched wants the NAS's own port as it was, whatever happened (S7), and at rest the
// departments' too where the fault takes nobody's sight of a door.
func (r *round) untouched() (err error) {
	for _, t := range r.site.ports.Transitions() {
		switch {
		case t.By.Before(r.began):
		case t.Port == lab.NASPort:
			err = errors.Join(err, fmt.Errorf("S7: the NAS's port went up=%t at %s", t.Up, t.By.Format(time.RFC3339Nano)))
		case t.Port == lab.DepartmentsPort && t.After.Before(r.mended) && r.stage == rest && slices.Contains(harmless, r.fault.kind):
			err = errors.Join(err, fmt.Errorf("S15: at rest the departments' port went up=%t at %s", t.Up, t.By.Format(time.RFC3339Nano)))
		}
	}
	return err
}

// vaultSound looks at every generation, and now and then restores from an earlier one.
func (r *round) vaultSound(ctx context.Context) error {
	errs := []error{r.site.generationsSound(ctx)}
	if r.number%5 == 0 {
		errs = append(errs, r.site.restores(ctx, "accounting"))
	}
	if r.number%5 == 2 && r.site.kopia != "" {
		errs = append(errs, r.site.stockRestores(ctx, "accounting"))
	}
	return errors.Join(errs...)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
