package main

import (
	"errors"
	"fmt"

	"airlock/lease"
	"airlock/orchestrator"

	"github.com/spf13/cobra"
)

const longAccept = "Say that what airlock found changed, and holds back for, is right. Of a system: that its held gathering is, or that its source lies on another disk than before; the snapshot then counts like any other, and later gatherings are compared with it. With --door: that a door is the port which the policy file names now, though it was another one. Until then nothing is sent to that port, and no window opens it. Look at the old port first: nobody watches it from then on."

func (a *app) acceptCommand() *cobra.Command {
	var door, reason string
	c := &cobra.Command{
		Use:               "accept [SYSTEM] --reason TEXT",
		Short:             "Say that what airlock found changed, and holds back for, is right",
		Long:              longAccept,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.systemNames,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case (door == "") == (len(args) == 0):
				return fmt.Errorf("%w: say what is right: accept SYSTEM, or accept --door DOOR", errUsage)
			case door != "":
				return a.acceptPort(c, door, reason)
			}
			return a.acceptSystem(c, args[0], reason)
		},
	}
	a.jsonFlag(c)
	c.Flags().StringVar(&door, "door", "", "the `door` whose port is the right one")
	c.Flags().StringVar(&reason, "reason", "", "why, for the ledger; needed")
	a.completeFlag(c, "door", a.doorNames)
	return c
}

func (a *app) acceptPort(c *cobra.Command, door, reason string) error {
	p, err := a.policyFor(reason)
	if err != nil {
		return err
	}
	return answer(a, c, p, orchestrator.Order{Verb: "accept-port", Names: []string{door}, Caller: orchestrator.Caller{Reason: reason}},
		func(out orchestrator.Outcome) *lease.Port { return out.Port },
		func(port lease.Port) { a.print("door %s is port %s from now on", door, port) })
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
