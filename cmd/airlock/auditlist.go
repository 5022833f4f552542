package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"airlock/ledger"

	"github.com/spf13/cobra"
)

func (a *app) auditListCommand() *cobra.Command {
	var f ledger.Filter
	var since, until, file string
	var named []string
	var chosen choice
	var asCSV bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the ledger's entries, oldest first",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.readersPolicy(file)
			if err != nil {
				return err
			}
			if a.json && asCSV {
				return fmt.Errorf("%w: --json and --csv are two forms; give one of them", errUsage)
			}
			if chosen.kinds, err = chooseKinds(named); err != nil {
				return err
			}
			if chosen.last < 0 {
				return fmt.Errorf("%w: --last is a number of entries", errUsage)
			}
			if f.Since, err = parseSince(since, p.Timezone.Location); err != nil {
				return err
			}
			if f.Until, err = parseTime(until, p.Timezone.Location); err != nil {
				return err
			}
			r, err := openLedger(c.Context(), p, file)
			if err != nil || r == nil {
				return err
			}
			list := a.listTable
			switch {
			case a.json:
				list = a.listJSON
			case asCSV:
				list = a.listCSV
			}
			h, err := a.history(c.Context(), r)
			if chosen.entries = h; err == nil {
				err = chosen.known(c.Context(), f, p)
			}
			if err == nil {
				err = list(c.Context(), chosen, f, p.Timezone.Location)
			}
			return errors.Join(err, r.Close())
		},
	}
	a.jsonFlag(c)
	c.Flags().BoolVar(&asCSV, "csv", false, "print CSV, as spreadsheets open it")
	c.Flags().StringSliceVar(&named, "kind", nil, "only this `kind`, or several with commas: "+strings.Join(kinds(), ", "))
	c.Flags().IntVar(&chosen.last, "last", 0, "only the newest, so many")
	a.completeFlag(c, "kind", cobra.FixedCompletions(kinds(), cobra.ShellCompDirectiveNoFileComp))
	c.Flags().StringVar(&f.Door, "door", "", "only this `door`")
	a.completeFlag(c, "door", a.doorNames)
	c.Flags().StringVar(&f.Window, "window", "", "only the window of this `ID`")
	c.Flags().StringVar(&f.System, "system", "", "only this `system`")
	a.completeFlag(c, "system", a.systemNames)
	c.Flags().StringVar(&f.Vault, "vault", "", "only this `vault`")
	a.completeFlag(c, "vault", a.vaultNames)
	c.Flags().StringVar(&f.Actor, "actor", "", "only this `actor`")
	c.Flags().StringVar(&file, "ledger", "", "another ledger's `file`, such as the guard's")
	c.Flags().StringVar(&since, "since", "", "only from this `time` on; a day counts from its beginning")
	c.Flags().StringVar(&until, "until", "", "only before this `time`; a day counts to its end")
	return c
}

// entries are a ledger's, with or without what was archived of it.
type entries interface {
	Entries(context.Context, ledger.Filter) iter.Seq2[ledger.Entry, error]
}

// history is the ledger with its archives. What is not there is said, and left out.
func (a *app) history(ctx context.Context, r *ledger.Reader) (*ledger.History, error) {
	h, err := r.History(ctx)
	if err != nil {
		return nil, err
	}
	for _, absent := range h.Absent {
		fmt.Fprintf(a.errs, "airlock: %s\n", a.text("entries %d to %d are left out: the archive %s is not there", absent.First, absent.Last, absent.File))
	}
	return h, nil
}

// kinds are the kinds of entries, as they are written.
func kinds() []string {
	var all []string
	for _, k := range ledger.Kinds() {
		all = append(all, string(k))
	}
	return all
}

func (a *app) listJSON(ctx context.Context, r entries, f ledger.Filter, zone *time.Location) error {
	for e, err := range r.Entries(ctx, f) {
		if err != nil {
			return err
		}
		e.Time, e.Recorded = e.Time.In(zone), e.Recorded.In(zone)
		if err := a.printLine(e); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) listTable(ctx context.Context, r entries, f ledger.Filter, zone *time.Location) error {
	var t table
	a.heading(&t, "SEQ", "TIME", "KIND", "WHAT", "ACTOR", "REASON")
	for e, err := range r.Entries(ctx, f) {
		if err != nil {
			return errors.Join(t.print(a.out, ""), err)
		}
		at := e.Time.In(zone).Format(entryTime + zoneOffset)
		if e.Late {
			at += a.text(" (late)")
		}
		t.row(e.Seq, at, e.Kind, entryText(e), e.Actor, e.Reason)
		if len(t.rows) == 1000 { // long ledgers are shown as they are read
			if err := t.print(a.out, ""); err != nil {
				return err
			}
		}
	}
	return t.print(a.out, "")
}

// entryTime is how lists show the time of an entry.
const entryTime = "2006-01-02 15:04:05.000"

// zoneOffset follows entryTime, where nothing else tells the zone.
const zoneOffset = " -07:00"

// entryText says what an entry is about.
func entryText(e ledger.Entry) string {
	var about []string
	for _, part := range []string{e.Door, e.System, e.Vault} {
		if part != "" && !slices.Contains(about, part) {
			about = append(about, part)
		}
	}
	text := strings.Join(about, " ")
	switch {
	case e.From != "" && e.To != "":
		text += ": " + e.From + " → " + e.To
	case e.To != "":
		text += ": " + e.To
	}
	return strings.TrimPrefix(text, ": ")
}
