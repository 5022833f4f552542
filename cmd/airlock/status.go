package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"airlock/console"
	"airlock/ledger/proof"
	"airlock/notice"
	"airlock/orchestrator"
	"airlock/policies"

	"github.com/spf13/cobra"
)

func (a *app) statusCommand() *cobra.Command {
	var nagios bool
	var address string
	c := &cobra.Command{
		Use:   "status",
		Short: "Show doors, systems, vaults and next runs",
		Long:  "Show doors, systems, vaults and next runs: as the running executor knows them, or, if none runs, by asking the switches and the ledger. Nothing is changed.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			st, err := a.statusOf(c.Context(), address)
			switch {
			case err != nil && nagios:
				return a.nagiosUnknown(err)
			case err != nil:
				return err
			case nagios:
				return a.nagios(st)
			case a.json:
				a.sayAmiss()
				err = a.printJSON(st)
			default:
				err = a.printStatus(st)
			}
			return errors.Join(err, doorsAmiss(st))
		},
	}
	a.jsonFlag(c)
	a.stateFlag(c)
	c.Flags().StringVar(&address, "url", "", "ask the executor at this status `address`, http://HOST:PORT, as anybody may who reaches it")
	c.Flags().BoolVar(&nagios, "nagios", false, "print one line and exit with Nagios' codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN")
	return c
}

// statusOf is the status of the site whose executor answers at an address, or with none, of
// the site of the policy file.
func (a *app) statusOf(ctx context.Context, address string) (orchestrator.Status, error) {
	if address != "" {
		return console.Fetch(ctx, address)
	}
	p, err := a.policyAnyway()
	if err != nil {
		return orchestrator.Status{}, err
	}
	return a.status(ctx, p)
}

// nagiosUnknown prints the one line that a monitoring program wants where nothing is known
// (UNKNOWN), or where nobody answers at the address that it was given (CRITICAL).
func (a *app) nagiosUnknown(err error) error {
	why := oneLine(strings.TrimPrefix(err.Error(), errUsage.Error()+": "))
	var mistakes policies.Mistakes
	switch {
	case errors.Is(err, console.ErrNobody):
		fmt.Fprintf(a.out, "AIRLOCK CRITICAL - %s\n", why)
		return exitStatus(console.Critical)
	case errors.As(err, &mistakes):
		why = broken(err)
	case errors.Is(err, fs.ErrPermission):
		why += "; ask the status address instead: airlock status --nagios --url http://HOST:PORT"
	}
	fmt.Fprintf(a.out, "AIRLOCK UNKNOWN - %s\n", why)
	return exitStatus(3)
}

func (a *app) status(ctx context.Context, p policies.Policy) (orchestrator.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	remote, err := console.Connect(ctx, p.State.Socket())
	if err == nil {
		out, err := remote.Do(ctx, orchestrator.Order{Verb: "status"}, func(orchestrator.Progress) {})
		if err != nil {
			return orchestrator.Status{}, err
		}
		if out.Runs != nil && out.Runs.File.Name != a.read.Name { // else the status says what differs
			a.sayRuns(p, out.Runs)
		}
		out.Status.Time = out.Status.Time.In(p.Timezone.Location)
		return *out.Status, nil
	}
	r, unread := orchestrator.OpenLedger(ctx, p.State)
	if errors.Is(unread, fs.ErrPermission) {
		return orchestrator.Status{}, unread
	}
	st, err := orchestrator.Observe(ctx, p, parts(p), r)
	st.Version = a.version
	st.ComparePolicy(a.read.File)
	if unread != nil { // what doors are is known; what only the ledger tells is not (S15)
		st.Ledger.Error, st.Systems, st.Vaults = unread.Error(), nil, nil
	}
	if r != nil {
		err = errors.Join(err, r.Close())
	}
	return st, err
}

