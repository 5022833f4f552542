package main

import (
	"errors"

	"airlock/orchestrator"

	"github.com/spf13/cobra"
)

const longOpen = "Open a door that rests open, and that a person shut or that was found shut. No other door is opened by hand: a vault's opens in a window alone. Nothing is opened in a lockdown, while a window is in course, or unless each vault's door behind it is proven shut. The ledger has who asked for it, and why, before."

func (a *app) openCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:               "open DOOR --reason TEXT",
		Short:             "Open a door that rests open again, after a person shut it",
		Long:              longOpen,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.doorNames,
		RunE: func(c *cobra.Command, names []string) error {
			p, err := a.policyFor(reason)
			if err != nil {
				return err
			}
			_, err = a.order(c.Context(), p, orchestrator.Order{Verb: "open", Names: names, Caller: orchestrator.Caller{Reason: reason}})
			if a.json {
				return errors.Join(err, a.printJSON(map[string]any{"door": names[0], "open": err == nil}))
			}
			if err == nil {
				a.print("%s is open again", names[0])
			}
			return err
		},
	}
	a.jsonFlag(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the ledger; needed")
	return c
}
