package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"airlock/console"
	"airlock/ledger"
	"airlock/orchestrator"
	"airlock/policies"

	"github.com/spf13/cobra"
)

func (a *app) statusCommand() *cobra.Command {
	var nagios bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Show doors, systems, vaults and next runs",
		Long:  "Show doors, systems, vaults and next runs: as the running executor knows them, or, if none runs, by asking the switches and the ledger. Nothing is changed.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			st, err := a.status(c.Context(), p)
			switch {
			case err != nil && nagios:
				fmt.Fprintf(a.out, "AIRLOCK UNKNOWN - %s\n", oneLine(err.Error()))
				return exitStatus(3)
			case err != nil:
				return err
			case nagios:
				return a.nagios(st)
			case a.json:
				err = a.printJSON(st)
			default:
				err = a.printStatus(st)
			}
			return errors.Join(err, doorsAmiss(st))
		},
	}
	a.jsonFlag(c)
	c.Flags().BoolVar(&nagios, "nagios", false, "print one line and exit with Nagios' codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN")
	return c
}

func (a *app) status(ctx context.Context, p policies.Policy) (orchestrator.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	remote, err := console.Connect(ctx, console.SocketPath(p.State))
	if err == nil {
		out, err := remote.Do(ctx, orchestrator.Order{Verb: "status"}, func(orchestrator.Progress) {})
		if err != nil {
			return orchestrator.Status{}, err
		}
		return *out.Status, nil
	}
	r, err := orchestrator.OpenLedger(ctx, p.State)
	if err != nil {
		return orchestrator.Status{}, err
	}
	st, err := orchestrator.Observe(ctx, p, parts(), r)
	st.Version = a.version
	if r != nil {
		err = errors.Join(err, r.Close())
	}
	return st, err
}

// doorsAmiss makes a door that is not where it belongs the exit code's business.
func doorsAmiss(st orchestrator.Status) error {
	var amiss []string
	for _, name := range keys(st.Doors) {
		if d := st.Doors[name]; d.Amiss() {
			amiss = append(amiss, name+" is "+d.State)
		}
	}
	if len(amiss) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", orchestrator.ErrNotShut, strings.Join(amiss, ", "))
}

// nagios prints one line in the form of the Nagios plug-in guidelines.
func (a *app) nagios(st orchestrator.Status) error {
	problems := console.Problems(st)
	text := fmt.Sprintf("%d doors where they belong, %d systems within their RPO", len(st.Doors), len(st.Systems))
	worst := console.OK
	if len(problems) > 0 {
		worst = problems[0].Severity
		words := make([]string, len(problems))
		for i, p := range problems {
			words[i] = oneLine(p.Text)
		}
		text = strings.Join(words, "; ")
	}
	var perf []string
	for _, name := range keys(st.Vaults) {
		if w := st.Vaults[name].LastWindow; w != nil {
			perf = append(perf, fmt.Sprintf("'exposure_%s'=%.3fs 'bytes_%s'=%dB", name, w.Exposure, name, w.Bytes))
		}
	}
	fmt.Fprintf(a.out, "AIRLOCK %s - %s | %s\n", [...]string{"OK", "WARNING", "CRITICAL"}[worst], text, strings.Join(perf, " "))
	if worst == console.OK {
		return nil
	}
	return exitStatus(worst)
}

// oneLine fits a text into one line of a monitoring program.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "|", "/")), " ")
}