// doorsAmiss makes a door that is not where it belongs the exit code's business.
func doorsAmiss(st orchestrator.Status) error {
	var amiss []string
	for _, name := range keys(st.Doors) {
		if console.Amiss(st, name) {
			amiss = append(amiss, name+" is "+st.Doors[name].State)
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
	if a.amiss != nil {
		problems = append(problems, console.Problem{Severity: console.Warning, Text: a.amiss.Error()})
	}
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
			if !w.OpenedAt.IsZero() {
				perf = append(perf, fmt.Sprintf("'exposure_%s'=%.3fs", label(name), w.Exposure))
			}
			perf = append(perf, fmt.Sprintf("'bytes_%s'=%dB", name, w.Bytes))
		}
	}
	fmt.Fprintf(a.out, "AIRLOCK %s - %s | %s\n", [...]string{"OK", "WARNING", "CRITICAL"}[worst], text, strings.Join(perf, " "))
	if worst == console.OK {
		return nil
	}
	return exitStatus(worst)
}

// label is a name as performance data may quote it.
func label(name string) string { return strings.NewReplacer("'", "", "=", "").Replace(oneLine(name)) }

// oneLine fits a text into one line of a monitoring program.
func oneLine(s string) string {
	lines := strings.FieldsFunc(strings.ReplaceAll(s, "|", "/"), func(r rune) bool { return r == '\n' || r == '\r' })
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(plain(line)), " ")
	}
	return strings.Join(lines, "; ")
}

func (a *app) printStatus(st orchestrator.Status) error {
	zone := st.Time.Location()
	at := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.In(zone).Format("01-02 15:04:05")
	}
	executor := a.text("no executor runs: doors as their switches tell them just now")
	if st.Serving {
		executor = a.text("executor %s runs", st.Version)
	}
	a.sayAmiss()
	fmt.Fprintf(a.out, "%s  %s  (%s)\n\n", st.Site, st.Time.Format(timeLayout), executor)
	if l := st.Lockdown; l != nil {
		fmt.Fprintf(a.out, "%s\n\n", a.text("LOCKDOWN since %s, by %s: %s", at(l.At), plain(l.By), plain(l.Reason)))
	}
	if st.LockdownUnknown != "" {
		fmt.Fprintf(a.out, "%s\n\n", plain(a.words.tell(st.LockdownUnknown)))
	}
	if err := errors.Join(a.doorTable(st, at), a.systemTable(st, at), a.vaultTable(st, at)); err != nil {
		return err
	}
	for _, name := range keys(st.Doors) {
		if kept := st.Doors[name].Kept; kept != "" {
			a.print("note: %s", a.words.tell(kept))
		}
	}
	a.printGuard(st.Guard)
	a.warnInsecure(st.Insecure)
	if st.Policy != nil {
		for _, what := range st.Policy.Differences {
			a.print("warning: %s", a.words.tell(what))
		}
	}
	for _, p := range st.Running {
		a.print("running: %s", strings.TrimSuffix(a.words.tell(p.Task)+": "+a.words.amount(p, 0), ": "))
	}
	for _, alarm := range st.Alarms {
		a.print("alarm %s: %s", at(alarm.At), plain(alarm.In(a.words.language())))
		if k := notice.Find(alarm.Code); k != nil {
			a.print("  → %s", k.Do(a.words.language(), alarm.Door, alarm.System, alarm.Vault))
		}
	}
	a.print("ledger: %s", a.count(int(st.Ledger.Entries), "%d entry", "%d entries"))
	if v := st.Ledger.VerifiedAt; v != nil {
		a.print("ledger: all of it found sound %s", at(*v))
	}
	if st.Ledger.Key != "" {
		a.print("ledger: key %s", st.Ledger.Key)
	}
	if head, err := proof.ReadHead([]byte(st.Ledger.Head)); err == nil {
		a.print("ledger: signed head over %d entries, root %s", head.Size, head.Root)
	}
	if st.Ledger.Doubt != "" {
		a.print("LEDGER NOT TRUSTED, no vault's door is opened: %s", plain(a.words.tell(st.Ledger.Doubt)))
	}
	if st.Ledger.Error != "" {
		a.print("ledger: %d entries not durable yet: %s", st.Ledger.Pending, plain(st.Ledger.Error))
	}
	return nil
}

