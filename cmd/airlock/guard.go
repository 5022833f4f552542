package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"airlock/guard"
	"airlock/ledger"

	"github.com/spf13/cobra"
)

func (a *app) guardCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "guard",
		Short: "Run the dead man's switch: shut a vault's door when its executor is gone",
		Long: "Run the dead man's switch until SIGINT or SIGTERM, beside serve and as a service of its own. " +
			"Whatever becomes of the executor, a vault's door that stands open without a valid lease is shut. The guard opens nothing.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			log := slog.New(slog.NewTextHandler(a.errs, nil))
			conf := guard.Config{Policy: p, Switch: readSwitch, Log: log, Version: a.version}
			own, err := openGuardLedger(c.Context(), p.Guard.Ledger)
			if err != nil { // S2: doors are shut all the same
				log.Error("ALARM the guard's ledger cannot be opened; only this log tells what it does", "error", err)
				return guard.Run(c.Context(), conf)
			}
			conf.Journal = own
			return errors.Join(guard.Run(c.Context(), conf), own.Close())
		},
	}
}

func openGuardLedger(ctx context.Context, path string) (*ledger.Ledger, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("folder of the guard's ledger: %w", err)
	}
	return ledger.Open(ctx, path)
}
