package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"airlock/collectors"
	"airlock/collectors/local"
	"airlock/collectors/sftp"
	"airlock/collectors/smb"
	"airlock/orchestrator"
	"airlock/policies"
	"airlock/repository"
	"airlock/smbconn"
	"airlock/sshconn"
	"airlock/switchctl"
	"airlock/switchctl/cli"
	"airlock/switchctl/snmp"
	"airlock/vault"
	vaultlocal "airlock/vault/local"
	vaultsftp "airlock/vault/sftp"
	vaultsmb "airlock/vault/smb"
)

// parts chooses the drivers by what the policy file says.
func parts(p policies.Policy) orchestrator.Parts {
	recordings := p.State.Sessions()
	return orchestrator.Parts{
		Switch: func(ctx context.Context, name string, s policies.Switch, recorded func(orchestrator.Recording)) (switchctl.Switch, error) {
			if recorded == nil {
				return openSwitch(ctx, s, cli.Sessions{})
			}
			return openSwitch(ctx, s, cli.Sessions{Dir: recordings, Switch: name, Recorded: func(r cli.Recording) { recorded(orchestrator.Recording(r)) }})
		},
		Recordings: func() ([]orchestrator.Recording, error) {
			left, err := cli.Leftovers(recordings)
			var all []orchestrator.Recording
			for _, r := range left {
				all = append(all, orchestrator.Recording(r))
			}
			return all, err
		},
		Source: openSource, Vault: openVault, Ready: vaultReady, Repository: repositoryConfig, Traps: receiveTraps,
	}
}

// readSwitch makes a session of which nothing is recorded.
func readSwitch(ctx context.Context, s policies.Switch) (switchctl.Switch, error) {
	return openSwitch(ctx, s, cli.Sessions{})
}

// openSwitch makes a session with a switch; recorded says whether, and where, its logins
// are recorded.
func openSwitch(ctx context.Context, s policies.Switch, recorded cli.Sessions) (switchctl.Switch, error) {
	switch s.Driver {
	case "snmp":
		return openSNMP(ctx, s)
	case "cli":
		return openCLI(ctx, s, recorded)
	}
	return nil, fmt.Errorf("switch %s: driver %q is not in this version of airlock; use driver: snmp or driver: cli", s.Address, s.Driver)
}

func openSNMP(ctx context.Context, s policies.Switch) (switchctl.Switch, error) {
	c, err := snmpConfig(*s.SNMP)
	if err != nil {
		return nil, fmt.Errorf("switch %s: %w", s.Address, err)
	}
	c.Address = s.Address
	return snmp.Dial(ctx, c)
}

// snmpConfig is version and credentials, without an address.
func snmpConfig(s policies.SNMP) (snmp.Config, error) {
	var r reader
	c := snmp.Config{
		Version: s.Version, Community: r.text(s.Community),
		User: s.User,
		Auth: s.Auth, AuthPassword: r.text(s.AuthPassword),
		Privacy: s.Privacy, PrivacyPassword: r.text(s.PrivacyPassword),
		ContextName: s.Context,
	}
	return c, r.err
}

// receiveTraps takes what the site's switches tell until ctx ends.
func receiveTraps(ctx context.Context, p policies.Policy, take func(switchctl.Trap), log *slog.Logger) error {
	c := snmp.TrapConfig{Listen: p.Traps.Listen, Engine: p.Site, Refused: func(r snmp.Refusal) {
		log.Warn("traps were dropped", "from", r.From, "why", r.Why, "count", r.Count)
	}}
	senders := p.TrapSenders()
	for _, name := range keys(senders) {
		credentials, err := snmpConfig(*senders[name].SNMP)
		if err != nil {
			return fmt.Errorf("traps of switch %s: %w", name, err)
		}
		c.Senders = append(c.Senders, snmp.Sender{Switch: name, From: senders[name].From, Config: credentials})
	}
	l, err := snmp.ListenTraps(ctx, c)
	if err != nil {
		return err
	}
	log.Info("traps are received", "at", l.Addr(), "engine_id", hex.EncodeToString(l.EngineID()))
	return l.Run(ctx, take)
}

func openCLI(ctx context.Context, s policies.Switch, recorded cli.Sessions) (switchctl.Switch, error) {
	var r reader
	c := cli.Config{
		Address: s.Address, Platform: s.CLI.Platform, User: s.CLI.User,
		Password: r.text(s.CLI.Password), Key: []byte(r.raw(s.CLI.Key)), KeyFile: keyFile(s.CLI.Key), KnownHosts: s.CLI.KnownHosts,
		Enable: r.text(s.CLI.Enable), PlatformDir: s.CLI.PlatformDir, Timeout: time.Duration(s.CLI.Timeout), Legacy: s.CLI.Legacy, Sessions: recorded,
	}
	if r.err != nil {
		return nil, fmt.Errorf("switch %s: %w", s.Address, r.err)
	}
	return cli.Dial(ctx, c)
}

