package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"airlock/orchestrator"
	"airlock/policies"

	"github.com/spf13/cobra"
)

func (a *app) vaultsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:               "vaults [VAULT…]",
		Short:             "List the generations of vaults, as the ledger knows them; no door is opened",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.vaultNames,
		RunE: func(c *cobra.Command, names []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			all, err := knownGenerations(c.Context(), p, named(names, p.Vaults))
			if err != nil {
				return err
			}
			for i := range all {
				all[i].Time = all[i].Time.In(p.Timezone.Location)
			}
			if a.json {
				return a.printJSON(all)
			}
			return a.printKnown(all, p)
		},
	}
	a.jsonFlag(c)
	return c
}

func knownGenerations(ctx context.Context, p policies.Policy, vaults []string) (_ []orchestrator.KnownGeneration, err error) {
	for _, name := range vaults {
		if p.Vaults[name] == nil {
			return nil, fmt.Errorf("vault %q is %w; it has %s", name, orchestrator.ErrUnknown, strings.Join(keys(p.Vaults), ", "))
		}
	}
	all := []orchestrator.KnownGeneration{}
	r, err := orchestrator.OpenLedger(ctx, p.State)
	if err != nil || r == nil {
		return all, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for _, name := range vaults {
		some, err := orchestrator.Generations(ctx, r, name)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func (a *app) printKnown(all []orchestrator.KnownGeneration, p policies.Policy) error {
	if len(all) == 0 {
		a.print("no window has made a generation yet")
		return nil
	}
	var t table
	a.heading(&t, "VAULT", "GENERATION", "MADE", "BLOBS", "SENT", "HASH", "")
	for _, g := range all {
		var remarks []string
		if g.Lacks > 0 {
			remarks = append(remarks, a.text("lacks %s", a.count(g.Lacks, "%d blob", "%d blobs")))
		}
		if g.Gone {
			remarks = append(remarks, a.text("GONE from the vault"))
		}
		if g.Receipt {
			remarks = append(remarks, a.text("receipt"))
		}
		t.row(g.Vault, g.Number, g.Time.Format(timeLayout), g.Blobs, orchestrator.Size(g.Sent), g.Hash[:min(12, len(g.Hash))], strings.Join(remarks, ", "))
	}
	return t.print(a.out, "")
}

// named are the names that were given, all there are if none was.
func named[V any](names []string, all map[string]V) []string {
	if len(names) == 0 {
		return keys(all)
	}
	return names
}
