//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"airlock/lab"
)

// stage is what goes on when a fault strikes.
type stage string

const (
	gathering stage = "gathering"
	window    stage = "window"
	rest      stage = "rest"
)

// fault is one kind of what may happen to a hospital.
type fault struct {
	kind   string
	stages []stage
	// lasts is for how long at the least and at the most, before it is mended.
	lasts [2]time.Duration
	// strike does it, and returns once it is done; what it did is noted in the round.
	strike func(context.Context, *round) error
	// mend undoes it; nil where there is nothing to undo. Programs that ended are
	// started again by the round.
	mend func(context.Context, *round) error
}

// faults are all kinds.
func faults() []fault {
	always := []stage{gathering, window, rest}
	short, long := [2]time.Duration{0, time.Second}, [2]time.Duration{500 * time.Millisecond, 6 * time.Second}
	return []fault{
		{"executor killed", always, long, tell(syscall.SIGKILL), nil},
		{"executor stopped", always, long, stopExecutor, resumeExecutor},
		{"executor terminated", always, short, tell(syscall.SIGTERM), nil},
		{"second orchestrator", always, short, secondOrchestrator, nil},
		{"machine cut", always, long, cutMachine, hearing(func(ctx context.Context, r *round) error {
			err := errors.Join(r.ended(ctx), r.site.ensure(ctx, r.serving))
			r.mayEnd = false // what runs now is another
			return err
		})},
		{"lockdown", always, long, lockdown, release},
		{"guard killed", []stage{window}, long, func(_ context.Context, r *round) error {
			r.site.guard.signal(syscall.SIGKILL)
			return nil
		}, nil},
		{"agent killed", always, long,
			deafening(func(ctx context.Context, r *round) error { return r.site.Stop(ctx, lab.SNMP) }),
			hearing(func(ctx context.Context, r *round) error { return r.site.Start(ctx, lab.SNMP) })},
		{"agent restarted", always, short, func(ctx context.Context, r *round) error {
			from := time.Now()
			err := r.site.Restart(ctx, lab.SNMP)
			r.deaf = append(r.deaf, span{from, time.Now()})
			return err
		}, nil},
		{"agent read-only", always, long, agent(lab.ReadOnly), obey},
		{"agent ignoring", always, long, agent(lab.Ignoring), obey},
		{"agent deceitful", always, long, agent(lab.Deceitful), obey},
		{"agent slow", always, long,
			func(ctx context.Context, r *round) error { return r.site.SlowManagement(ctx, 12+r.draw.IntN(20)) },
			func(ctx context.Context, r *round) error { return r.site.SlowManagement(ctx, 0) }},
		{"management link cut", always, long,
			deafening(func(ctx context.Context, r *round) error { return r.site.SetCable(ctx, lab.Switch, false) }),
			hearing(func(ctx context.Context, r *round) error { return r.site.SetCable(ctx, lab.Switch, true) })},
		{"vault killed", []stage{window}, long,
			func(ctx context.Context, r *round) error { return r.site.Stop(ctx, lab.VaultSSH) },
			func(ctx context.Context, r *round) error { return r.site.Start(ctx, lab.VaultSSH) }},
		{"vault link cut", []stage{window}, long,
			func(ctx context.Context, r *round) error { return r.site.SetCable(ctx, lab.Vault, false) },
			func(ctx context.Context, r *round) error { return r.site.SetCable(ctx, lab.Vault, true) }},
		{"vault disk full", []stage{window}, long, fill(lab.VaultDisk), free(lab.VaultDisk)},
		{"ledger disk full", always, long, fill(lab.StateDisk), free(lab.StateDisk)},
		{"repository disk full", []stage{gathering, window}, long, fill(lab.RepositoryDisk), free(lab.RepositoryDisk)},
		{"port opened by hand", []stage{rest, window}, long, openByHand, nil},
		{"port renamed", []stage{rest, window}, long, renamePort, nameBack},
		{"clock stepped", always, long, stepClock, func(_ context.Context, r *round) error { return r.site.clock.set(0) }},
		{"executor hung up", always, short, hangUp, nil},
		{"executor quit", always, short, tell(syscall.SIGQUIT), nil},
		{"terminal lost", []stage{gathering, window}, short, loseTerminal, nil},
		{"descriptors exhausted", always, long, exhaustDescriptors, feed},
		{"memory limited", always, long, limitMemory, feed},
		{"ledger removed", always, long, removeLedger, putLedgerBack},
		{"own link cut", always, long, cutOwnLink, ownLinkBack},
		{"traps forged", always, long, forgeTraps, nil},
		{"policy pointed elsewhere", []stage{rest, window}, long, pointElsewhere, pointBack},
	}
}

func stopExecutor(_ context.Context, r *round) error {
	r.died = append(r.died, time.Now())
	r.stopped = r.executor()
	r.stopped.signal(syscall.SIGSTOP)
	return nil
}

// resumeExecutor lets the executor go on where it was, or never.
func resumeExecutor(_ context.Context, r *round) error {
	if r.draw.IntN(2) == 0 {
		r.mayEnd = true
		r.stopped.signal(syscall.SIGKILL)
	}
	r.stopped.signal(syscall.SIGCONT)
	return nil
}

// refusedWithin is how soon a second orchestrator ends that was refused by the first one.
const refusedWithin = 5 * time.Second

