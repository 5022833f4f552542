package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"airlock/console"
	"airlock/orchestrator"
	"airlock/orchestrator/doors"
	"airlock/policies"

	"github.com/spf13/cobra"
)

// busyFor is how long a command waits for an executor that is only just starting, or
// ending.
const busyFor = 10 * time.Second

// order has an order carried out: by the executor that runs, or by this process, which
// then is the executor for as long as that takes.
func (a *app) order(ctx context.Context, p policies.Policy, o orchestrator.Order) (orchestrator.Outcome, error) {
	o.Actor, o.UID, o.Site = actor(), person(), p.Site
	watch, end := a.detached()
	defer end()
	for began := time.Now(); ; {
		remote, err := console.Connect(ctx, console.SocketPath(p.State))
		if err == nil {
			out, err := remote.Do(ctx, o, watch)
			if err == nil || !strings.HasPrefix(err.Error(), orchestrator.ErrOtherSite.Error()) { // which says it all
				a.sayRuns(p, out.Runs)
			}
			return out, err
		}
		out, err := a.orderHere(ctx, p, o, watch)
		if !errors.Is(err, orchestrator.ErrBusy) || time.Since(began) > busyFor {
			return out, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return out, err
		}
	}
}

func (a *app) orderHere(ctx context.Context, p policies.Policy, o orchestrator.Order, watch orchestrator.Watch) (orchestrator.Outcome, error) {
	var out orchestrator.Outcome
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	err := a.execute(ctx, p, o.Verb, quiet, func(ctx context.Context, s *orchestrator.Site) error {
		watch(orchestrator.Progress{Task: "start-up", Stage: "reading the doors"})
		notShut := s.Settle(ctx) // S5: before anything else
		if errors.Is(notShut, orchestrator.ErrNotShut) {
			for _, line := range errorLines(notShut) {
				watch(orchestrator.Progress{Task: "start-up", Text: "ALARM " + line})
			}
		} else if notShut != nil {
			return notShut
		}
		var err error
		watch(orchestrator.Progress{Task: "start-up", Stage: "done"})
		out, err = s.Do(ctx, o, watch)
		return err
	})
	return out, err
}

// execute makes this process the site's executor while f runs. The doors are where
// they belong, or known to be stuck, when it returns.
func (a *app) execute(ctx context.Context, p policies.Policy, command string, log *slog.Logger, f func(context.Context, *orchestrator.Site) error) error {
	if command != "shut" && command != "lockdown" { // S2
		if err := a.refuseExposed(p); err != nil {
			return err
		}
	}
	drivers := parts(p)
	if command != "demo" { // whose switch ends with it
		drivers.Watcher = func(ctx context.Context, door, window string) (doors.Watcher, error) {
			return a.watcher(ctx, p, door, window)
		}
	}
	s, err := orchestrator.Open(ctx, p, drivers, orchestrator.Options{Command: command, Actor: actor(), Version: a.version, File: a.read.File, Log: log})
	if err != nil {
		return err
	}
	if a.yaml != nil {
		if err := rememberPolicy(p.State, a.yaml); err != nil {
			log.Warn("a policy file that is broken would keep people from shutting doors", "error", err)
		}
	}
	l, err := console.Listen(console.SocketPath(p.State))
	if err != nil && (command == "shut" || command == "lockdown") {
		return errors.Join(f(ctx, s), s.End(), err, s.Close()) // S2: nobody is told how it goes, and doors are shut
	}
	if err != nil {
		return errors.Join(err, s.Close())
	}
	// The socket answers until the doors are shut, so it outlives ctx; and it is gone
	// before the site is given back, lest it be another's.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- console.Serve(serving, l, console.OrderHandler(s)) }()
	err = errors.Join(f(ctx, s), s.End())
	stop()
	return errors.Join(err, <-ended, console.Remove(p.State), s.Close())
}

func (a *app) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the orchestrator: gather and hold windows on schedule",
		Long:  "Run the orchestrator until SIGINT, SIGTERM or SIGQUIT; SIGHUP looks whether the policy file has changed, which takes effect at the next start. On start every door is read back and, where it should be, shut, before anything else runs.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a.signals.stay()
			p, err := a.policy()
			if err != nil {
				return err
			}
			log := a.logger()
			return a.execute(c.Context(), p, "serve", log, func(ctx context.Context, s *orchestrator.Site) error {
				a.stays(ctx, log, soundSite, s.Raise)
				return a.serve(ctx, p, s, log)
			})
		},
	}
}

