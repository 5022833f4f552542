package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"airlock/orchestrator"
	"airlock/policies"
)

// vaultReady says what openVault would fail for, as far as it is known without a
// connection.
func vaultReady(_ context.Context, v policies.Vault) error {
	switch u := v.URL; u.Scheme {
	case "sftp":
		conn, err := sshConfig(u, v.Access)
		if err != nil {
			return err
		}
		conn.BehindDoor = true
		return conn.Ready()
	case "smb":
		_, err := smbConfig(u, v.Access, v.Insecure)
		return err
	case "file":
		return nil
	}
	return fmt.Errorf("no driver writes to a vault at %s", v.URL)
}

// readyVaults says of each vault whether a window would find what it needs on this machine.
// No door is opened for it, and nothing is reached.
func readyVaults(ctx context.Context, p policies.Policy) []finding {
	var all []finding
	for _, name := range keys(p.Vaults) {
		what := "vault " + name
		f := result(what, "a window finds what it needs here; the vault stands behind its door, which a check does not open", orchestrator.Ready(ctx, p, parts(p), name))
		f.Text = strings.TrimPrefix(f.Text, what+": ")
		all = append(all, f)
	}
	return all
}

// amissHere are those of readyVaults that a person has to look at. A variable of the
// service's environment may well be missing where a person checks the file.
func amissHere(ctx context.Context, p policies.Policy) []finding {
	var all []finding
	for _, f := range readyVaults(ctx, p) {
		a := p.Vaults[strings.TrimPrefix(f.What, "vault ")].Access
		f.Unknown = !f.OK && (unset(a.Key) || unset(a.Password))
		f.OK = f.OK || f.Unknown
		if !f.OK || f.Unknown {
			all = append(all, f)
		}
	}
	return all
}

func unset(s policies.Secret) bool { return s.Env != "" && os.Getenv(s.Env) == "" }
