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

func (a *app) vaultPruneCommand() *cobra.Command {
	var o server.PruneOptions
	c := &cobra.Command{
		Use:   "prune",
		Short: "Drop the generations that no rule keeps, and the blobs that no generation lists",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.hosting(c, func(ctx context.Context, p *policies.VaultHost, h *server.Host) error {
				r, err := h.Prune(ctx, o)
				if a.json {
					return errors.Join(err, a.printJSON(r))
				}
				if err != nil && !(r.Try && errors.Is(err, server.ErrHeld)) {
					return err
				}
				return errors.Join(a.printPruned(p, r), err)
			})
		},
	}
	a.jsonFlag(c)
	c.Flags().IntVar(&o.Brake, "brake", 0, "drop up to so many generations this once")
	c.Flags().BoolVar(&o.ClockRight, "clock-is-right", false, "the clock was looked at, and is right")
	c.Flags().BoolVar(&o.LineRight, "generations-are-right", false, "the generations were compared with those that the site knows, and all are its own")
	c.Flags().BoolVar(&o.Try, "dry-run", false, "only say what would be done, generation by generation")
	return c
}

func (a *app) printPruned(p *policies.VaultHost, r server.PruneReport) error {
	if !r.Try {
		a.print("dropped %s, and removed %s, %s; %s kept", a.count(len(r.Dropped), "%d generation", "%d generations"), a.count(r.Blobs, "%d file", "%d files"), orchestrator.Size(r.Bytes), a.count(r.Kept, "%d generation", "%d generations"))
	} else {
		if err := a.printWouldGo(p, r); err != nil {
			return err
		}
		a.print("would drop %s, and remove %s, %s; %s kept", a.count(len(r.Dropped), "%d generation", "%d generations"), a.count(r.Blobs, "%d file", "%d files"), orchestrator.Size(r.Bytes), a.count(r.Kept, "%d generation", "%d generations"))
	}
	if n := len(r.Unsigned); n > 0 {
		a.print("%s in the place of generations that the site has not signed: of no use, and gone once they are older than min_age", a.count(n, "%d file", "%d files"))
	}
	if r.Strays > 0 {
		a.print("%s that airlock knows nothing of: look at them", a.count(r.Strays, "%d file", "%d files"))
	}
	return nil
}

// printWouldGo lists all generations, and which of them a prune would drop.
func (a *app) printWouldGo(p *policies.VaultHost, r server.PruneReport) error {
	if len(r.Dropped) == 0 {
		return nil
	}
	var t table
	a.heading(&t, "GENERATION", "ARRIVED", "KEPT AS")
	for _, f := range r.Fate {
		kept := strings.Join(f.Kept, ", ")
		if kept == "" {
			kept = a.text("would go")
		}
		t.row(f.Number, f.Arrived.In(p.Timezone.Location).Format(timeLayout), kept)
	}
	return t.print(a.out, "")
}
