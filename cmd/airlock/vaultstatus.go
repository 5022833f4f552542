package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"airlock/orchestrator"
	"airlock/policies"
	"airlock/vault/server"

	"github.com/spf13/cobra"
)

func (a *app) vaultStatusCommand() *cobra.Command {
	var nagios bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Show how the vault stands: generations, room, last arrival, what a person must look at",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var st server.Status
			err := a.hosting(c, func(ctx context.Context, _ *policies.VaultHost, h *server.Host) (err error) {
				st, err = h.Status(ctx)
				return err
			})
			switch {
			case err != nil && nagios:
				fmt.Fprintf(a.out, "AIRLOCK VAULT UNKNOWN - %s\n", oneLine(err.Error()))
				return exitStatus(3)
			case err != nil:
				return err
			case nagios:
				return a.nagiosVault(st)
			case a.json:
				return a.printJSON(st)
			}
			return a.printVaultStatus(st)
		},
	}
	a.jsonFlag(c)
	c.Flags().BoolVar(&nagios, "nagios", false, "print one line and exit with Nagios' codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN")
	return c
}

// nagiosVault prints one line in the form of the Nagios plug-in guidelines.
func (a *app) nagiosVault(st server.Status) error {
	code, text := 0, fmt.Sprintf("%d generations, the newest %d of %s", st.Generations, st.Newest, st.Arrived.Format(timeLayout))
	if len(st.Wrong) > 0 {
		code, text = 1, oneLine(strings.Join(st.Wrong, "; "))
	}
	if st.Grave {
		code = 2
	}
	text = strings.ReplaceAll(text, "|", "/")
	fmt.Fprintf(a.out, "AIRLOCK VAULT %s - %s | generations=%d bytes=%dB room=%dB\n", [...]string{"OK", "WARNING", "CRITICAL"}[code], text, st.Generations, st.Bytes, st.Room)
	if code == 0 {
		return nil
	}
	return exitStatus(code)
}

func (a *app) printVaultStatus(st server.Status) error {
	var t table
	served := a.text("served")
	if !st.Served {
		served = a.text("NOT SERVED")
	}
	t.row(a.text("Vault"), st.Vault+", "+served)
	t.row(a.text("Generations"), st.Generations)
	if st.Newest > 0 {
		t.row(a.text("Newest"), a.text("generation %d, arrived %s", st.Newest, st.Arrived.Format(timeLayout)))
	}
	t.row(a.text("Room"), a.text("%s lie here, %s may still come", orchestrator.Size(st.Bytes), orchestrator.Size(st.Room)))
	if st.Waiting.Files > 0 {
		t.row(a.text("Waiting"), a.text("%s, %s, since generation %d", a.count(st.Waiting.Files, "%d file", "%d files"), orchestrator.Size(st.Waiting.Bytes), st.Waiting.Since))
	}
	if !st.Verified.IsZero() {
		t.row(a.text("Verified"), st.Verified.Format(timeLayout))
	}
	err := t.print(a.out, "")
	for _, what := range st.Wrong {
		a.print("! %s", a.words.tell(what))
	}
	for _, what := range st.Alarms {
		a.print("ALARM %s", what)
	}
	if st.Grave {
		err = errors.Join(err, fmt.Errorf("the vault needs a person: %s", st.Wrong[0]))
	}
	return err
}