func (a *app) printStatus(st orchestrator.Status) error {
	zone := st.Time.Location()
	at := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.In(zone).Format("01-02 15:04:05")
	}
	executor := "no executor runs: doors as their switches tell them just now"
	if st.Serving {
		executor = "executor " + st.Version + " runs"
	}
	fmt.Fprintf(a.out, "%s  %s  (%s)\n\n", st.Site, st.Time.Format(timeLayout), executor)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DOOR\tSTATE\tSINCE\tPROOF")
	for _, name := range keys(st.Doors) {
		d := st.Doors[name]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", name, strings.ToUpper(d.State), at(d.Since), d.Proof)
	}
	fmt.Fprintln(w, "\nSYSTEM\tGATHERED WHOLE\tRPO\tSNAPSHOTS\tNEXT\tLAST ERROR")
	for _, name := range keys(st.Systems) {
		s := st.Systems[name]
		last, rpo := "never", "met"
		if s.LastSuccess != nil {
			last = at(*s.LastSuccess)
		}
		if !s.RPOMet {
			rpo = "NOT MET"
		}
		fmt.Fprintf(w, "%s %s\t%s\t%s\t%d\t%s\t%s\n", name, s.Title, last, rpo, s.Snapshots, at(s.NextRun), oneLine(s.LastError))
	}
	fmt.Fprintln(w, "\nVAULT\tLAST WINDOW\tRESULT\tOPEN FOR\tSENT\tGENERATIONS\tNEXT")
	for _, name := range keys(st.Vaults) {
		v := st.Vaults[name]
		if v.LastWindow == nil {
			fmt.Fprintf(w, "%s\tnever\t\t\t\t%d\t%s\n", name, v.Generations, at(v.NextWindow))
			continue
		}
		l := v.LastWindow
		fmt.Fprintf(w, "%s\t%s\t%s\t%.2f s\t%s\t%d\t%s\n", name, at(l.OpenedAt), l.Result, l.Exposure, orchestrator.Size(l.Bytes), v.Generations, at(v.NextWindow))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, p := range st.Running {
		fmt.Fprintf(a.out, "\nrunning: %s: %s", p.Task, amount(p, 0))
	}
	for _, alarm := range st.Alarms {
		fmt.Fprintf(a.out, "\nalarm %s: %s", at(alarm.At), alarm)
	}
	fmt.Fprintf(a.out, "\nledger: %d entries\n", st.Ledger.Entries)
	return nil
}

func (a *app) auditCommand() *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "Read the ledger", Args: cobra.NoArgs}
	c.AddCommand(a.auditListCommand())
	return c
}

func (a *app) auditListCommand() *cobra.Command {
	var f ledger.Filter
	var kind, since, until string
	c := &cobra.Command{
		Use:   "list",
		Short: "List the ledger's entries, oldest first",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			f.Kind = ledger.Kind(kind)
			if f.Since, err = parseTime(since, p.Timezone.Location); err != nil {
				return err
			}
			if f.Until, err = parseTime(until, p.Timezone.Location); err != nil {
				return err
			}
			r, err := orchestrator.OpenLedger(c.Context(), p.State)
			if err != nil || r == nil {
				return err
			}
			return errors.Join(a.listEntries(c.Context(), r, f, p.Timezone.Location), r.Close())
		},
	}
	a.jsonFlag(c)
	c.Flags().StringVar(&kind, "kind", "", "only this `kind`: door, window, gather, restore, verify, upkeep, alarm, start, stop, init")
	c.Flags().StringVar(&f.Door, "door", "", "only this `door`")
	c.Flags().StringVar(&f.Window, "window", "", "only the window of this `ID`")
	c.Flags().StringVar(&f.System, "system", "", "only this `system`")
	c.Flags().StringVar(&f.Vault, "vault", "", "only this `vault`")
	c.Flags().StringVar(&f.Actor, "actor", "", "only this `actor`")
	c.Flags().StringVar(&since, "since", "", "only from this `time` on")
	c.Flags().StringVar(&until, "until", "", "only before this `time`; a day counts to its end")
	return c
}

func (a *app) listEntries(ctx context.Context, r *ledger.Reader, f ledger.Filter, zone *time.Location) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	if !a.json {
		fmt.Fprintln(w, "SEQ\tTIME\tKIND\tWHAT\tACTOR\tREASON")
	}
	for e, err := range r.Entries(ctx, f) {
		if err != nil {
			return errors.Join(w.Flush(), err)
		}
		e.Time, e.Recorded = e.Time.In(zone), e.Recorded.In(zone)
		if a.json {
			if err := a.printLine(e); err != nil {
				return err
			}
			continue
		}
		late := ""
		if e.Late {
			late = " (late)"
		}
		fmt.Fprintf(w, "%d\t%s%s\t%s\t%s\t%s\t%s\n", e.Seq, e.Time.Format("2006-01-02 15:04:05.000"), late, e.Kind, entryText(e), e.Actor, oneLine(e.Reason))
		if e.Seq%1000 == 0 { // long ledgers are shown as they are read
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}

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
	return text
}