func (a *app) serve(ctx context.Context, p policies.Policy, s *orchestrator.Site, log *slog.Logger) error {
	ended := make(chan error, 1)
	serving, stop := context.WithCancel(ctx)
	defer stop()
	if p.Status.Listen != "" {
		l, err := net.Listen("tcp", p.Status.Listen)
		if err != nil {
			return fmt.Errorf("status address %s: %w", p.Status.Listen, err)
		}
		log.Info("status", "address", "http://"+l.Addr().String()+"/v1/status")
		go func() { ended <- console.ServePolls(serving, l, console.PollHandler(s, statusHosts(p))) }()
	} else {
		ended <- nil
	}
	if err := s.Settle(ctx); errors.Is(err, orchestrator.ErrNotShut) {
		log.Error("a door is not proven shut; trying on", "error", err)
	} else if err == nil {
		log.Info("every door was read back and is where it belongs")
	}
	log.Info("serving", "site", p.Site, "systems", len(p.Systems), "vaults", len(p.Vaults))
	err := s.Serve(ctx)
	log.Info("ending: doors first")
	stop()
	if ctx.Err() != nil {
		err = nil // it was told to end
	}
	return errors.Join(err, <-ended)
}

func (a *app) gatherCommand() *cobra.Command {
	var by orchestrator.Caller
	c := &cobra.Command{
		Use:               "gather [SYSTEM…]",
		Short:             "Gather systems into the repository now; all if none is named",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.systemNames,
		RunE: func(c *cobra.Command, names []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			out, err := a.order(c.Context(), p, orchestrator.Order{Verb: "gather", Names: names, Caller: by})
			if a.json {
				return errors.Join(err, a.printJSON(out.Gathered))
			}
			a.printGathered(out.Gathered)
			return err
		},
	}
	a.jsonFlag(c)
	c.Flags().StringVar(&by.Reason, "reason", "by hand", "why, for the ledger")
	c.Flags().IntVar(&by.Brake, "brake", 0, "drop up to so many snapshots of a system this once")
	return c
}

func (a *app) windowCommand() *cobra.Command {
	var by orchestrator.Caller
	c := &cobra.Command{
		Use:               "window [VAULT]",
		Short:             "Open the vault's door, copy what the vault lacks, shut the door and prove it, now",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.vaultNames,
		RunE: func(c *cobra.Command, args []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			name, err := onlyVault(p, args)
			if err != nil {
				return err
			}
			if by.Replaced && !c.Flags().Changed("reason") {
				return fmt.Errorf("%w: --replaced gives generations up: say why, --reason TEXT", errUsage)
			}
			out, err := a.order(c.Context(), p, orchestrator.Order{Verb: "window", Vault: name, Caller: by})
			if a.json {
				return errors.Join(err, a.printJSON(out.Window))
			}
			if out.Window != nil {
				a.printWindow(*out.Window)
			}
			return err
		},
	}
	a.jsonFlag(c)
	c.Flags().StringVar(&by.Reason, "reason", "by hand", "why, for the ledger")
	c.Flags().IntVar(&by.Brake, "brake", 0, "drop up to so many generations this once")
	c.Flags().BoolVar(&by.ClockRight, "clock-is-right", false, "the clock was looked at, and is right")
	c.Flags().BoolVar(&by.Replaced, "replaced", false, "the vault is another one than before, or lost its history, and that is right; needs --reason")
	c.Flags().BoolVar(&by.RoomMade, "room-was-made", false, "the vault has room again, whatever its last receipt says")
	return c
}

// onlyVault is the vault that is named, or the only one there is.
func onlyVault(p policies.Policy, args []string) (string, error) {
	names := keys(p.Vaults)
	switch {
	case len(args) > 0:
		return args[0], nil
	case len(names) == 1:
		return names[0], nil
	case len(names) == 0:
		return "", fmt.Errorf("%w: the policy file names no vault", errUsage)
	}
	return "", fmt.Errorf("%w: name a vault: %s", errUsage, strings.Join(names, ", "))
}

func (a *app) shutCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:               "shut [DOOR…]",
		Short:             "Shut doors and prove them shut; every door if none is named",
		Long:              "Shut doors and prove them shut; every door if none is named. A window in course is ended. An inner door that was shut in this way stays shut until a person opens it again: airlock open DOOR.",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.doorNames,
		RunE: func(c *cobra.Command, names []string) error {
			p, err := a.policyAnyway()
			if err != nil {
				return err
			}
			a.sayAmiss()
			out, err := a.order(c.Context(), p, orchestrator.Order{Verb: "shut", Names: names, Caller: orchestrator.Caller{Reason: reason}})
			if proven(out.Shut) && !errors.Is(err, orchestrator.ErrNotShut) {
				a.unwritten(err)
				err = nil
			}
			if a.json {
				return errors.Join(err, a.printJSON(map[string]any{"shut": err == nil, "doors": out.Shut}))
			}
			a.printShut(out.Shut)
			return err
		},
	}
	a.stateFlag(c)
	a.jsonFlag(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the ledger")
	return c
}

