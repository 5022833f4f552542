package main

import (
	"fmt"
	"path/filepath"
	"time"

	"airlock/orchestrator"

	"github.com/spf13/cobra"
)

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
			return answer(a, c, p, orchestrator.Order{Verb: "restore", Restore: &r, Caller: orchestrator.Caller{Reason: reason}},
				func(out orchestrator.Outcome) *orchestrator.Restored { return out.Restored },
				func(r orchestrator.Restored) { a.printRestored(r, p.Timezone.Location) })
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

func (a *app) printRestored(r orchestrator.Restored, zone *time.Location) {
	if r.Result == "done" || r.Result == "in part" {
		a.print("%s as of %s restored to %s: %s, %s, in %.1f s", r.System, r.Taken.In(zone).Format(timeLayout), r.To,
			a.count(int(r.Files), "%d file", "%d files"), orchestrator.Size(r.Bytes), r.Elapsed)
	}
	switch {
	case r.Number > 0 && r.Drill:
		a.print("from generation %d of %s: %s, %s, came through the door; a drill takes nothing from the repository", r.Number, r.From,
			a.count(r.Fetched, "%d blob", "%d blobs"), orchestrator.Size(r.FetchedBytes))
	case r.Number > 0:
		a.print("from generation %d of %s: %s, %s, came through the door; the repository had the rest", r.Number, r.From,
			a.count(r.Fetched, "%d blob", "%d blobs"), orchestrator.Size(r.FetchedBytes))
	}
	a.printLacks(r.Lacks)
	if r.RTOMet != nil && r.Complete {
		a.print("its RTO is %s", a.words.tell(map[bool]string{true: "met", false: "NOT MET"}[*r.RTOMet]))
	}
	if r.NotDone > 0 {
		a.print("%d of %d files restored; not restored, or not as they were: %s", r.Files, r.Wanted, a.count(int(r.NotDone), "%d name", "%d names"))
		a.printFailed(r.Failed, r.NotDone)
	}
	if r.List != "" {
		a.print("all of them: %s", r.List)
	}
	a.printWindows(r.Windows)
}
