package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"airlock/guard"
	"airlock/lease"
	"airlock/ledger"
	"airlock/notice"
	"airlock/orchestrator"
	"airlock/policies"
	"airlock/switchctl"
	"airlock/switchctl/cli"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"
)

func (a *app) guardCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "guard",
		Short: "Run the dead man's switch: shut a vault's door when its executor is gone",
		Long: "Run the dead man's switch until SIGINT, SIGTERM or SIGQUIT, beside serve and as a service of its own. " +
			"Whatever becomes of the executor, a vault's door that stands open without a valid lease is shut. The guard opens nothing.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a.signals.stay()
			spare()
			p, err := a.policy()
			if err != nil {
				return err
			}
			if err := a.refuseExposed(p); err != nil {
				return err
			}
			log := a.logger()
			a.stays(c.Context(), log, soundSite, nil)
			conf := guard.Config{Policy: p, Switch: readSwitch, Log: log, Version: a.version, File: a.read.File}
			release, doubt, err := guard.Alone(p)
			if err != nil {
				return err
			}
			defer release()
			if doubt != nil {
				log.Error("ALARM two guards may run with one ledger", "why", doubt)
			}
			own, key, err := openGuardLedger(c.Context(), p, log)
			if err != nil { // S2: doors are shut all the same
				log.Error("ALARM the guard's ledger cannot be opened; only this log tells what it does", "error", err)
				return guard.Run(c.Context(), conf)
			}
			conf.Journal, conf.Key, conf.Present = own, key, own.Present
			if doubt != nil {
				own.Note(ledger.Entry{Time: time.Now(), Kind: ledger.KindAlarm, Actor: "guard", Reason: notice.TwoGuards.Of().What + ": " + doubt.Error()})
			}
			conf.Own = func(ctx context.Context, door string) (lease.Port, bool) {
				return guard.OwnPort(ctx, &own.Reader, door)
			}
			if conf.Alarms, err = guard.Alarms(c.Context(), &own.Reader); err != nil {
				log.Warn("the guard's alarms of before are in its ledger alone", "error", err)
			}
			conf.Sign = func(ctx context.Context) (string, error) {
				head, err := own.Checkpoint(ctx)
				return head.Note, err
			}
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

// openGuardLedger opens the guard's own ledger, which a key of its own signs: the guard is
// there to catch what the executor does.
func openGuardLedger(ctx context.Context, p policies.Policy, log *slog.Logger) (*ledger.Ledger, note.Signer, error) {
	path := p.Guard.Ledger
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, fmt.Errorf("folder of the guard's ledger: %w", err)
	}
	key, made, err := ledger.OwnKey(path, p.Site+"-guard")
	if err != nil {
		return nil, nil, err
	}
	_, file := ledger.KeyFiles(path)
	if made {
		log.Info("the guard's ledger has a key now; keep its public half with the recovery kit", "file", file)
	}
	if public, err := os.ReadFile(file); err == nil { // else nobody is told it just now
		log.Info("the guard's key, for guard.key in the executor's policy file", "key", strings.TrimSpace(string(public)))
	}
	l, err := ledger.Open(ctx, path, ledger.Options{Signer: key})
	if errors.Is(err, ledger.ErrDamaged) {
		moved, _, aside := ledger.SetAside(path, err)
		if aside != nil {
			return nil, nil, errors.Join(err, aside)
		}
		log.Error("ALARM the guard's ledger was damaged, and a new one was begun", "error", err, "kept", moved)
		l, err = ledger.Open(ctx, path, ledger.Options{Signer: key})
	}
	return l, key, err
}
