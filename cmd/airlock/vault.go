package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"airlock/policies"
	"airlock/vault"
	"airlock/vault/server"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"
)

// vaultFile is the policy file of a vault's host, where -c names no other.
const vaultFile = "/etc/airlock/vault.yaml"

func (a *app) vaultCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "vault",
		Short: "On the vault's own host: serve it, read it back, check a generation out",
		Long:  "On the vault's own host: serve the vault so that what arrives can only add, keep generations by this host's clock and rules, read everything back. None of it needs the passphrase. The policy file is /etc/airlock/vault.yaml, or that of -c.",
		Args:  cobra.ArbitraryArgs,
		RunE:  subcommand,
	}
	c.PersistentFlags().StringVarP(&a.vaultFile, "config", "c", vaultFile, "policy `file`")
	for _, below := range []*cobra.Command{a.vaultCheckCommand(), a.vaultServeCommand(), a.vaultStatusCommand(), a.vaultKeysCommand(), a.vaultGenerationsCommand(), a.vaultVerifyCommand(), a.vaultCheckoutCommand(), a.vaultPruneCommand()} {
		below.Args = usage(below.Args)
		c.AddCommand(below)
	}
	return c
}

// vaultPolicy reads the policy file of a vault's host.
func (a *app) vaultPolicy() (*policies.VaultHost, error) {
	file := a.vaultFile
	var err error
	a.read, err = readFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no policy file %s; name one with -c, or begin with examples/vault.yaml", errUsage, file)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: policy file: %w", errUsage, err)
	}
	return policies.ParseVaultHost(file, a.read.text)
}

// hosting opens the vault of this host while f runs.
func (a *app) hosting(c *cobra.Command, f func(context.Context, *policies.VaultHost, *server.Host) error) error {
	p, err := a.vaultPolicy()
	if err != nil {
		return err
	}
	site, err := note.NewVerifier(p.SiteKey)
	if err != nil {
		return fmt.Errorf("site_key: %w", err)
	}
	h, err := server.Open(c.Context(), server.Config{
		Name: p.Vault, Zone: p.Timezone.Location, Folder: p.Folder, State: p.State, Site: site,
		Keep: vault.Keep{
			MinCount: p.Retention.MinCount, Last: p.Keep.Last, Hourly: p.Keep.Hourly,
			Daily: p.Keep.Daily, Weekly: p.Keep.Weekly, Monthly: p.Keep.Monthly, Annual: p.Keep.Annual,
		},
		MinAge: time.Duration(p.Retention.MinAge), Brake: p.Retention.Brake, WindowsPerDay: p.Retention.WindowsPerDay, Strays: time.Duration(p.Retention.Strays),
		Quota: int64(p.Quota), Floor: int64(p.Floor), Reserve: int64(p.Reserve), ReadAll: time.Duration(p.ReadAll),
		Log: a.logger(), Actor: actor(),
	})
	if err != nil {
		return err
	}
	return errors.Join(f(c.Context(), p, h), h.Close())
}
