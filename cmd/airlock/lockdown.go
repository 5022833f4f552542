package main

import (
	"errors"
	"time"

	"airlock/lease"
	"airlock/orchestrator"

	"github.com/spf13/cobra"
)

func (a *app) lockdownCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "lockdown --reason TEXT",
		Short: "Shut every door now, end every window, and open nothing until it is released",
		Long: "Shut every door now, the departments' as well, end every window, and open nothing, across restarts, until another person runs release. " +
			"It stands from the moment when it is written down, even if the executor does not answer: the guard then shuts the vaults' doors.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.policyAnywayFor(reason)
			if err != nil {
				return err
			}
			by := orchestrator.Caller{Actor: actor(), UID: person(), Reason: reason}
			a.sayAmiss()
			written := lease.Lock(p.State, lease.Lockdown{At: time.Now(), By: by.Actor, UID: by.UID, Reason: reason})
			out, err := a.order(c.Context(), p, orchestrator.Order{Verb: "lockdown", Caller: by})
			if a.json {
				return errors.Join(err, a.printJSON(map[string]any{"locked": written == nil, "shut": err == nil, "doors": out.Shut}))
			}
			a.printShut(out.Shut)
			if err == nil {
				a.print("Another person ends it with: airlock release --reason TEXT")
				return nil
			}
			if written == nil {
				a.print("the lockdown stands, and nothing is opened; what its doors are, this error says")
			}
			return errors.Join(err, written)
		},
	}
	a.jsonFlag(c)
	a.stateFlag(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the ledger; needed")
	return c
}
