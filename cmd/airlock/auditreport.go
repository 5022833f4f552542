package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"airlock/audit/report"
	"airlock/console"
	"airlock/ledger"
	"airlock/policies"

	"github.com/spf13/cobra"
)

func (a *app) auditReportCommand() *cobra.Command {
	var from, to, out, lang string
	c := &cobra.Command{
		Use:   "report",
		Short: "Make a page for auditors: one HTML file, to be read or printed",
		Long:  "Make a page for auditors: one HTML file, to be read or printed. Without --from it is about the last 30 days.",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			conf, err := a.reportConfig(p, from, to, lang)
			if err != nil {
				return err
			}
			r, err := a.readReport(c.Context(), p, conf)
			if err != nil {
				return err
			}
			if out == "" || out == "-" {
				return r.WriteHTML(a.out)
			}
			if err := writeWhole(out, r.WriteHTML); err != nil {
				return err
			}
			a.print("wrote %s", out)
			return nil
		},
	}
	c.Flags().StringVar(&from, "from", "", "from this `time` on; a day counts from its beginning")
	c.Flags().StringVar(&to, "to", "", "up to this `time`, now if not given; a day counts to its end")
	c.Flags().StringVarP(&out, "output", "o", "", "the `file` to write; the standard output if not given")
	c.Flags().StringVar(&lang, "lang", "", "the page's `language`, ja or en; this program's own if not given")
	a.completeFlag(c, "lang", cobra.FixedCompletions([]string{"ja", "en"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// reportConfig reads what a report is to be about.
func (a *app) reportConfig(p policies.Policy, from, to, lang string) (report.Config, error) {
	now := time.Now()
	c := report.Config{Site: p.Site, Zone: p.Timezone.Location, Made: now, Version: a.version, Japanese: a.words != nil, Open: map[string]bool{}}
	switch lang {
	case "":
	case "ja", "en":
		c.Japanese = lang == "ja"
	default:
		return c, fmt.Errorf("%w: --lang is ja or en", errUsage)
	}
	for _, v := range p.Vaults {
		c.Open[v.InnerDoor] = true
	}
	var err error
	if c.To, err = parseTime(to, c.Zone); err != nil {
		return c, err
	}
	if c.To.IsZero() {
		c.To = now
	}
	if c.From, err = parseSince(from, c.Zone); err != nil {
		return c, err
	}
	if c.From.IsZero() {
		c.From = c.To.AddDate(0, 0, -30)
	}
	if !c.From.Before(c.To) {
		return c, fmt.Errorf("%w: --from is not before --to", errUsage)
	}
	return c, nil
}

// readReport reads the site's ledger and, where this machine has it, the guard's.
func (a *app) readReport(ctx context.Context, p policies.Policy, c report.Config) (*report.Report, error) {
	r, err := openLedger(ctx, p, "")
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, errNoLedger
	}
	var guard report.Source
	g, err := ledger.OpenReader(ctx, p.Guard.Ledger)
	switch {
	case err == nil:
		guard = g
	case !errors.Is(err, fs.ErrNotExist):
		fmt.Fprintf(a.errs, "airlock: %s\n", a.text("the report leaves out the guard's ledger: %s", err))
	}
	h, err := a.history(ctx, r)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	_, err = console.Connect(ctx, p.State.Socket())
	c.Serving = err == nil
	made, err := report.Read(ctx, c, h, guard)
	if g != nil {
		err = errors.Join(err, g.Close())
	}
	return made, errors.Join(err, r.Close())
}

// writeWhole makes a file, for its owner alone, that is there whole or not at all. One
// that is there already is replaced.
func writeWhole(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".airlock-*.new")
	if err != nil {
		return err
	}
	err = write(f)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(f.Name()))
	}
	return nil
}
