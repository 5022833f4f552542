package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"airlock/ledger/proof"
	"airlock/ledger/stamp"
	"airlock/ledger/stamp/ask"
	"airlock/orchestrator"
	"airlock/policies"
	"airlock/repository"

	"github.com/spf13/cobra"
)

func (a *app) checkCommand() *cobra.Command {
	var connect bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Check the policy file; with --connect also reach everything it names, changing nothing",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.policy()
			var mistakes policies.Mistakes
			if errors.As(err, &mistakes) && a.json {
				return errors.Join(a.printJSON(map[string]any{"file": a.file, "mistakes": mistakes}), exitStatus(exitUsage))
			}
			if err != nil {
				return err
			}
			found := append(passphraseHere(c.Context(), p), amissHere(c.Context(), p)...)
			if connect {
				watch, end := a.progress()
				found = reach(c.Context(), p, watch)
				end()
			}
			return a.printFindings(p, append(a.exposedHere(p), found...))
		},
	}
	a.jsonFlag(c)
	c.Flags().BoolVar(&connect, "connect", false, "reach every source, switch and repository, and look every port up")
	return c
}

// finding is what reaching one thing showed.
type finding struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	// Unknown: it could not be found out, and a person has to look.
	Unknown bool   `json:"unknown,omitempty"`
	Text    string `json:"text"`
}

func (a *app) printFindings(p policies.Policy, found []finding) error {
	failed := 0
	for _, f := range found {
		if !f.OK {
			failed++
		}
	}
	remarks := append(p.Remarks(), secretRemarks(p)...)
	if a.json {
		if found == nil {
			found = []finding{}
		}
		if err := a.printJSON(map[string]any{"file": a.file, "mistakes": policies.Mistakes{}, "remarks": remarks, "reached": found}); err != nil {
			return err
		}
	} else {
		a.print("%s: sound: %s, %s, %s, %s", a.file, a.count(len(p.Systems), "%d system", "%d systems"), a.count(len(p.Vaults), "%d vault", "%d vaults"),
			a.count(len(p.Doors), "%d door", "%d doors"), a.count(len(p.Switches), "%d switch", "%d switches"))
		a.printRemarks(remarks)
		var t table
		for _, f := range found {
			mark := "ok"
			switch {
			case !f.OK:
				mark = "FAILED"
			case f.Unknown:
				mark = "unknown"
			}
			t.row(a.words.tell(mark), f.What, a.words.tell(f.Text))
		}
		if err := t.print(a.out, ""); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d are not as they must be", failed, len(found))
	}
	return nil
}

// printRemarks tells what is no mistake, and what somebody may want otherwise all the same.
func (a *app) printRemarks(remarks []policies.Remark) {
	for _, r := range remarks {
		if r.Warning {
			a.print("warning: %s: %s", r.Key, a.words.tell(plain(r.Text)))
		} else {
			a.print("note: %s: %s", r.Key, a.words.tell(r.Text))
		}
	}
}

// reachWithin bounds each attempt; finding out whether a port carries airlock's own packets
// takes longest.
const reachWithin = 2 * time.Minute

// reach connects to everything that can be connected to with the doors as they are.
func reach(ctx context.Context, p policies.Policy, watch orchestrator.Watch) []finding {
	tasks := []func(context.Context) []finding{
		func(ctx context.Context) []finding { return []finding{reachRepository(ctx, p)} },
	}
	for _, name := range keys(p.Systems) {
		tasks = append(tasks, func(ctx context.Context) []finding {
			return []finding{reachSource(ctx, name, p.Systems[name].Source)}
		})
	}
	for _, name := range keys(p.Doors) {
		tasks = append(tasks, func(ctx context.Context) []finding { return reachDoor(ctx, name, p, watch) })
	}
	tasks = append(tasks, func(ctx context.Context) []finding { return readyVaults(ctx, p) })
	if t := p.Ledger.Timestamps; t != nil {
		tasks = append(tasks, func(ctx context.Context) []finding { return []finding{reachAuthority(ctx, *t)} })
	}
	found := make([][]finding, len(tasks))
	var all sync.WaitGroup
	for i, task := range tasks {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, reachWithin)
			defer cancel()
			found[i] = task(ctx)
		})
	}
	all.Wait()
	return append(slices.Concat(found...), comparePorts(ctx, p)...)
}

func result(what, text string, err error) finding {
	if err != nil {
		return finding{What: what, Text: err.Error()}
	}
	return finding{What: what, OK: true, Text: text}
}

func reachRepository(ctx context.Context, p policies.Policy) finding {
	strange, err := openRepository(ctx, p)
	text := "opens with its passphrase"
	if len(strange) > 0 {
		text = fmt.Sprintf("opens with its passphrase; %d files there are not its own and were passed over, such as %s; remove them", len(strange), strange[0])
	}
	if errors.Is(err, repository.ErrNoRepository) {
		err = fmt.Errorf("%w; `airlock init` makes it, if the place is the right one", err)
	}
	return result("repository "+p.Repository.URL.String(), text, err)
}

// openRepository opens the repository with a state of its own, so that nothing of the
// site's is touched.
func openRepository(ctx context.Context, p policies.Policy) (strange []string, err error) {
	conf, err := repositoryConfig(p)
	if err != nil {
		return nil, err
	}
	if conf.StateDir, err = os.MkdirTemp("", "airlock-check-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(conf.StateDir)) }()
	r, err := repository.Open(ctx, conf)
	if err != nil {
		return nil, err
	}
	return r.Strangers(), r.Close(ctx)
}

func reachSource(ctx context.Context, name string, s policies.Source) finding {
	what := "system " + name
	src, err := openSource(ctx, s)
	if err != nil {
		return result(what, "", err)
	}
	entries, err := src.ReadDir(ctx, ".")
	err = errors.Join(err, src.Close())
	return result(what, fmt.Sprintf("%s lists %d entries", s.URL, len(entries)), err)
}

// reachAuthority has a line of text time-stamped, which is then forgotten.
func reachAuthority(ctx context.Context, t policies.Timestamps) finding {
	roots, err := stamp.Authorities(t.CA)
	if err == nil {
		_, _, err = ask.Authority(ctx, http.DefaultClient, t.URL, proof.Head{Note: "airlock check\n"}, roots)
	}
	return result("ledger.timestamps", "the authority stamps, and can be believed", err)
}
