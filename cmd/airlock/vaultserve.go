package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"airlock/policies"
	"airlock/vault/server"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
)

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
