// Package state knows what lies where in a site's state folder.
package state

import "path/filepath"

// Folder is the state folder of a site: an absolute path. Each file in it has one owner, by
// whom its format is told.
type Folder string

func (f Folder) in(names ...string) string {
	return filepath.Join(append([]string{string(f)}, names...)...)
}

// Ledger is the executor's ledger (package ledger).
func (f Folder) Ledger() string { return f.in("ledger.db") }

// Lock is held by whoever is the executor.
func (f Folder) Lock() string { return f.in("lock") }

// Socket is where the executor takes orders (package console).
func (f Folder) Socket() string { return f.in("airlock.sock") }

// Lockdown is there while a lockdown stands (package lease).
func (f Folder) Lockdown() string { return f.in("lockdown.json") }

// Leases is the folder of the doors' leases (package lease).
func (f Folder) Leases() string { return f.in("leases") }

// Doors is the folder of the doors' ports; Port, which port a door is (package lease).
func (f Folder) Doors() string           { return f.in("doors") }
func (f Folder) Port(door string) string { return f.in("doors", door+".json") }

// LastPolicy is the policy by which an executor ran last. It holds references to secrets, and
// none.
func (f Folder) LastPolicy() string { return f.in("policy.last.yaml") }

// Keys is the folder of the site's keys.
func (f Folder) Keys() string { return f.in("keys") }

// The files of the site's keys.
func (f Folder) SiteKey() string    { return f.in("keys", "site.key") }       // by which it signs
func (f Folder) PublicKey() string  { return f.in("keys", "site.pub") }       // its public half
func (f Folder) FormerKey() string  { return f.in("keys", "former.pub") }     // of the machine whose place this one took
func (f Folder) ReleaseKey() string { return f.in("keys", "release.sha256") } // what the key of the recovery kit hashes to

// Vaults is the folder of what is remembered of vaults; Vault, of one (package vault).
func (f Folder) Vaults() string           { return f.in("vaults") }
func (f Folder) Vault(name string) string { return f.in("vaults", name) }

// Place is which folder a vault's was; Head, the newest head of the ledger that the vault has.
func (f Folder) Place(vault string) string { return f.in("vaults", vault, "place.json") }
func (f Folder) Head(vault string) string  { return f.in("vaults", vault, "head.note") }

// Source is which folder a system's was; Seen, what was unchanged in it.
func (f Folder) Source(system string) string { return f.in("sources", system+".json") }
func (f Folder) Seen(system string) string   { return f.in("sources", system+".seen") }

// Verified is how far the ledger was verified; Proofs, the folder of contradictions; Syslog,
// what was forwarded of it (package custody).
func (f Folder) Verified() string { return f.in("verified.json") }
func (f Folder) Proofs() string   { return f.in("proofs") }
func (f Folder) Syslog() string   { return f.in("syslog.json") }

// Sessions is the folder of what was said to switches (package switchctl/cli).
func (f Folder) Sessions() string { return f.in("sessions") }

// Fetched is where what comes from a vault lies until it is restored.
func (f Folder) Fetched() string { return f.in("fetched") }

// GuardLedger is where the guard's ledger lies if the policy says nothing else.
func (f Folder) GuardLedger() string { return f.in("guard", "ledger.db") }