// proven reports whether there are doors, and every one is proven shut.
func proven(doors []orchestrator.ShutDoor) bool {
	return len(doors) > 0 && !slices.ContainsFunc(doors, func(d orchestrator.ShutDoor) bool { return d.State != "shut" })
}

// unwritten says what went wrong beside doors that are proven shut: that is a warning, for
// the proof is what was asked for.
func (a *app) unwritten(err error) {
	if err == nil {
		return
	}
	for _, line := range errorLines(err) {
		fmt.Fprintf(a.errs, "airlock: %s\n", a.text("the doors are shut, but: %s", a.words.tell(line)))
	}
}

// printShut prints the proof of each door.
func (a *app) printShut(doors []orchestrator.ShutDoor) {
	var shut []string
	for _, d := range doors {
		a.print("%s is %s: %s", d.Door, a.words.tell(d.State), a.words.tell(d.Proof))
		if d.State == "shut" {
			shut = append(shut, d.Door)
		}
	}
	if len(shut) > 0 {
		a.print("proven shut: %s", strings.Join(shut, ", "))
	}
}

func (a *app) snapshotsCommand() *cobra.Command {
	var from, generation, reason string
	c := &cobra.Command{
		Use:               "snapshots [SYSTEM]",
		Short:             "List the snapshots in the repository, or in a generation of a vault",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.systemNames,
		RunE: func(c *cobra.Command, names []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			if generation != "" && from == "" {
				return fmt.Errorf("%w: --generation is of a vault: name it with --from VAULT", errUsage)
			}
			out, err := a.order(c.Context(), p, orchestrator.Order{Verb: "snapshots", Names: names, Vault: from, Generation: generation, Caller: orchestrator.Caller{Reason: reason}})
			if err != nil {
				return err
			}
			if a.json {
				if out.Snapshots == nil {
					out.Snapshots = []orchestrator.Snapshot{}
				}
				return a.printJSON(out.Snapshots)
			}
			switch {
			case len(out.Snapshots) == 0 && from == "":
				a.print("there is no snapshot yet; make the first with: airlock gather")
			case len(out.Snapshots) == 0:
				a.print("there is no snapshot in that generation")
			}
			var kept map[string][]string
			if from == "" {
				kept = orchestrator.KeptAs(p, out.Snapshots)
			}
			err = a.printSnapshots(out.Snapshots, kept, p.Timezone.Location)
			a.printWindows(out.Windows)
			return err
		},
	}
	a.jsonFlag(c)
	a.generationFlags(c, &from, &generation)
	c.Flags().StringVar(&reason, "reason", "", "why, for the ledger; needed with --from")
	return c
}

// generationFlags say which generation of which vault.
func (a *app) generationFlags(c *cobra.Command, from, generation *string) {
	c.Flags().StringVar(from, "from", "", "from this `vault`, opening its door")
	c.Flags().StringVar(generation, "generation", "", "which `generation` of the vault: its number, or six digits or more of its hash; the newest if not given")
	a.completeFlag(c, "from", a.vaultNames)
}

// printSnapshots lists snapshots; kept are the rules by which they are, nil in a vault.
func (a *app) printSnapshots(all []orchestrator.Snapshot, kept map[string][]string, zone *time.Location) error {
	if len(all) == 0 {
		return nil
	}
	var t table
	a.heading(&t, "SYSTEM", "TAKEN", "FILES", "SIZE", "ID", "KEPT AS", "")
	for _, s := range all {
		remark := ""
		switch {
		case s.Incomplete:
			remark = a.text("incomplete: its run was cut short")
		case s.Held != "":
			remark = a.text("HELD: %s", a.words.tell(s.Held))
		case s.NotRead > 0:
			remark = a.text("not read: %s", a.count(s.NotRead, "%d file", "%d files"))
		}
		as := strings.Join(kept[s.ID], ", ")
		if rules, known := kept[s.ID]; known && len(rules) == 0 {
			as = a.text("no rule: a gathering drops it")
		}
		t.row(s.System, s.Start.In(zone).Format(timeLayout), s.Files, orchestrator.Size(s.Bytes), s.ID, as, remark)
	}
	return t.print(a.out, "")
}