// warnInsecure names the places whose lines the policy file leaves unprotected.
func (a *app) warnInsecure(places []string) {
	for _, key := range places {
		a.print("warning: %s has insecure: true: its line is neither encrypted nor signed, and what somebody changes on the way is not found", key)
	}
}

func (a *app) printGuard(g *orchestrator.GuardStatus) {
	if g == nil {
		return
	}
	switch ago := (time.Duration(g.Age * float64(time.Second))).Round(time.Second); {
	case g.Missing != "":
		a.print("guard: MISSING: %s", plain(a.words.tell(g.Missing)))
	case g.HeardAt.IsZero():
		a.print("guard: not heard of yet")
	case g.From != "":
		a.print("guard: at %s, heard of %s ago", g.From, ago)
	default:
		a.print("guard: on this machine, heard of %s ago", ago)
	}
	for _, name := range keys(g.Doors) {
		if d := g.Doors[name]; d.Overdue != "" {
			a.print("guard: door %s: %s, without leave: %s", name, a.words.tell(d.State), a.words.tell(d.Overdue))
		}
	}
}

// heading adds the names of the columns.
func (a *app) heading(t *table, names ...string) {
	cells := make([]any, len(names))
	for i, name := range names {
		cells[i] = a.words.tell(name)
	}
	t.row(cells...)
}

func (a *app) doorTable(st orchestrator.Status, at func(time.Time) string) error {
	if len(st.Doors) == 0 {
		return nil
	}
	var t table
	a.heading(&t, "DOOR", "STATE", "SINCE", "PROOF")
	for _, name := range keys(st.Doors) {
		d := st.Doors[name]
		state := strings.ToUpper(a.words.tell(d.State))
		if console.Amiss(st, name) || d.Kept != "" {
			state += " !"
		}
		t.row(name, state, at(d.Since), a.words.tell(d.Proof))
	}
	return a.section(t)
}

// section prints a table and an empty line.
func (a *app) section(t table) error {
	err := t.print(a.out, "")
	fmt.Fprintln(a.out)
	return err
}

func (a *app) systemTable(st orchestrator.Status, at func(time.Time) string) error {
	var t table
	a.heading(&t, "SYSTEM", "", "GATHERED WHOLE", "RPO", "SNAPSHOTS", "NEXT", "LAST ERROR")
	for _, name := range keys(st.Systems) {
		s := st.Systems[name]
		last, rpo := a.text("never"), a.text("met")
		if s.LastSuccess != nil {
			last = at(*s.LastSuccess)
		}
		if s.RPO == 0 && s.RPOMet { // the policy file names none
			rpo = "-"
		}
		if !s.RPOMet {
			rpo = a.text("NOT MET")
		}
		t.row(name, s.Title, last, rpo, s.Snapshots, at(s.NextRun), a.words.tell(oneLine(s.LastError)))
	}
	return a.section(t)
}

func (a *app) vaultTable(st orchestrator.Status, at func(time.Time) string) error {
	if len(st.Vaults) == 0 {
		return nil
	}
	var t table
	a.heading(&t, "VAULT", "LAST WINDOW", "RESULT", "OPEN FOR", "SENT", "GENERATIONS", "NEXT")
	for _, name := range keys(st.Vaults) {
		v := st.Vaults[name]
		last, result, exposure, sent := a.text("never"), "", "", ""
		if l := v.LastWindow; l != nil {
			last, result = at(l.OpenedAt), a.words.tell(l.Result)
			sent = orchestrator.Size(l.Bytes)
			switch {
			case l.OpenedAt.IsZero():
				exposure = "-"
			case l.AtMost:
				exposure = fmt.Sprintf("≤ %.2f s", l.Exposure)
			default:
				exposure = fmt.Sprintf("%.2f s", l.Exposure)
			}
		}
		t.row(name, last, result, exposure, sent, v.Generations, at(v.NextWindow))
	}
	return a.section(t)
}
