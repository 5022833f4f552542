package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"airlock/lab/departments"
	"airlock/lab/embedded"
	"airlock/ledger"
	"airlock/orchestrator"
	"airlock/policies"

	"github.com/spf13/cobra"
)

func (a *app) demoCommand() *cobra.Command {
	var keep string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a whole hospital and two nights in one process, on any machine",
		Long:  "Run a whole hospital in one process: three departments behind SFTP servers, a switch that answers SNMPv3 and whose ports really gate the traffic, a repository, a vault. Two nights and a restore run, and what airlock says of them is held against what really happened. Nothing needs to be installed, and root is not needed.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			dir := keep
			if dir == "" {
				if dir, err = os.MkdirTemp("", "airlock-demo-"); err != nil {
					return err
				}
				defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
			}
			d := &demo{app: a, dir: dir}
			return d.run(c.Context())
		},
	}
	c.Flags().StringVar(&keep, "keep", "", "make the hospital in this new `folder`, and leave it there")
	return c
}

// demo is one run of the hospital in one process. It believes nothing that airlock
// says: whatever can be seen from outside is compared.
type demo struct {
	*app
	dir      string
	hospital *embedded.Hospital
	policy   policies.Policy
	untrue   []string
	began    time.Time
}

func (d *demo) run(ctx context.Context) (err error) {
	d.began = time.Now()
	d.say("A hospital in one process, in %s", d.dir)
	if d.hospital, err = embedded.Start(d.dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.hospital.Close()) }()
	d.file = d.hospital.PolicyFile
	if d.policy, err = d.app.policy(); err != nil {
		return err
	}
	for _, s := range d.hospital.Systems {
		d.say("  %-14s %s, behind port %s of the switch", s.Name, s.Title, embedded.DepartmentsPort)
	}
	d.say("  %-14s the secondary, behind port %s, which is shut", embedded.VaultName, embedded.VaultPort)
	if _, err := orchestrator.Init(ctx, d.policy, parts(d.policy), orchestrator.Options{Command: "demo", Actor: actor()}); err != nil {
		return err
	}
	err = d.execute(ctx, d.policy, "demo", slog.New(slog.NewTextHandler(io.Discard, nil)), d.nights)
	if err != nil {
		return err
	}
	return d.verdict()
}

func (d *demo) nights(ctx context.Context, s *orchestrator.Site) error {
	if err := s.Settle(ctx); err != nil {
		return err
	}
	if err := d.night(ctx, s, "The first night"); err != nil {
		return err
	}
	if err := d.hospital.SecondNight(); err != nil {
		return err
	}
	if err := d.night(ctx, s, "The second night: files have grown, come and gone"); err != nil {
		return err
	}
	if err := d.restore(ctx, s); err != nil {
		return err
	}
	return d.ledger(ctx)
}

// night gathers, and holds a window.
func (d *demo) night(ctx context.Context, s *orchestrator.Site, title string) error {
	d.say("\n%s", title)
	by := orchestrator.Caller{Actor: "schedule", Reason: "demo"}
	silent := func(orchestrator.Progress) {}
	gathered, err := s.Gather(ctx, nil, by, silent)
	if err != nil {
		return err
	}
	for _, g := range gathered {
		d.say("  gathered  %s", g)
	}
	before := len(d.hospital.Ports())
	record, err := s.Window(ctx, embedded.VaultName, by, silent)
	if err != nil {
		return err
	}
	d.say("  door      opened, %d blobs, %s sent, shut: open for %.0f ms; proven shut %.0f ms later", record.Blobs, orchestrator.Size(record.Bytes), record.Exposure*1000, record.Proof*1000)
	d.say("  vault     generation %d, sha256 %.16s…", record.Generation, record.Hash)
	d.ports(record, d.hospital.Ports()[before:])
	return nil
}

