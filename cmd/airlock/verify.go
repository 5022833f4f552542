package main

import (
	"fmt"

	"airlock/orchestrator"

	"github.com/spf13/cobra"
)

func (a *app) verifyCommand() *cobra.Command {
	var vaultName, reason string
	var percent float64
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read the repository, or a vault, back and check it",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			if percent < 0 || percent > 100 {
				return fmt.Errorf("%w: --percent is between 0 and 100", errUsage)
			}
			if !c.Flags().Changed("percent") && vaultName != "" {
				percent = 5 // the door stands open meanwhile
			}
			return answer(a, c, p, orchestrator.Order{Verb: "verify", Vault: vaultName, Sample: percent / 100, Caller: orchestrator.Caller{Reason: reason}},
				func(out orchestrator.Outcome) *orchestrator.Verified { return out.Verified }, a.printVerified)
		},
	}
	a.jsonFlag(c)
	c.Flags().StringVar(&vaultName, "vault", "", "verify this `vault`, opening its door")
	a.completeFlag(c, "vault", a.vaultNames)
	c.Flags().Float64Var(&percent, "percent", 100, "part to read back; of a vault 5 if not given")
	c.Flags().StringVar(&reason, "reason", "by hand", "why, for the ledger")
	return c
}

func (a *app) printVerified(v orchestrator.Verified) {
	switch {
	case v.Vault == "" && v.Result != "failed":
		a.print("repository %s: %s, %s read back, %s", a.words.tell(v.Result), a.count(v.Snapshots, "%d snapshot", "%d snapshots"),
			a.count(int(v.Files), "%d file", "%d files"), orchestrator.Size(v.Bytes))
	case v.Generation > 0:
		a.print("vault %s %s: generation %d, %s, %s of them read back", v.Vault, a.words.tell(v.Result), v.Generation,
			a.count(v.Blobs, "%d blob", "%d blobs"), orchestrator.Size(v.Bytes))
	}
	for _, d := range v.Damaged {
		fmt.Fprintf(a.out, "  %s\n", plain(d.What))
	}
	if v.Window != nil {
		a.printWindow(*v.Window)
	}
}
