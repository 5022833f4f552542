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
	"airlock/orchestrator"
	"airlock/policies"
	"airlock/switchctl"
	"airlock/switchctl/cli"

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
			conf.Switch = recordedSwitch(filepath.Join(filepath.Dir(p.Guard.Ledger), "sessions"), own)
			return errors.Join(guard.Run(c.Context(), conf), own.Close())
		},
	}
}

// recordedSwitch makes sessions whose recordings lie in dir, and their hashes in l.
func recordedSwitch(dir string, l *ledger.Ledger) func(context.Context, policies.Switch) (switchctl.Switch, error) {
	return func(ctx context.Context, s policies.Switch) (switchctl.Switch, error) {
		return openSwitch(ctx, s, cli.Sessions{Dir: dir, Switch: s.Address, Recorded: func(r cli.Recording) {
			l.Note(orchestrator.Recording(r).Entry("guard", s.Address))
		}})
	}
}

func openGuardLedger(ctx context.Context, path string) (*ledger.Ledger, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("folder of the guard's ledger: %w", err)
	}
	return ledger.Open(ctx, path, ledger.Options{})
}
