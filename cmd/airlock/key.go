package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"airlock/policies"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
)

func (a *app) keyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "Make the key by which airlock enters a vault or a source over SFTP",
		Args:  cobra.ArbitraryArgs,
		RunE:  subcommand,
	}
	below := a.keyNewCommand()
	below.Args = usage(below.Args)
	c.AddCommand(below)
	return c
}

// keyUse is where a key is named in the policy file, and what opens with it.
type keyUse struct {
	place  string // its key in the policy file
	url    policies.URL
	secret policies.Secret
	host   bool // the vault's own host, airlock vault serve
}

func (a *app) keyNewCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "new vault|source|repository [NAME]",
		Short: "Make a key pair where the policy file names the key, and print its public half",
		Long:  "Make an Ed25519 key pair where the policy file names the key of that vault, system's source or repository, and print its public half, which lies beside it as NAME.pub. A file that is there already is never replaced.",
		Args:  cobra.RangeArgs(1, 2),
		ValidArgsFunction: func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			switch {
			case len(args) == 0:
				return []string{"vault", "source", "repository"}, cobra.ShellCompDirectiveNoFileComp
			case args[0] == "vault":
				return a.vaultNames(c, args, typed)
			}
			return a.systemNames(c, args, typed)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			use, err := keyOf(p, args)
			if err != nil {
				return err
			}
			public, err := makeKey(use.secret.File, fmt.Sprintf("airlock@%s %s", p.Site, use.place))
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"file": use.secret.File, "public_file": publicHalf(use.secret.File), "public_key": public})
			}
			a.explainKey(use, public)
			return nil
		},
	}
	a.jsonFlag(c)
	return c
}

// keyOf finds the key that is meant.
func keyOf(p policies.Policy, args []string) (keyUse, error) {
	name := strings.Join(args[1:], "")
	var use keyUse
	switch args[0] {
	case "vault":
		v := p.Vaults[name]
		if v == nil {
			return use, fmt.Errorf("%w: vault %q is not in the policy file; it has %s", errUsage, name, strings.Join(keys(p.Vaults), ", "))
		}
		use = keyUse{"vaults." + name, v.URL, v.Key, v.ReceiptKey != ""}
	case "source":
		s := p.Systems[name]
		if s == nil {
			return use, fmt.Errorf("%w: system %q is not in the policy file; it has %s", errUsage, name, strings.Join(keys(p.Systems), ", "))
		}
		use = keyUse{"systems." + name + ".source", s.Source.URL, s.Source.Key, false}
	case "repository":
		use = keyUse{"repository", p.Repository.URL, p.Repository.Key, false}
	default:
		return use, fmt.Errorf("%w: a key is new for a vault, a source or the repository, not for %q", errUsage, args[0])
	}
	if use.url.Scheme != "sftp" {
		return use, fmt.Errorf("%w: %s is reached by %s, which knows no keys", errUsage, use.place, use.url.Scheme)
	}
	if use.secret.File == "" {
		return use, fmt.Errorf("%w: %s names no file for a key; write `key: {file: /etc/airlock/secrets/NAME_ed25519}` there first", errUsage, use.place)
	}
	return use, nil
}

// makeKey writes a private key, whole or not at all, and its public line beside it.
func makeKey(file, comment string) (public string, err error) {
	half, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return "", err
	}
	line, err := ssh.NewPublicKey(half)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	if err := noKeyYet(file); err != nil {
		return "", err
	}
	public = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line))) + " " + comment
	if err := writeHalf(file, pem.EncodeToMemory(block), 0o600); err != nil {
		return "", err
	}
	if err := writeHalf(publicHalf(file), []byte(public+"\n"), 0o644); err != nil {
		return "", errors.Join(err, os.Remove(file))
	}
	return public, nil
}

// publicHalf is where a key's public half lies, as ssh-keygen has it.
func publicHalf(file string) string { return file + ".pub" }

// noKeyYet refuses to make a key where either half lies already.
func noKeyYet(file string) error {
	if fileThere(file) {
		return fmt.Errorf("%s is there already, and was left as it is; its public line shows: ssh-keygen -y -f %s", file, file)
	}
	if half := publicHalf(file); fileThere(half) {
		return fmt.Errorf("%s is there already, and no private key beside it; move it away", half)
	}
	return nil
}

// writeHalf makes a file that is not there yet, whole or not at all.
func writeHalf(file string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("make a key: %w", err), os.Remove(file))
	}
	return nil
}

// explainKey says what to do with a new key.
func (a *app) explainKey(use keyUse, public string) {
	a.print("wrote %s", use.secret.File)
	a.print("wrote %s", publicHalf(use.secret.File))
	fmt.Fprintf(a.out, "\n%s\n\n", public)
	if use.host {
		a.print("On the vault's host write this line as public_key of the client %s in vault.yaml; then pin its keys here: airlock vault keys (there) prints them.", use.url.User)
		return
	}
	a.print("On %s append this line to .ssh/authorized_keys of the user %s, best behind the word restrict and a space.", use.url.Host, use.url.User)
	a.print("Then see what is still missing: airlock check")
}
