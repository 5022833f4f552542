package main

import (
	"context"
	"errors"
	"strings"

	"airlock/orchestrator"
	"airlock/policies"
	"airlock/vault/server"

	"github.com/spf13/cobra"
)

func (a *app) vaultGenerationsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "generations",
		Short: "List the generations, and by which rules they are kept",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.hosting(c, func(ctx context.Context, p *policies.VaultHost, h *server.Host) error {
				all, err := h.Generations(ctx)
				if err != nil {
					return err
				}
				strange := h.Same(ctx) // what lies in another folder is told all the same
				if all == nil {
					all = []server.Standing{}
				}
				if a.json {
					return errors.Join(strange, a.printJSON(all))
				}
				if len(all) > 0 {
					return errors.Join(strange, a.printGenerations(all))
				}
				if strange == nil {
					a.print("The vault holds no generation yet.")
				}
				return strange
			})
		},
	}
	a.jsonFlag(c)
	return c
}

func (a *app) printGenerations(all []server.Standing) error {
	var t table
	t.row(a.text("GENERATION"), a.text("ARRIVED"), a.text("BLOBS"), a.text("SIZE"), a.text("KEPT AS"))
	for _, g := range all {
		kept := strings.Join(g.Kept, ", ")
		switch {
		case g.Amiss != "":
			kept = a.text("does not count: %s", g.Amiss)
		case g.Lacks > 0:
			kept += a.text("; DAMAGED: %s", a.count(g.Lacks, "%d blob", "%d blobs"))
		case kept == "":
			kept = a.text("no rule: the next prune drops it")
		}
		t.row(g.Number, g.Arrived.Format(timeLayout), g.Blobs, orchestrator.Size(g.Bytes), kept)
	}
	return t.print(a.out, "")
}
