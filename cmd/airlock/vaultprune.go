package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"airlock/orchestrator"
	"airlock/policies"
	"airlock/vault/server"

	"github.com/spf13/cobra"
)

func (a *app) vaultPruneCommand() *cobra.Command {
	var o server.PruneOptions
	var strays bool
	var s server.StrayOptions
	c := &cobra.Command{
		Use:   "prune",
		Short: "Drop the generations that no rule keeps, and the blobs that no generation lists",
		Long:  "Drop the generations that no rule keeps, and the blobs that no generation lists. With --strays it is a person's decision instead: what arrived after a generation that is known to be good, and belongs to none, is dropped; what a generation of the site lists never is.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.hosting(c, func(ctx context.Context, p *policies.VaultHost, h *server.Host) error {
				if strays {
					s.Brake, s.Try = o.Brake, o.Try
					return a.dropStrays(ctx, h, s)
				}
				if s.Since != 0 || s.Reason != "" {
					return fmt.Errorf("%w: --since and --reason go with --strays", errUsage)
				}
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
	c.Flags().IntVar(&o.Brake, "brake", 0, "drop up to so many generations this once; with --strays, files")
	c.Flags().BoolVar(&o.ClockRight, "clock-is-right", false, "the clock was looked at, and is right")
	c.Flags().BoolVar(&o.LineRight, "generations-are-right", false, "the generations were compared with those that the site knows, and all are its own")
	c.Flags().BoolVar(&o.Try, "dry-run", false, "only say what would be done, generation by generation")
	c.Flags().BoolVar(&strays, "strays", false, "drop what arrived after generation --since and belongs to none")
	c.Flags().Int64Var(&s.Since, "since", 0, "the newest generation that is known to be good")
	c.Flags().StringVar(&s.Reason, "reason", "", "why; the ledger keeps it")
	return c
}

// dropStrays has strays dropped, or only says which would be.
func (a *app) dropStrays(ctx context.Context, h *server.Host, o server.StrayOptions) error {
	if o.Since < 1 || o.Reason == "" && !o.Try {
		return fmt.Errorf("%w: say --since which generation, and --reason why, for the ledger; --dry-run shows what would go", errUsage)
	}
	r, err := h.DropStrays(ctx, o)
	if a.json {
		return errors.Join(err, a.printJSON(r))
	}
	if err != nil && !errors.Is(err, server.ErrHeld) {
		return err
	}
	if r.Try || err != nil {
		for _, name := range r.Names {
			a.print("  %s", name)
		}
		if more := r.Files - len(r.Names); more > 0 {
			a.print("  and %s more", a.count(more, "%d file", "%d files"))
		}
		a.print("would remove %s, %s, that came since generation %d and belong to none", a.count(r.Files, "%d file", "%d files"), orchestrator.Size(r.Bytes), r.Since)
		return err
	}
	a.print("removed %s, %s, that came since generation %d and belonged to none", a.count(r.Files, "%d file", "%d files"), orchestrator.Size(r.Bytes), r.Since)
	return nil
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
	if w := r.Waiting; w.Files > 0 {
		a.print("%s, %s, came since generation %d and belong to none: a window was cut, and the next one counts on them, or they are somebody else's", a.count(w.Files, "%d file", "%d files"), orchestrator.Size(w.Bytes), w.Since)
	}
	if r.Room == nil || *r.Room > int64(p.Quota)/20 {
		return nil
	}
	a.print("The quota of %s leaves %s: windows fail for want of room.", p.Quota, orchestrator.Size(max(0, *r.Room)))
	if w := r.Waiting; w.Files > 0 {
		a.print("See what came since generation %d: airlock vault prune --strays --since %d --dry-run; with --reason TEXT instead it is dropped.", w.Since, w.Since)
		return nil
	}
	if r.Strays > 0 {
		a.print("See what airlock knows nothing of: airlock vault prune --strays --since %d --dry-run; with --reason TEXT instead it is dropped.", r.Waiting.Since)
		return nil
	}
	a.print("All that is here belongs to generations: give the vault a larger quota, or a smaller keep.")
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
