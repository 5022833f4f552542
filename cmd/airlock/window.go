package main

import (
	"fmt"
	"strings"

	"airlock/orchestrator"
	"airlock/policies"

	"github.com/spf13/cobra"
)

func (a *app) windowCommand() *cobra.Command {
	var by orchestrator.Caller
	c := &cobra.Command{
		Use:               "window [VAULT]",
		Short:             "Open the vault's door, copy what the vault lacks, shut the door and prove it, now",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.vaultNames,
		RunE: func(c *cobra.Command, args []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			name, err := onlyVault(p, args)
			if err != nil {
				return err
			}
			if by.Replaced && !c.Flags().Changed("reason") {
				return fmt.Errorf("%w: --replaced gives generations up: say why, --reason TEXT", errUsage)
			}
			return answer(a, c, p, orchestrator.Order{Verb: "window", Vault: name, Caller: by},
				func(out orchestrator.Outcome) *orchestrator.WindowRecord { return out.Window }, a.printWindow)
		},
	}
	a.jsonFlag(c)
	c.Flags().StringVar(&by.Reason, "reason", "by hand", "why, for the ledger")
	c.Flags().IntVar(&by.Brake, "brake", 0, "drop up to so many generations this once")
	c.Flags().BoolVar(&by.ClockRight, "clock-is-right", false, "the clock was looked at, and is right")
	c.Flags().BoolVar(&by.Replaced, "replaced", false, "the vault is another one than before, or lost its history, and that is right; needs --reason")
	c.Flags().BoolVar(&by.RoomMade, "room-was-made", false, "the vault has room again, whatever its last receipt says")
	return c
}

// onlyVault is the vault that is named, or the only one there is.
func onlyVault(p policies.Policy, args []string) (string, error) {
	names := keys(p.Vaults)
	switch {
	case len(args) > 0:
		return args[0], nil
	case len(names) == 1:
		return names[0], nil
	case len(names) == 0:
		return "", fmt.Errorf("%w: the policy file names no vault", errUsage)
	}
	return "", fmt.Errorf("%w: name a vault: %s", errUsage, strings.Join(names, ", "))
}

// printWindow says how long the door stood open, beside what the bytes need on the
// wire. A window that was refused has nothing to tell that its error does not.
func (a *app) printWindow(r orchestrator.WindowRecord) {
	if r.Purpose == "copying" && r.Result != "refused" && r.Result != "" {
		sent := a.text("%s: window %s: %s, %s sent", r.Vault, a.words.tell(r.Result), a.count(r.Blobs, "%d blob", "%d blobs"), orchestrator.Size(r.Bytes))
		if r.Generation > 0 {
			sent += a.text(", generation %d", r.Generation)
		}
		fmt.Fprintln(a.out, sent)
		if b := r.ReadBack; b != nil {
			a.print("%s: read back: %s of the right size, bytes of %s compared (%s), %s amiss", r.Vault,
				a.count(b.Blobs-len(b.Missing)-len(b.Resized), "%d blob", "%d blobs"), a.count(b.Read, "%d blob", "%d blobs"), orchestrator.Size(b.Bytes), a.count(len(b.Amiss()), "%d blob", "%d blobs"))
		}
		a.printRetention(r)
	}
	if r.OpenedAt.IsZero() {
		return
	}
	if r.ShutAt.IsZero() {
		a.print("%s: door opened at %s, NOT seen shut since", r.Vault, r.OpenedAt.Format(timeLayout))
		return
	}
	exposure := a.text("door open for %.2f s", r.Exposure)
	if (r.Purpose == "copying" || r.Bytes > 0) && r.Speed > 0 {
		exposure += a.text("; the bytes need %.2f s on the wire at %s", r.Wire, speedWord(r.Speed))
	}
	if r.ProvenAt.IsZero() {
		exposure += a.text("; NOT proven shut")
	} else {
		exposure += a.text("; proven shut %.2f s later", r.Proof)
	}
	fmt.Fprintf(a.out, "%s: %s\n", r.Vault, exposure)
}

func (a *app) printRetention(r orchestrator.WindowRecord) {
	switch k := r.Retention; {
	case k == nil:
	case k.Held != "":
		a.print("%s: nothing was dropped: %s", r.Vault, k.Held)
	case len(k.Dropped)+k.Blobs > 0:
		a.print("%s: dropped %s, %s (%s); %s stay", r.Vault, a.count(len(k.Dropped), "%d generation", "%d generations"),
			a.count(k.Blobs, "%d blob", "%d blobs"), orchestrator.Size(k.Bytes), a.count(k.Kept, "%d generation", "%d generations"))
	}
}

func (a *app) printWindows(all []orchestrator.WindowRecord) {
	for _, r := range all {
		a.printWindow(r)
	}
}