func openSource(ctx context.Context, s policies.Source) (collectors.Source, error) {
	switch u := s.URL; u.Scheme {
	case "smb":
		conn, err := smbConfig(u, s.Access, s.Insecure)
		if err != nil {
			return nil, err
		}
		return smb.Dial(ctx, smb.Config{Conn: conn, Root: u.Path})
	case "sftp":
		conn, err := sshConfig(u, s.Access)
		if err != nil {
			return nil, err
		}
		return sftp.Dial(ctx, sftp.Config{SSH: conn, Root: u.Path})
	case "file":
		return local.Open(ctx, local.Config{Root: u.Path})
	}
	return nil, fmt.Errorf("no driver reads a source at %s", s.URL)
}

func openVault(ctx context.Context, v policies.Vault) (vault.Store, error) {
	switch u := v.URL; u.Scheme {
	case "sftp":
		conn, err := sshConfig(u, v.Access)
		if err != nil {
			return nil, err
		}
		conn.BehindDoor = true
		return vaultsftp.Dial(ctx, vaultsftp.Config{Conn: conn, Path: u.Path})
	case "smb":
		conn, err := smbConfig(u, v.Access, v.Insecure)
		if err != nil {
			return nil, err
		}
		return vaultsmb.Dial(ctx, vaultsmb.Config{Conn: conn, Path: u.Path})
	case "file":
		return vaultlocal.Open(u.Path)
	}
	return nil, fmt.Errorf("no driver writes to a vault at %s", v.URL)
}

func repositoryConfig(p policies.Policy) (repository.Config, error) {
	var r reader
	if file := p.Repository.Passphrase.File; file != "" {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return repository.Config{}, fmt.Errorf("the repository's passphrase: %s does not exist; for a new site run: airlock init; for one that exists, write the passphrase of the recovery kit into it and run: chmod 600 %s", file, file)
		}
	}
	c := repository.Config{Passphrase: r.raw(p.Repository.Passphrase), StateDir: string(p.State)}
	u := p.Repository.URL
	switch u.Scheme {
	case "file":
		c.Place.Path = u.Path
	case "sftp":
		c.Place.SFTP = &repository.SFTPPlace{
			Host: u.Host, Port: u.Port, User: u.User, Path: u.Path,
			Key: []byte(r.raw(p.Repository.Key)), KeyFile: keyFile(p.Repository.Key),
			Password: r.text(p.Repository.Password), KnownHosts: p.Repository.KnownHosts,
		}
	case "smb":
		c.Place.SMB = &repository.SMBPlace{
			Host: u.Host, Port: u.Port, User: account(u), Password: r.text(p.Repository.Password), Share: u.Share, Path: u.Path,
			Insecure: p.Repository.Insecure,
		}
	default:
		return c, fmt.Errorf("no driver keeps a repository at %s", u)
	}
	return c, r.err
}

func sshConfig(u policies.URL, a policies.Access) (sshconn.Config, error) {
	var r reader
	c := sshconn.Config{
		Address: u.Address(), User: u.User,
		Password: r.text(a.Password), Key: []byte(r.raw(a.Key)), KeyFile: keyFile(a.Key), KnownHosts: a.KnownHosts,
	}
	return c, r.err
}

func smbConfig(u policies.URL, a policies.Access, insecure bool) (smbconn.Config, error) {
	var r reader
	c := smbconn.Config{Address: u.Address(), User: account(u), Password: r.text(a.Password), Share: u.Share, Insecure: insecure}
	return c, r.err
}

// account is the user of an SMB server, with the domain where one is given.
func account(u policies.URL) string {
	if u.Domain != "" {
		return u.Domain + `\` + u.User
	}
	return u.User
}

// reader reads several secrets, and keeps what went wrong.
type reader struct{ err error }

// raw reads a secret byte for byte; "" where none is named.
func (r *reader) raw(s policies.Secret) string {
	if s == (policies.Secret{}) {
		return ""
	}
	text, err := s.Read()
	r.err = errors.Join(r.err, err)
	return text
}

// text reads a password. No server's ends in an end of a line; and what an editor made of
// the file is refused here, since the server would only say that the password is wrong.
func (r *reader) text(s policies.Secret) string {
	text := strings.TrimRight(r.raw(s), "\r\n")
	if fault := policies.Spoilt(text); text != "" && fault != "" {
		r.err = errors.Join(r.err, fmt.Errorf("read secret: %s: %s", s, fault))
	}
	return text
}

// keyFile is what errors call a key.
func keyFile(s policies.Secret) string {
	if s.File != "" {
		return s.File
	}
	return s.Env
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// statusHosts are the names by which the policy file calls the status address.
func statusHosts(p policies.Policy) []string {
	hosts := slices.Clone(p.Status.Hosts)
	if host, _, err := net.SplitHostPort(p.Status.Listen); err == nil {
		hosts = append(hosts, host)
	}
	if l := p.Guard.Leases; l != nil {
		if u, err := url.Parse(l.URL); err == nil {
			hosts = append(hosts, u.Hostname())
		}
	}
	return hosts
}
