package main

import (
	"context"
	"errors"

	"airlock/ledger"
	"airlock/orchestrator"
	"airlock/policies"

	"github.com/spf13/cobra"
)

func (a *app) auditCommand() *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "Read the ledger, and report what it holds", Args: cobra.ArbitraryArgs, RunE: subcommand}
	c.AddCommand(a.auditListCommand(), a.auditVerifyCommand(), a.auditExportCommand(), a.auditArchiveCommand(), a.auditReportCommand(), a.auditRenewCommand())
	return c
}

// errNoLedger: the site was not made yet.
var errNoLedger = errors.New("there is no ledger yet; airlock init makes it")

// openLedger opens the site's ledger, or another one, for reading; nil if the site has
// none yet.
func openLedger(ctx context.Context, p policies.Policy, file string) (*ledger.Reader, error) {
	if file != "" {
		return ledger.OpenReader(ctx, file)
	}
	return orchestrator.OpenLedger(ctx, p.State)
}