// secondOrchestrator starts one on the same site, which must be refused while another
// is there.
func secondOrchestrator(ctx context.Context, r *round) error {
	first := r.executor()
	second, err := r.site.start("serve")
	if err != nil {
		return err
	}
	select {
	case <-second.ended:
	case <-first.ended: // so that it may have the site to itself: then it is the orchestrator
		select {
		case <-second.ended:
		case <-time.After(refusedWithin):
			r.site.serve = second
			return nil
		}
	case <-time.After(hang):
		return second.wait(ctx, 0)
	}
	if code := second.cmd.ProcessState.ExitCode(); code != 1 {
		return fmt.Errorf("a second orchestrator ended with exit code %d: %s", code, r.site.lastWords(second))
	}
	return nil
}

// cutMachine ends all of airlock at one stroke, guard and all, so that nobody is left who
// could shut a door before it starts again.
func cutMachine(ctx context.Context, r *round) error {
	r.site.guard.signal(syscall.SIGKILL)
	r.deafSince = time.Now()
	return tell(syscall.SIGKILL)(ctx, r)
}

// lockdown has every door shut, and nothing opened before the release.
func lockdown(ctx context.Context, r *round) error {
	r.died = append(r.died, time.Now()) // no leave to stand open is left either
	p, err := r.site.start("lockdown", "--reason", "chaos")
	if err != nil {
		return err
	}
	// Where the executor does not answer, the command says so; the lockdown stands.
	if err := p.wait(ctx, hang); err != nil {
		return err
	}
	r.locked.from = time.Now()
	if code := p.cmd.ProcessState.ExitCode(); code != 0 && !strings.Contains(r.site.words(p), "the lockdown stands") {
		return fmt.Errorf("airlock lockdown: exit code %d: %s", code, r.site.lastWords(p))
	}
	return nil
}

// release ends the lockdown with the key that init printed; it takes its turn after a
// command that has the site.
func release(ctx context.Context, r *round) error {
	r.locked.to = time.Now()
	until := time.Now().Add(hang)
	for {
		err := r.site.do(ctx, "release", "--key", r.site.releaseKey(), "--reason", "chaos")
		if err == nil || time.Now().After(until) || ctx.Err() != nil {
			return err
		}
		sleep(ctx, 200*time.Millisecond)
	}
}

// deafening notes since when no command can reach the switch.
func deafening(strike func(context.Context, *round) error) func(context.Context, *round) error {
	return func(ctx context.Context, r *round) error {
		r.deafSince = time.Now()
		return strike(ctx, r)
	}
}

// hearing notes that commands reach the switch again.
func hearing(mend func(context.Context, *round) error) func(context.Context, *round) error {
	return func(ctx context.Context, r *round) error {
		err := mend(ctx, r)
		r.deaf = append(r.deaf, span{r.deafSince, time.Now()})
		return err
	}
}

func agent(a lab.Agent) func(context.Context, *round) error {
	return deafening(func(ctx context.Context, r *round) error {
		r.deceived = a == lab.Deceitful
		return r.site.SetAgent(ctx, a)
	})
}

func obey(ctx context.Context, r *round) error {
	return hearing(func(ctx context.Context, r *round) error { return r.site.SetAgent(ctx, lab.Obedient) })(ctx, r)
}

func fill(d lab.Disk) func(context.Context, *round) error {
	return func(_ context.Context, r *round) error { return r.site.Fill(d) }
}

func free(d lab.Disk) func(context.Context, *round) error {
	return func(_ context.Context, r *round) error { return r.site.Free(d) }
}

// openByHand opens the vault's port as another administrator would, and leaves it so. One
// that is open already has to be shut first, and is opened while that is being proven.
func openByHand(ctx context.Context, r *round) error {
	err := r.site.poll(ctx, hang, "the vault's port to go down", func() bool {
		up, _ := r.site.isUp(lab.VaultPort)
		return !up
	})
	if err != nil {
		return err
	}
	sleep(ctx, time.Duration(r.draw.Float64()*float64(400*time.Millisecond)))
	from := time.Now()
	err = r.site.SetPort(ctx, lab.VaultPort, true)
	r.hands = append(r.hands, span{from, time.Now()})
	return err
}

const otherName = "uplink9"

// renamePort takes the port's name away. The agent, which tells old names for some
// seconds, is restarted in every second round.
func renamePort(ctx context.Context, r *round) error {
	r.deafSince = time.Now()
	return r.rename(ctx, lab.VaultPort, otherName)
}

func nameBack(ctx context.Context, r *round) error {
	err := r.rename(ctx, otherName, lab.VaultPort)
	err = errors.Join(err, r.site.Restart(ctx, lab.SNMP))
	r.deaf = append(r.deaf, span{r.deafSince, time.Now()})
	return err
}

func (r *round) rename(ctx context.Context, from, to string) error {
	began := time.Now()
	err := r.site.RenamePort(ctx, from, to)
	r.renamed = append(r.renamed, span{began, time.Now()})
	if r.draw.IntN(2) == 0 {
		err = errors.Join(err, r.site.Restart(ctx, lab.SNMP))
	}
	return err
}

// stepClock sets the wall clock of everything on the NAS, by minutes or by years.
func stepClock(_ context.Context, r *round) error {
	steps := []time.Duration{-10 * 365 * 24 * time.Hour, -73 * time.Hour, -70 * time.Minute, -10 * time.Minute,
		10 * time.Minute, 70 * time.Minute, 73 * time.Hour, 10 * 365 * 24 * time.Hour}
	step := steps[r.draw.IntN(len(steps))]
	r.notes = append(r.notes, fmt.Sprintf("by %s", step))
	return r.site.clock.set(step)
}
