package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"airlock/console"
	"airlock/orchestrator"
	"airlock/policies"

	"github.com/spf13/cobra"
)

func (a *app) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the orchestrator: gather and hold windows on schedule",
		Long:  "Run the orchestrator until SIGINT, SIGTERM or SIGQUIT; SIGHUP looks whether the policy file has changed, which takes effect at the next start. On start every door is read back and, where it should be, shut, before anything else runs.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a.signals.stay()
			p, err := a.policy()
			if err != nil {
				return err
			}
			log := a.logger()
			return a.execute(c.Context(), p, "serve", log, func(ctx context.Context, s *orchestrator.Site) error {
				a.stays(ctx, log, soundSite, s.Raise)
				return a.serve(ctx, p, s, log)
			})
		},
	}
}

func (a *app) serve(ctx context.Context, p policies.Policy, s *orchestrator.Site, log *slog.Logger) error {
	ended := make(chan error, 1)
	serving, stop := context.WithCancel(ctx)
	defer stop()
	if p.Status.Listen != "" {
		l, err := net.Listen("tcp", p.Status.Listen)
		if err != nil {
			return fmt.Errorf("status address %s: %w", p.Status.Listen, err)
		}
		log.Info("status", "address", "http://"+l.Addr().String()+"/v1/status")
		go func() { ended <- console.ServePolls(serving, l, console.PollHandler(s, statusHosts(p))) }()
	} else {
		ended <- nil
	}
	if err := s.Settle(ctx); errors.Is(err, orchestrator.ErrNotShut) {
		log.Error("a door is not proven shut; trying on", "error", err)
	} else if err == nil {
		log.Info("every door was read back and is where it belongs")
	}
	log.Info("serving", "site", p.Site, "systems", len(p.Systems), "vaults", len(p.Vaults))
	err := s.Serve(ctx)
	log.Info("ending: doors first")
	stop()
	if ctx.Err() != nil {
		err = nil // it was told to end
	}
	return errors.Join(err, <-ended)
}
