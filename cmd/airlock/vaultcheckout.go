package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"airlock/orchestrator"
	"airlock/policies"
	"airlock/vault/server"

	"github.com/spf13/cobra"
)

func (a *app) vaultCheckoutCommand() *cobra.Command {
	var byCopy bool
	c := &cobra.Command{
		Use:   "checkout GENERATION DIR",
		Short: "Lay a generation out as an ordinary kopia repository, by hard links",
		Long:  "Lay a generation out as an ordinary kopia repository, by hard links, for the stock kopia program (--readonly).",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			number, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || number < 1 {
				return fmt.Errorf("%w: %q is not the number of a generation; airlock vault generations lists them", errUsage, args[0])
			}
			dir, err := filepath.Abs(args[1])
			if err != nil {
				return err
			}
			return a.hosting(c, func(ctx context.Context, _ *policies.VaultHost, h *server.Host) error {
				report, err := h.Checkout(ctx, number, dir, byCopy)
				return a.printCheckout(dir, report, err)
			})
		},
	}
	a.jsonFlag(c)
	c.Flags().BoolVar(&byCopy, "copy", false, "copy instead of linking, for another disk; every hash is compared")
	return c
}

func (a *app) printCheckout(dir string, r server.CheckoutReport, err error) error {
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(r)
	} else {
		a.print("generation %d: %s, %s, in %s", r.Generation, a.count(r.Blobs, "%d blob", "%d blobs"), orchestrator.Size(r.Bytes), dir)
		a.print("Open it with: kopia repository connect filesystem --readonly --path %s", dir)
		if r.Untrusted != "" {
			a.print("Mind that it is not known whose it is: %s", r.Untrusted)
		}
	}
	if len(r.Missing) > 0 {
		return errors.Join(err, fmt.Errorf("%w: %d blobs are missing, the first of them %s", orchestrator.ErrInPart, len(r.Missing), r.Missing[0]))
	}
	return err
}
