package main

import (
	"fmt"

	"airlock/ledger/proof"
	"airlock/orchestrator"

	"github.com/spf13/cobra"
)

func (a *app) auditRenewCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "renew --reason TEXT",
		Short: "Begin a new ledger in the place of one that cannot be trusted",
		Long:  "Begin a new ledger in the place of one that contradicts a head that a vault holds, or was found changed or damaged. The old one is kept beside it, and the new one names it. Stop serve before. A ledger against which nothing speaks stays.",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.policyFor(reason)
			if err != nil {
				return err
			}
			moved, err := orchestrator.Renew(c.Context(), p, orchestrator.Caller{Actor: actor(), UID: person(), Reason: reason})
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"kept": moved})
			}
			a.print("a new ledger was begun; the old one is kept as %s", moved)
			return nil
		},
	}
	a.jsonFlag(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the ledger; needed")
	return c
}

// verifyContradiction holds the proof of a contradiction to the site's key. One that holds
// is an error: some ledger does not prove what it should.
func (a *app) verifyContradiction(with auditing, file []byte) error {
	if with.key == "" {
		return fmt.Errorf("%w: say by which key the proof has to be signed: --key FILE", errUsage)
	}
	if err := with.read(); err != nil {
		return err
	}
	c, err := proof.OpenContradiction(file, with.keys...)
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(c)
	} else {
		a.print("the proof holds: %s", plain(a.words.tell(c.String())))
	}
	if err != nil {
		return err
	}
	return errUnsound
}
