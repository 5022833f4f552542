package main

import (
	"fmt"
	"strings"
	"time"

	"airlock/orchestrator"

	"github.com/spf13/cobra"
)

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
