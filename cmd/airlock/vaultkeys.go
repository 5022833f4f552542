package main

import (
	"context"
	"fmt"
	"strconv"

	"airlock/policies"
	"airlock/vault/server"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh/knownhosts"
)

func (a *app) vaultKeysCommand() *cobra.Command {
	var lineOnly bool
	c := &cobra.Command{
		Use:   "keys",
		Short: "Print what the site has to pin: the key of receipts, the line for known_hosts",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.hosting(c, func(_ context.Context, p *policies.VaultHost, h *server.Host) error {
				key, err := vaultHostKey(p)
				if err != nil {
					return err
				}
				line := knownhosts.Line([]string{knownhosts.Normalize(p.Listen)}, key.PublicKey())
				if a.json {
					return a.printJSON(map[string]string{"receipt_key": h.PublicKey(), "known_hosts": line})
				}
				if lineOnly {
					_, err = fmt.Fprintln(a.out, line)
					return err
				}
				a.print("# In the site's policy file, under vaults.NAME:")
				a.print("receipt_key: %s", strconv.Quote(h.PublicKey()))
				a.print("")
				a.print("# In the site's known_hosts, this line and nothing else (airlock vault keys --known-hosts >> FILE):")
				_, err = fmt.Fprintln(a.out, line)
				return err
			})
		},
	}
	a.jsonFlag(c)
	c.Flags().BoolVar(&lineOnly, "known-hosts", false, "print only the line for known_hosts")
	return c
}
