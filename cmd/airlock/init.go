package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"airlock/orchestrator"
	"airlock/policies"

	"github.com/spf13/cobra"
)

func (a *app) initCommand() *cobra.Command {
	var site string
	var show bool
	c := &cobra.Command{
		Use:   "init",
		Short: "Make what a site lacks, keep what it has, and print a recovery kit",
		Long:  "Make what a site lacks, and keep what it has: a commented policy file, the state folder, the site's key, the repository. It may be repeated at any time, and touches no door.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if made, err := a.makePolicy(site); made || err != nil {
				return err
			}
			p, err := a.policy()
			if err != nil {
				return err
			}
			made, err := orchestrator.Init(c.Context(), p, parts(p), orchestrator.Options{Command: "init", Actor: actor(), Version: a.version})
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(made)
			}
			return a.recoveryKit(p, made, show || made.Passphrase)
		},
	}
	a.jsonFlag(c)
	c.Flags().StringVar(&site, "site", "my-hospital", "the site's `name`, for a new policy file")
	c.Flags().BoolVar(&show, "show-passphrase", false, "print the repository's passphrase in the recovery kit")
	return c
}

// makePolicy writes a policy file to begin with, if there is none.
func (a *app) makePolicy(site string) (bool, error) {
	if err := os.MkdirAll(filepath.Dir(a.file), 0o755); err != nil {
		return false, err
	}
	f, err := os.OpenFile(a.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = f.Write(policies.Template(site))
	if err = errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	if a.json {
		return true, a.printJSON(map[string]string{"wrote": a.file})
	}
	a.print("wrote %s", a.file)
	a.print("Fill it in, check it with `airlock -c %s check`, and run this command again.", a.file)
	return true, nil
}

// recoveryKit prints what has to be at hand when the hospital's machines are gone.
func (a *app) recoveryKit(p policies.Policy, made orchestrator.Made, show bool) error {
	passphrase := "in " + p.Repository.Passphrase.String() + ". Write it down by hand, or print it with --show-passphrase"
	if show {
		text, err := p.Repository.Passphrase.Read()
		if err != nil {
			return err
		}
		passphrase = text
	}
	var vaults strings.Builder
	for _, name := range keys(p.Vaults) {
		fmt.Fprintf(&vaults, "  vault        %s: %s\n", name, p.Vaults[name].URL)
	}
	release := "told when it was made; if it is lost, remove " + p.State.ReleaseKey() + " and run init again"
	if made.ReleaseKey != "" {
		release = made.ReleaseKey
	}
	news := func(b bool) string {
		if b {
			return "made now"
		}
		return "kept"
	}
	_, err := fmt.Fprintf(a.out, `
RECOVERY KIT / 復旧キット
Print this page and keep it in the safe, away from the hospital's machines.
この用紙を印刷し、院内の機器から離れた金庫に保管してください。

  site         %s
  repository   %s (%s)
  passphrase   %s
%s  public key   %s (%s)
  release key  %s
  ledger       %s

Restore with airlock, once it is installed and this policy file is in place:
  airlock snapshots
  airlock restore SYSTEM --to DIR                                  from the repository
  airlock restore SYSTEM --to DIR --from VAULT --reason TEXT       through the vault's door

Restore with nothing but a vault's disk and the stock kopia program (https://kopia.io):
  kopia repository connect filesystem --readonly --path FOLDER     asks for the passphrase
  kopia snapshot list --all
  kopia snapshot restore ID DIR
Step by step, and from an older generation: docs/disaster.md, docs/disaster.ja.md. Print it too.
手順は docs/disaster.ja.md にあります。一緒に印刷してください。

The release key ends a lockdown without a second person. Only this page has it.
解除キーがあれば、ひとりでも封鎖を解除できます。この用紙にしかありません。

Without the passphrase nothing can be restored, by anybody.
パスフレーズがなければ、誰にも復元できません。
`, p.Site, p.Repository.URL, news(made.Repository), passphrase, vaults.String(), made.PublicKey, news(made.Key), release, p.State.Ledger())
	return err
}
