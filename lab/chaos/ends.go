//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"airlock/lab"

	"golang.org/x/sys/unix"
)

// S14: ways in which a program ends, or is starved.

// harmless are the kinds by which no door may move at rest: what cannot be read or believed
// is no reason to (S15).
var harmless = []string{"executor hung up", "descriptors exhausted", "ledger removed", "traps forged", "policy pointed elsewhere"}

// hangUp is what a lost line does to a command. An orchestrator that runs as a service is
// asked by it to read its policy file again, and must not end.
func hangUp(_ context.Context, r *round) error {
	if r.site.serve == nil {
		r.died = append(r.died, time.Now())
	}
	r.executor().signal(syscall.SIGHUP)
	return nil
}

// tell sends a signal by which the executor has to end.
func tell(signal syscall.Signal) func(context.Context, *round) error {
	return func(_ context.Context, r *round) error {
		r.mayEnd = true
		r.died = append(r.died, time.Now())
		r.executor().signal(signal)
		return nil
	}
}

// loseTerminal closes the terminal on which the command was typed, as a broken ssh line
// does: its programs get SIGHUP, and cannot write any more.
func loseTerminal(_ context.Context, r *round) error {
	if r.site.serve == nil {
		r.died = append(r.died, time.Now())
	}
	if r.foreground == nil { // nobody has typed anything yet
		return nil
	}
	return r.foreground.terminal.Close()
}

// exhaustDescriptors leaves the executor no descriptor beyond those that it has.
func exhaustDescriptors(_ context.Context, r *round) error {
	p := r.executor()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if errors.Is(err, os.ErrNotExist) || err == nil && len(open) == 0 {
		return nil // it has ended already
	}
	if err != nil {
		return err
	}
	return r.starve(p, unix.RLIMIT_NOFILE, uint64(len(open)))
}

// limitMemory leaves the executor no more address space than it has: Go ends a program
// that gets none.
func limitMemory(_ context.Context, r *round) error {
	p := r.executor()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	var pages uint64
	if err == nil {
		_, err = fmt.Sscan(string(text), &pages)
	}
	if err != nil || pages == 0 {
		return nil // it has ended already
	}
	r.mayEnd = true
	return r.starve(p, unix.RLIMIT_AS, pages*uint64(os.Getpagesize()))
}

// starve lowers a limit of a program. What it was is put back by feed.
func (r *round) starve(p *program, resource int, to uint64) error {
	r.starved, r.resource = p, resource
	err := unix.Prlimit(p.cmd.Process.Pid, resource, nil, &r.limit)
	if err == nil {
		err = unix.Prlimit(p.cmd.Process.Pid, resource, &unix.Rlimit{Cur: min(to, r.limit.Max), Max: r.limit.Max}, nil)
	}
	if errors.Is(err, unix.ESRCH) {
		r.starved = nil
		return nil
	}
	return err
}

func feed(_ context.Context, r *round) error {
	if r.starved == nil {
		return nil
	}
	if !r.starved.running() {
		r.died = append(r.died, r.starved.endedAt)
		return nil
	}
	err := unix.Prlimit(r.starved.cmd.Process.Pid, r.resource, &r.limit, nil)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	select {
	case <-r.starved.ended:
		r.died = append(r.died, r.starved.endedAt)
	case <-time.After(dying):
		r.mayEnd = false // it had enough, and goes on
	}
	return nil
}

// dying is how long a program may take to say what it died of.
const dying = 5 * time.Second

// removeLedger takes the executor's ledger away from under it, as a mistaken rm does. It
// is put back, as from a backup that is up to date.
// One command alone would begin a new ledger, which the vault's head would refuse for good.
func removeLedger(_ context.Context, r *round) error {
	if r.site.serve == nil {
		r.notes = append(r.notes, "nobody serves")
		return nil
	}
	return r.site.moveLedger("ledger.db", "removed.db")
}

func putLedgerBack(_ context.Context, r *round) error {
	if r.site.serve == nil {
		return nil
	}
	return r.site.moveLedger("removed.db", "ledger.db")
}

func (s *site) moveLedger(from, to string) error {
	var errs []error
	for _, part := range []string{"", "-wal", "-shm"} {
		err := os.Rename(filepath.Join(s.StateDir(), from+part), filepath.Join(s.StateDir(), to+part))
		if part == "" || !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// cutOwnLink has the switch lie about the vault's port, and takes airlock's own link away,
// so that the vault is silent whether its door is shut or not (S3, S6).
func cutOwnLink(ctx context.Context, r *round) error {
	return errors.Join(agent(lab.Deceitful)(ctx, r), r.site.SetCable(ctx, lab.NAS, false))
}

func ownLinkBack(ctx context.Context, r *round) error {
	return errors.Join(obey(ctx, r), r.site.SetCable(ctx, lab.NAS, true))
}

// forgeTraps tells in the switch's name, with the community that everybody on the line can
// read, that the vault's port came up.
func forgeTraps(ctx context.Context, r *round) error {
	for ctx.Err() == nil && r.traps < 20 {
		if err := r.site.ForgeTrap(ctx, lab.VaultPort); err != nil {
			return err
		}
		r.traps++
	}
	return ctx.Err()
}

// pointElsewhere has the policy file name the NAS's own port as the vault's door, for
// orchestrator and guard alike.
func pointElsewhere(ctx context.Context, r *round) error {
	r.deafSince = time.Now() // nobody shuts the vault's port meanwhile
	return r.repoint(ctx, lab.VaultPort, lab.NASPort)
}

func pointBack(ctx context.Context, r *round) error {
	err := r.repoint(ctx, lab.NASPort, lab.VaultPort)
	r.deaf = append(r.deaf, span{r.deafSince, time.Now()})
	return err
}

// repoint changes the port of the vault's door and has everything that runs read it.
func (r *round) repoint(ctx context.Context, from, to string) error {
	s := r.site
	text, err := os.ReadFile(s.PolicyFile())
	if err != nil {
		return err
	}
	was, is := "port: {name: "+from+"}", "port: {name: "+to+"}"
	if strings.Count(string(text), was) != 1 {
		return fmt.Errorf("the policy file has not one %q", was)
	}
	if err := os.WriteFile(s.PolicyFile(), []byte(strings.Replace(string(text), was, is, 1)), 0o600); err != nil {
		return err
	}
	for _, p := range []*program{s.guard, s.serve} {
		if p != nil {
			r.died = append(r.died, time.Now())
			p.signal(syscall.SIGTERM)
			err = errors.Join(err, p.wait(ctx, hang))
		}
	}
	return errors.Join(err, s.ensure(ctx, r.serving))
}
