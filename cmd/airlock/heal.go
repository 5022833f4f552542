package main

import (
	"fmt"

	"airlock/orchestrator"

	"github.com/spf13/cobra"
)

func (a *app) healCommand() *cobra.Command {
	var h orchestrator.Heal
	var reason string
	c := &cobra.Command{
		Use:   "heal --from VAULT",
		Short: "Fetch good copies of the repository's damaged and missing blobs back from a vault",
		Long:  "Fetch good copies of the repository's damaged and missing blobs back from a vault. The whole repository is read first, with the doors shut; what is replaced is kept aside. With --roll-back it becomes what it was at that generation, also where its folder is gone.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			if h.From == "" {
				return fmt.Errorf("%w: say from which vault: --from VAULT", errUsage)
			}
			return answer(a, c, p, orchestrator.Order{Verb: "heal", Heal: &h, Caller: orchestrator.Caller{Reason: reason}},
				func(out orchestrator.Outcome) *orchestrator.Healed { return out.Healed }, a.printHealed)
		},
	}
	a.jsonFlag(c)
	a.generationFlags(c, &h.From, &h.Generation)
	c.Flags().BoolVar(&h.RollBack, "roll-back", false, "put the repository back to that generation, and make it anew if it is gone; what was written since is kept aside")
	c.Flags().BoolVar(&h.DryRun, "dry-run", false, "say what is damaged and what would be fetched, and change nothing")
	c.Flags().StringVar(&reason, "reason", "", "why, for the ledger; needed to open the door")
	return c
}

func (a *app) printHealed(h orchestrator.Healed) {
	if h.Number == 0 {
		a.printWindows(h.Windows)
		return
	}
	a.print("the repository: %s read, of which %s missing or damaged", a.count(h.Read, "%d blob", "%d blobs"), a.count(len(h.Damaged), "%d blob", "%d blobs"))
	for _, d := range h.Damaged[:min(len(h.Damaged), namedFiles)] {
		fmt.Fprintf(a.out, "  %s\n", plain(d.What))
	}
	if more := len(h.Damaged) - namedFiles; more > 0 {
		a.print("  and %d more", more)
	}
	blobs := a.count(h.Blobs, "%d blob", "%d blobs")
	if h.DryRun {
		a.print("from generation %d of %s: %s would be fetched, %s; %d would be removed", h.Number, h.From, blobs, orchestrator.Size(h.Bytes), h.Removed)
	} else {
		a.print("from generation %d of %s: %s fetched, %s; %d set aside, %d removed", h.Number, h.From, blobs, orchestrator.Size(h.Bytes), len(h.Aside), h.Removed)
	}
	a.printLacks(h.Lacks)
	a.printWindows(h.Windows)
}
