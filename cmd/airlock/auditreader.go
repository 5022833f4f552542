package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"airlock/policies"
)

// sitesFile is a site's policy file, where -c names no other.
const sitesFile = "/etc/airlock/airlock.yaml"

// readersPolicy is the policy file of whoever reads a ledger. One that is named needs none,
// as on the vault's own host, and no broken one is in its way: an audit is most needed where
// something is broken. Of a policy file there, the time zone is taken; without any it is the
// machine's, which is told where a file should have said it.
func (a *app) readersPolicy(ledgerFile string) (policies.Policy, error) {
	p, err := a.policy()
	if err == nil || ledgerFile == "" {
		return p, err
	}
	zone, found := hostZone(a.file)
	if !found && a.file == sitesFile {
		if _, there := os.Stat(a.file); errors.Is(there, fs.ErrNotExist) {
			err = nil // nobody named it
			zone, found = hostZone(vaultFile)
		}
	}
	if found {
		return policies.Policy{Timezone: zone}, nil
	}
	if err != nil {
		fmt.Fprintf(a.errs, "airlock: %s\n", a.text("%s; times are in this machine's time zone", a.words.tell(broken(err))))
	}
	return policies.Policy{Timezone: policies.Zone{Location: time.Local}}, nil
}

// hostZone is the time zone that the policy file of a vault's own host says.
func hostZone(file string) (policies.Zone, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return policies.Zone{}, false
	}
	host, err := policies.ParseVaultHost(file, text)
	if err != nil {
		return policies.Zone{}, false
	}
	return host.Timezone, true
}
