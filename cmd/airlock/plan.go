package main

import (
	"fmt"
	"time"

	"airlock/policies"

	"github.com/spf13/cobra"
)

func (a *app) planCommand() *cobra.Command {
	var days int
	c := &cobra.Command{
		Use:   "plan",
		Short: "Show what would run when in the next days, and which door stands open when",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			if days < 1 || days > 366 {
				return fmt.Errorf("%w: --days is between 1 and 366", errUsage)
			}
			now := time.Now().In(p.Timezone.Location)
			events := p.Plan(now, now.AddDate(0, 0, days))
			if a.json {
				if events == nil {
					events = []policies.Event{}
				}
				return a.printJSON(events)
			}
			return a.printPlan(events)
		},
	}
	a.jsonFlag(c)
	c.Flags().IntVar(&days, "days", 3, "how many days")
	return c
}

func (a *app) printPlan(events []policies.Event) error {
	day := ""
	for _, e := range events {
		if d := e.Start.Format("2006-01-02 Mon"); d != day {
			day = d
			fmt.Fprintf(a.out, "%s %s\n", e.Start.Format("2006-01-02"), a.words.tell(e.Start.Format("Mon")))
		}
		fmt.Fprintf(a.out, "  %s  %s\n", e.Start.Format("15:04"), a.describeEvent(e))
		for _, o := range e.Overlaps {
			a.print("         !! OVERLAPS with the window of %s at %s: both want %s", o.Vault, o.Start.Format("01-02 15:04"), o.Door)
		}
	}
	if len(events) == 0 {
		a.print("nothing is planned in these days")
	}
	return nil
}

func (a *app) describeEvent(e policies.Event) string {
	if e.What == policies.Gathering {
		text := a.text("gather %s", e.Name)
		if !e.QuietUntil.IsZero() {
			text += a.text(", which waits until %s for its quiet hours to end", e.QuietUntil.Format("15:04"))
		}
		if e.WillPause {
			text += a.text(", which pauses while a window has the departments' door shut")
		}
		return text
	}
	text := a.text("window %s: %s stands open until %s at the latest", e.Name, e.Door, e.End.Format("15:04"))
	if e.InnerDoor != "" {
		text += a.text(", %s shut meanwhile", e.InnerDoor)
	}
	return text
}
