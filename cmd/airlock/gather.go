package main

import (
	"strings"
	"time"

	"airlock/orchestrator"

	"github.com/spf13/cobra"
)

func (a *app) gatherCommand() *cobra.Command {
	var by orchestrator.Caller
	c := &cobra.Command{
		Use:               "gather [SYSTEM…]",
		Short:             "Gather systems into the repository now; all if none is named",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.systemNames,
		RunE: func(c *cobra.Command, names []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			return answer(a, c, p, orchestrator.Order{Verb: "gather", Names: names, Caller: by},
				func(out orchestrator.Outcome) *[]orchestrator.Gathered { return &out.Gathered }, a.printGathered)
		},
	}
	a.jsonFlag(c)
	c.Flags().StringVar(&by.Reason, "reason", "by hand", "why, for the ledger")
	c.Flags().IntVar(&by.Brake, "brake", 0, "drop up to so many snapshots of a system this once")
	return c
}

func (a *app) printGathered(all []orchestrator.Gathered) {
	for _, g := range all {
		switch g.Result {
		case "done":
			a.print("%s: %s, %s, of which %s new to the repository, in %s", g.System, a.count(int(g.Files), "%d file", "%d files"),
				orchestrator.Size(g.Bytes), orchestrator.Size(g.NewBytes), g.End.Sub(g.Start).Round(100*time.Millisecond))
		case "in part":
			a.print("%s: in part: %s, %s; not read: %s", g.System, a.count(int(g.Files), "%d file", "%d files"),
				orchestrator.Size(g.Bytes), a.count(int(g.NotRead), "%d file", "%d files"))
			a.printFailed(g.Failed, g.NotRead)
		case "held":
			a.print("%s: HELD: %s, %s: %s", g.System, a.count(int(g.Files), "%d file", "%d files"), orchestrator.Size(g.Bytes), a.words.tell(g.Held))
		default:
			a.print("%s: %s", g.System, a.words.tell(g.Result)) // why, the error says
		}
		if g.Braked != "" {
			a.print("%s: no snapshot was dropped: %s", g.System, g.Braked)
		}
		if n := len(g.Loops); n > 0 {
			a.print("%s: links that lead back, left out: %s", g.System, plain(strings.Join(g.Loops[:min(n, namedFiles)], ", ")))
		}
		if n := len(g.TooLong); n > 0 {
			a.print("%s: names of more than 255 bytes, which no Linux disk takes and a restore leaves out: %s", g.System, plain(strings.Join(g.TooLong[:min(n, namedFiles)], ", ")))
		}
		if n := len(g.Changed); n > 0 {
			a.print("%s: written to while they were read: %s", g.System, plain(strings.Join(g.Changed[:min(n, namedFiles)], ", ")))
		}
	}
}
