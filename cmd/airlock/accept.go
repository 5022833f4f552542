package main

import (
	"errors"

	"airlock/orchestrator"

	"github.com/spf13/cobra"
)

func (a *app) acceptCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:               "accept SYSTEM --reason TEXT",
		Short:             "Say that a system's held gathering is right",
		Long:              "Say that a system's held gathering is right, or that its source lies on another disk than before. The snapshot then counts like any other, and later gatherings are compared with it.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.systemNames,
		RunE: func(c *cobra.Command, args []string) error {
			return a.acceptSystem(c, args[0], reason)
		},
	}
	a.jsonFlag(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the ledger; needed")
	return c
}

func (a *app) acceptSystem(c *cobra.Command, system, reason string) error {
	p, err := a.policyFor(reason)
	if err != nil {
		return err
	}
	out, err := a.order(c.Context(), p, orchestrator.Order{Verb: "accept", Names: []string{system}, Caller: orchestrator.Caller{Reason: reason}})
	switch {
	case a.json:
		return errors.Join(err, a.printJSON(out.Accepted))
	case err == nil && out.Accepted.Snapshot != "":
		a.print("%s: accepted: %s, %s, as of %s", system, a.count(int(out.Accepted.Files), "%d file", "%d files"),
			orchestrator.Size(out.Accepted.Bytes), out.Accepted.Taken.In(p.Timezone.Location).Format(timeLayout))
	case err == nil:
		a.print("%s: accepted: its source lies where it was found last", system)
	}
	return err
}
