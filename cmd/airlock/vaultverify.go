package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airlock/orchestrator"
	"airlock/policies"
	"airlock/vault/server"

	"github.com/spf13/cobra"
)

func (a *app) vaultVerifyCommand() *cobra.Command {
	var budget time.Duration
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read the vault back from its disk and compare every hash",
		Long:  "Read the vault back from its disk and compare every hash, what was not read for longest first. A run that ends early is carried on by the next. What is damaged is told to the site with the next receipt, and sent again if the site still has it.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.hosting(c, func(ctx context.Context, p *policies.VaultHost, h *server.Host) error {
				watch, end := a.progress()
				report, err := h.Verify(ctx, server.VerifyOptions{Budget: budget, Progress: func(v server.VerifyProgress) {
					watch(orchestrator.Progress{Task: "verify", Stage: "reading back", Files: int64(v.Files), TotalFiles: int64(v.FilesTotal), Bytes: v.Bytes, TotalBytes: v.BytesTotal})
				}})
				end()
				return a.printVaultVerified(p, report, err)
			})
		},
	}
	a.jsonFlag(c)
	c.Flags().DurationVar(&budget, "budget", 0, "stop after this time, such as 30m; the next run carries on")
	return c
}

func (a *app) printVaultVerified(p *policies.VaultHost, r server.VerifyReport, err error) error {
	switch {
	case a.json:
		err = errors.Join(err, a.printJSON(r))
	case !r.Began.IsZero(): // else nothing was read
		a.print("%s read back, %s; %s left of this round, which began %s", a.count(r.Files, "%d file", "%d files"), orchestrator.Size(r.Bytes), a.count(r.Left, "%d file", "%d files"), r.Began.In(p.Timezone.Location).Format(timeLayout))
		for _, d := range r.Damaged {
			a.print("DAMAGED %s: %s", d.File, d.What)
		}
	}
	switch {
	case err != nil:
		return err
	case len(r.Damaged) > 0:
		return fmt.Errorf("files of the vault that are damaged: %d; the next window asks the site for them, and until then older generations may lack them", len(r.Damaged))
	case r.Overdue:
		return fmt.Errorf("%w: a file was not read since %s, and read_all says %s; give verify a longer --budget, or run it more often", orchestrator.ErrInPart, r.Oldest.In(p.Timezone.Location).Format(timeLayout), p.ReadAll)
	}
	return nil
}
