package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"airlock/orchestrator"
	"airlock/policies"

	"github.com/spf13/cobra"
)

func (a *app) releaseCommand() *cobra.Command {
	var reason, keyFile string
	c := &cobra.Command{
		Use:   "release --reason TEXT",
		Short: "End a lockdown that another person began",
		Long: "End a lockdown. It takes another person than the one who began it, by their login, or the release key of the recovery kit. " +
			"The doors that it shut of those that rest open are opened again.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.policyAnywayFor(reason)
			if err != nil {
				return err
			}
			a.sayAmiss()
			key, err := readKey(c.InOrStdin(), keyFile)
			if err != nil {
				return err
			}
			return a.release(c.Context(), p, key, reason)
		},
	}
	a.stateFlag(c)
	a.jsonFlag(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the ledger; needed")
	c.Flags().StringVar(&keyFile, "key", "", "`file` with the release key, - for the standard input")
	return c
}

func (a *app) release(ctx context.Context, p policies.Policy, key, reason string) error {
	out, err := a.order(ctx, p, orchestrator.Order{Verb: "release", Key: key, Caller: orchestrator.Caller{Reason: reason}})
	if a.json {
		return errors.Join(err, a.printJSON(map[string]any{"released": err == nil, "doors": out.Shut, "kept_shut": out.Kept}))
	}
	if err != nil {
		return err
	}
	a.print("released")
	for _, d := range out.Shut {
		a.print("%s is %s: %s", d.Door, a.words.tell(d.State), a.words.tell(d.Proof))
	}
	for _, kept := range out.Kept {
		a.print("note: %s", a.words.tell(kept))
	}
	return nil
}

// readKey reads the release key; it is on no command line, which everybody can see (S13).
func readKey(in io.Reader, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("%w: the release key: %w", errUsage, err)
		}
		defer f.Close() // only read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, 4096))
	if err != nil {
		return "", fmt.Errorf("the release key: %w", err)
	}
	key := strings.TrimSpace(string(text))
	if key == "" {
		return "", fmt.Errorf("%w: there is no release key in %s", errUsage, file)
	}
	return key, nil
}
