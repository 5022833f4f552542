package main

import (
	"fmt"

	"airlock/orchestrator"

	"github.com/spf13/cobra"
)

func (a *app) auditArchiveCommand() *cobra.Command {
	var before, reason string
	c := &cobra.Command{
		Use:   "archive",
		Short: "Move old entries out of the ledger into a sealed file beside it",
		Long:  "Move the entries from before a time out of the ledger into a sealed file, in the folder archive in the state folder. Their hashes stay, so that the whole ledger verifies as before; audit list, report, export and verify read the file as long as it is there. Keep a copy elsewhere. It never happens by itself, and not while serve runs.",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			until, err := parseSince(before, p.Timezone.Location)
			if err != nil {
				return err
			}
			if until.IsZero() || reason == "" {
				return fmt.Errorf("%w: say --before which time, and --reason why, for the ledger", errUsage)
			}
			keys, err := publicKeys(p)
			if err != nil {
				return err
			}
			by := orchestrator.Caller{Actor: actor(), UID: person(), Reason: reason}
			made, err := orchestrator.ArchiveLedger(c.Context(), p, until, by, a.exportHeader(p), keys[0])
			if err != nil {
				return err
			}
			a.print("entries %d to %d are in %s now, SHA-256 %s", made.First, made.Last, made.File, made.SHA256)
			return nil
		},
	}
	c.Flags().StringVar(&before, "before", "", "entries that happened before this `time`; a day counts from its beginning")
	c.Flags().StringVar(&reason, "reason", "", "why, for the ledger; needed")
	return c
}
