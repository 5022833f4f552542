package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"airlock/orchestrator"
	"airlock/policies"
	"airlock/vault"
	"airlock/vault/server"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
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

func (a *app) vaultServeCommand() *cobra.Command {
	var replaced bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the vault over SFTP: what arrives can only add",
		Long:  "Serve the vault over SFTP until SIGINT, SIGTERM or SIGQUIT. A client can add files and read; nothing that it asks for changes or removes what is there.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a.signals.stay()
			return a.hosting(c, func(ctx context.Context, p *policies.VaultHost, h *server.Host) error {
				if err := a.refuseExposed(p); err != nil {
					return err
				}
				service, err := vaultService(p)
				if err != nil {
					return err
				}
				service.Replaced = replaced
				l, err := net.Listen("tcp", p.Listen)
				if err != nil {
					return fmt.Errorf("listen on %s: %w", p.Listen, err)
				}
				log := a.logger()
				a.stays(ctx, log, soundHost, nil)
				log.Info("serving", "vault", p.Vault, "folder", p.Folder, "listen", l.Addr(), "receipt_key", h.PublicKey(), "host_key", ssh.FingerprintSHA256(service.HostKey.PublicKey()))
				return h.Serve(ctx, l, service)
			})
		},
	}
	c.Flags().BoolVar(&replaced, "replaced", false, "the folder is another one than before, and that is right: what the state knows of the other is given up")
	return c
}

// vaultService is to whom a vault is served.
func vaultService(p *policies.VaultHost) (server.Service, error) {
	s := server.Service{Clients: map[string]ssh.PublicKey{}, Limits: server.Limits{
		Connections: p.Limits.Connections, Logins: p.Limits.Logins, OpenFiles: p.Limits.OpenFiles,
		Bandwidth: int64(p.Limits.Bandwidth), Idle: time.Duration(p.Limits.Idle),
	}}
	for name, client := range p.Clients {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(client.PublicKey))
		if err != nil {
			return s, fmt.Errorf("clients.%s.public_key: %w", name, err)
		}
		s.Clients[name] = key
	}
	var err error
	s.HostKey, err = vaultHostKey(p)
	return s, err
}

// vaultHostKey is the SSH key that clients pin.
func vaultHostKey(p *policies.VaultHost) (ssh.Signer, error) {
	if p.HostKey == (policies.Secret{}) {
		return server.HostKey(p.State)
	}
	text, err := p.HostKey.Read()
	if err != nil {
		return nil, fmt.Errorf("host_key: %w", err)
	}
	key, err := ssh.ParsePrivateKey([]byte(text + "\n"))
	if err != nil {
		return nil, fmt.Errorf("host_key in %s: %w", p.HostKey, err)
	}
	return key, nil
}

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

func (a *app) vaultGenerationsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "generations",
		Short: "List the generations, and by which rules they are kept",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.hosting(c, func(ctx context.Context, p *policies.VaultHost, h *server.Host) error {
				all, err := h.Generations(ctx)
				if err != nil {
					return err
				}
				strange := h.Same(ctx) // what lies in another folder is told all the same
				if all == nil {
					all = []server.Standing{}
				}
				if a.json {
					return errors.Join(strange, a.printJSON(all))
				}
				if len(all) > 0 {
					return errors.Join(strange, a.printGenerations(all))
				}
				if strange == nil {
					a.print("The vault holds no generation yet.")
				}
				return strange
			})
		},
	}
	a.jsonFlag(c)
	return c
}

func (a *app) printGenerations(all []server.Standing) error {
	var t table
	t.row(a.text("GENERATION"), a.text("ARRIVED"), a.text("BLOBS"), a.text("SIZE"), a.text("KEPT AS"))
	for _, g := range all {
		kept := strings.Join(g.Kept, ", ")
		switch {
		case g.Amiss != "":
			kept = a.text("does not count: %s", g.Amiss)
		case g.Lacks > 0:
			kept += a.text("; DAMAGED: %s", a.count(g.Lacks, "%d blob", "%d blobs"))
		case kept == "":
			kept = a.text("no rule: the next prune drops it")
		}
		t.row(g.Number, g.Arrived.Format(timeLayout), g.Blobs, orchestrator.Size(g.Bytes), kept)
	}
	return t.print(a.out, "")
}

func (a *app) vaultVerifyCommand() *cobra.Command {
	var budget time.Duration
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read the vault back from its disk and compare every hash",
		Long:  "Read the vault back from its disk and compare every hash, what was not read for longest first. A run that ends early is carried on by the next. What is damaged is told to the site with the next receipt, and sent again if the site still has it.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.hosting(c, func(ctx context.Context, p *policies.VaultHost, h *server.Host) error {
				watch, end := a.progress()
				report, err := h.Verify(ctx, server.VerifyOptions{Budget: budget, Progress: func(v server.VerifyProgress) {
					watch(orchestrator.Progress{Task: "verify", Stage: "reading back", Files: int64(v.Files), TotalFiles: int64(v.FilesTotal), Bytes: v.Bytes, TotalBytes: v.BytesTotal})
				}})
				end()
				return a.printVaultVerified(p, report, err)
			})
		},
	}
	a.jsonFlag(c)
	c.Flags().DurationVar(&budget, "budget", 0, "stop after this time, such as 30m; the next run carries on")
	return c
}

func (a *app) printVaultVerified(p *policies.VaultHost, r server.VerifyReport, err error) error {
	switch {
	case a.json:
		err = errors.Join(err, a.printJSON(r))
	case !r.Began.IsZero(): // else nothing was read
		a.print("%s read back, %s; %s left of this round, which began %s", a.count(r.Files, "%d file", "%d files"), orchestrator.Size(r.Bytes), a.count(r.Left, "%d file", "%d files"), r.Began.In(p.Timezone.Location).Format(timeLayout))
		for _, d := range r.Damaged {
			a.print("DAMAGED %s: %s", d.File, d.What)
		}
	}
	switch {
	case err != nil:
		return err
	case len(r.Damaged) > 0:
		return fmt.Errorf("files of the vault that are damaged: %d; the next window asks the site for them, and until then older generations may lack them", len(r.Damaged))
	case r.Overdue:
		return fmt.Errorf("%w: a file was not read since %s, and read_all says %s; give verify a longer --budget, or run it more often", orchestrator.ErrInPart, r.Oldest.In(p.Timezone.Location).Format(timeLayout), p.ReadAll)
	}
	return nil
}

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