// ports holds a window's record against what the ports really did.
func (d *demo) ports(r orchestrator.WindowRecord, really []embedded.Transition) {
	up := map[string]bool{embedded.DepartmentsPort: true}
	both := false
	var opened, shut time.Time
	for _, t := range really {
		up[t.Port] = t.Up
		both = both || up[embedded.VaultPort] && up[embedded.DepartmentsPort]
		if t.Port == embedded.VaultPort && t.Up {
			opened = t.At
		} else if t.Port == embedded.VaultPort {
			shut = t.At
		}
	}
	d.check(!both, "the vault's port and the departments' port were never up together")
	d.check(!opened.IsZero() && !shut.IsZero(), "the vault's port really went up, and down")
	d.check(!r.OpenedAt.After(opened) && !r.ShutAt.Before(shut), "the port was really up for %.0f ms, within what the record says", shut.Sub(opened).Seconds()*1000)
	d.check(up[embedded.DepartmentsPort] && !up[embedded.VaultPort], "afterwards the departments' port is up, and the vault's is down")
}

// restore restores every system from both sides and compares it byte for byte.
func (d *demo) restore(ctx context.Context, s *orchestrator.Site) error {
	d.say("\nRestoring")
	by := orchestrator.Caller{Actor: actor(), Reason: "demo"}
	for i, system := range d.hospital.Systems {
		from := ""
		if i == 0 {
			from = embedded.VaultName
		}
		to := filepath.Join(d.dir, "restored", system.Name)
		done, err := s.Restore(ctx, orchestrator.Restore{System: system.Name, To: to, From: from}, by, func(orchestrator.Progress) {})
		if err != nil {
			return err
		}
		files, difference, err := departments.Same(system.Dir, to, d.policy.Systems[system.Name].Exclude)
		if err != nil {
			return err
		}
		where := "the repository"
		if from != "" {
			where = fmt.Sprintf("the vault, whose door was open for %.0f ms", done.Window.Exposure*1000)
		}
		d.check(difference == "", "%s from %s: %d files equal the source, names, bytes and times %s", system.Name, where, files, difference)
	}
	return nil
}

// ledger counts what the log says.
func (d *demo) ledger(ctx context.Context) (err error) {
	r, err := orchestrator.OpenLedger(ctx, d.policy.State)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	counts := map[ledger.Kind]int{}
	var entries, next int64 = 0, 1
	open := 0
	for e, err := range r.Entries(ctx, ledger.Filter{}) {
		if err != nil {
			return err
		}
		entries++
		d.expect(e.Seq == next, "entry %d follows entry %d", e.Seq, next-1)
		next = e.Seq + 1
		counts[e.Kind]++
		if e.Door == embedded.VaultDoor && e.To == "open" {
			open++
		}
	}
	d.say("\nThe ledger")
	d.say("  %d entries: %d of doors, %d of windows, %d of gatherings, %d of restores", entries, counts[ledger.KindDoor], counts[ledger.KindWindow], counts[ledger.KindGather], counts[ledger.KindRestore])
	really := 0
	for _, t := range d.hospital.Ports() {
		if t.Port == embedded.VaultPort && t.Up {
			really++
		}
	}
	d.check(open == really, "the vault's port really opened %d times, and the ledger has %d openings", really, open)
	d.check(counts[ledger.KindAlarm] == 0, "no alarm was raised")
	return nil
}

func (d *demo) verdict() error {
	if len(d.untrue) > 0 {
		return fmt.Errorf("the demonstration failed: %s", strings.Join(d.untrue, "; "))
	}
	d.say("\nAll of this was true, in %.1f s. Look at your own switch next: airlock ports SWITCH", time.Since(d.began).Seconds())
	return nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// check says whether something is true.
func (d *demo) check(ok bool, format string, args ...any) {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	mark := "✓"
	if !ok {
		mark = "✗ NOT TRUE:"
		d.untrue = append(d.untrue, text)
	}
	d.say("  %s %s", mark, text)
}

// expect is a check that is not worth a line while it holds.
func (d *demo) expect(ok bool, format string, args ...any) {
	if !ok {
		d.check(false, format, args...)
	}
}