func (a *app) restoreCommand() *cobra.Command {
	var r orchestrator.Restore
	var reason, at string
	c := &cobra.Command{
		Use:               "restore SYSTEM --to DIR",
		Short:             "Restore a system's files, from the repository or through a vault's door",
		Long:              "Restore a system's files, from the repository or through a vault's door. From a vault, what the repository still has just as the generation lists it need not come through the door; the files are restored while it is shut. The time until the last file is there is held to the system's rto.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.systemNames,
		RunE: func(c *cobra.Command, args []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			r.System = args[0]
			if r.To == "" {
				return fmt.Errorf("%w: say where to: --to DIR", errUsage)
			}
			if r.To, err = filepath.Abs(r.To); err != nil {
				return err
			}
			if r.From == "" && (r.Generation != "" || r.Drill || r.Scratch != "") {
				return fmt.Errorf("%w: --generation, --drill and --scratch are for a vault: name it with --from VAULT", errUsage)
			}
			if r.Scratch != "" {
				if r.Scratch, err = filepath.Abs(r.Scratch); err != nil {
					return err
				}
			}
			if at != "" && r.Snapshot != "" {
				return fmt.Errorf("%w: --at and --snapshot both say which; give one of them", errUsage)
			}
			if r.At, err = parseTime(at, p.Timezone.Location); err != nil {
				return err
			}
			out, err := a.order(c.Context(), p, orchestrator.Order{Verb: "restore", Restore: &r, Caller: orchestrator.Caller{Reason: reason}})
			if a.json {
				return errors.Join(err, a.printJSON(out.Restored))
			}
			if out.Restored != nil {
				a.printRestored(*out.Restored, p.Timezone.Location)
			}
			return err
		},
	}
	a.jsonFlag(c)
	c.Flags().StringVar(&r.To, "to", "", "`folder` to restore to; it must be empty or not exist")
	c.Flags().StringVar(&at, "at", "", "restore the newest snapshot taken no later than this `time` (2026-11-21, 2026-11-21 22:15, RFC 3339)")
	c.Flags().StringVar(&r.Snapshot, "snapshot", "", "restore the snapshot of this `ID`")
	a.generationFlags(c, &r.From, &r.Generation)
	c.Flags().StringArrayVar(&r.Paths, "path", nil, "only this file or folder, by its `path` in the snapshot; may be repeated")
	c.Flags().StringArrayVar(&r.Exclude, "exclude", nil, "leave out what this `glob` matches, as exclude in the policy file; may be repeated")
	c.Flags().BoolVar(&r.Drill, "drill", false, "have everything come through the door, to prove the vault")
	c.Flags().StringVar(&r.Scratch, "scratch", "", "`folder` for what is fetched, until it is restored; the state folder if not given")
	c.Flags().StringVar(&reason, "reason", "", "why, for the ledger; needed with --from")
	return c
}

// named are the names that were given, all there are if none was.
func named[V any](names []string, all map[string]V) []string {
	if len(names) == 0 {
		return keys(all)
	}
	return names
}

// parseTime reads a time as people write it, in the site's zone where they name none.
// A day means its end.
func parseTime(text string, zone *time.Location) (time.Time, error) {
	if t, err := time.ParseInLocation(time.DateOnly, text, zone); err == nil {
		return t.AddDate(0, 0, 1).Add(-time.Nanosecond), nil
	}
	return parseSince(text, zone)
}

// parseSince reads a time like parseTime, where a day means its beginning.
func parseSince(text string, zone *time.Location) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	var ago policies.Duration
	if ago.UnmarshalText([]byte(strings.TrimPrefix(text, "-"))) == nil {
		return time.Now().Add(-time.Duration(ago)), nil
	}
	return time.Time{}, fmt.Errorf("%w: %q is no time; write 2026-11-21, \"2026-11-21 22:15\", 2026-11-21T22:15:00+09:00, or 2h or 7d for so long ago", errUsage, text)
}

func (a *app) verifyCommand() *cobra.Command {
	var vaultName, reason string
	var percent float64
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read the repository, or a vault, back and check it",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			if percent < 0 || percent > 100 {
				return fmt.Errorf("%w: --percent is between 0 and 100", errUsage)
			}
			if !c.Flags().Changed("percent") && vaultName != "" {
				percent = 5 // the door stands open meanwhile
			}
			out, err := a.order(c.Context(), p, orchestrator.Order{Verb: "verify", Vault: vaultName, Sample: percent / 100, Caller: orchestrator.Caller{Reason: reason}})
			switch {
			case a.json:
				return errors.Join(err, a.printJSON(out.Verified))
			case out.Verified != nil:
				a.printVerified(*out.Verified)
			}
			return err
		},
	}
	a.jsonFlag(c)
	c.Flags().StringVar(&vaultName, "vault", "", "verify this `vault`, opening its door")
	a.completeFlag(c, "vault", a.vaultNames)
	c.Flags().Float64Var(&percent, "percent", 100, "part to read back; of a vault 5 if not given")
	c.Flags().StringVar(&reason, "reason", "by hand", "why, for the ledger")
	return c
}
