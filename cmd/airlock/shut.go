package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"airlock/orchestrator"

	"github.com/spf13/cobra"
)

func (a *app) shutCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:               "shut [DOOR…]",
		Short:             "Shut doors and prove them shut; every door if none is named",
		Long:              "Shut doors and prove them shut; every door if none is named. A window in course is ended. An inner door that was shut in this way stays shut until a person opens it again: airlock open DOOR.",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.doorNames,
		RunE: func(c *cobra.Command, names []string) error {
			p, err := a.policyAnyway()
			if err != nil {
				return err
			}
			a.sayAmiss()
			out, err := a.order(c.Context(), p, orchestrator.Order{Verb: "shut", Names: names, Caller: orchestrator.Caller{Reason: reason}})
			if proven(out.Shut) && !errors.Is(err, orchestrator.ErrNotShut) {
				a.unwritten(err)
				err = nil
			}
			if a.json {
				return errors.Join(err, a.printJSON(map[string]any{"shut": err == nil, "doors": out.Shut}))
			}
			a.printShut(out.Shut)
			return err
		},
	}
	a.stateFlag(c)
	a.jsonFlag(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the ledger")
	return c
}

// proven reports whether there are doors, and every one is proven shut.
func proven(doors []orchestrator.ShutDoor) bool {
	return len(doors) > 0 && !slices.ContainsFunc(doors, func(d orchestrator.ShutDoor) bool { return d.State != "shut" })
}

// unwritten says what went wrong beside doors that are proven shut: that is a warning, for
// the proof is what was asked for.
func (a *app) unwritten(err error) {
	if err == nil {
		return
	}
	for _, line := range errorLines(err) {
		fmt.Fprintf(a.errs, "airlock: %s\n", a.text("the doors are shut, but: %s", a.words.tell(line)))
	}
}

// printShut prints the proof of each door.
func (a *app) printShut(doors []orchestrator.ShutDoor) {
	var shut []string
	for _, d := range doors {
		a.print("%s is %s: %s", d.Door, a.words.tell(d.State), a.words.tell(d.Proof))
		if d.State == "shut" {
			shut = append(shut, d.Door)
		}
	}
	if len(shut) > 0 {
		a.print("proven shut: %s", strings.Join(shut, ", "))
	}
}
