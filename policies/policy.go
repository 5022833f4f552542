// Package policies turns airlock.yaml into values that have been checked.
//
// Parse reports every mistake of a file at once, each with line, column, the
// offending line and what to write instead. What Parse returned needs no second
// look: references resolve, units are parsed, defaults are filled in, schedules are
// valid and bound to the site's zone, secrets are references and never literals.
// Parsing does no I/O but the look-up of the time zone; secrets are read by
// Secret.Read when they are needed.
//
// The types below are the single source: the yaml tag names the key, the jsonschema
// tag holds what a value may be (Parse and Schema both read it), the example tag is
// what a mistake proposes to write, and the comments are the schema's descriptions.
package policies

import (
	"strings"
	"time"

	"airlock/state"
)

// Policy is one site's policy file.
type Policy struct {
	Site       string             `yaml:"site" jsonschema:"required" example:"lab-hospital"` // letters, digits, - and _
	Timezone   Zone               `yaml:"timezone" jsonschema:"required" example:"Asia/Tokyo"`
	State      state.Folder       `yaml:"state" jsonschema:"required" example:"/var/lib/airlock"` // absolute folder
	Status     Status             `yaml:"status" example:"{listen: \"127.0.0.1:9470\"}"`
	Guard      Guard              `yaml:"guard" example:"{interval: 5s, lease_ttl: 15s}"`
	Patrol     Patrol             `yaml:"patrol" example:"{every: 1m, misses: 3}"`
	Traps      *Traps             `yaml:"traps" example:"{listen: \"0.0.0.0:162\"}"`
	Ledger     Ledger             `yaml:"ledger" example:"{syslog: {url: \"tls://siem.example.org:6514\", ca: /etc/airlock/siem-ca.pem}}"`
	Repository Repository         `yaml:"repository" jsonschema:"required" example:"{url: file:///mnt/nas/airlock, passphrase: {file: /etc/airlock/secrets/repository}}"`
	Switches   map[string]*Switch `yaml:"switches"`
	Doors      map[string]*Door   `yaml:"doors"`
	Vaults     map[string]*Vault  `yaml:"vaults"`
	Systems    map[string]*System `yaml:"systems" jsonschema:"required" example:"{accounting: {source: {url: file:///srv/accounting}, schedule: \"15 22 * * *\"}}"`
}

// Status is where serve answers polls; with no Listen, on the socket only.
type Status struct {
	Listen string `yaml:"listen" example:"\"127.0.0.1:9470\""` // host:port
	// Names by which the status may be asked, besides the machine's own, that of listen and
	// every address.
	Hosts []string `yaml:"hosts" example:"[airlock.example.org]"`
}

// Guard is the dead man's switch: how long a vault's door may stand open after the
// executor was last heard of, and how often the guard looks.
type Guard struct {
	// How often the guard looks at each vault's door; at most lease_ttl, default 5s or less.
	Interval Duration `yaml:"interval" jsonschema:"minimum=500ms" example:"5s"`
	// How long a lease lives after each renewal; the executor renews it three times as
	// often.
	LeaseTTL Duration `yaml:"lease_ttl" jsonschema:"default=15s,minimum=3s,maximum=10m" example:"15s"`
	Ledger   string   `yaml:"ledger" example:"/var/lib/airlock-guard/ledger.db"` // the guard's own, an absolute file; default guard/ledger.db in the state folder
	// The guard's own ways to switches, in place of those that stand under switches by
	// the same names.
	Switches map[string]*Switch `yaml:"switches"`
	// The guard's own public key, which `airlock guard` tells at its start: of a guard on
	// another machine, only what it has signed counts as a sign of life.
	Key string `yaml:"key" example:"\"lab-hospital-guard+e7ac616b+ASNCfqqosTHv5dStGDomIVg6lrU+YLzOHjvtx3c1MByb\""`
	// Where a guard on another machine asks for the leases; without it the guard reads
	// the state folder.
	Leases *Leases `yaml:"leases" example:"{url: \"http://10.78.0.10:9470\", key: \"lab-hospital+e7ac616b+ASNCfqqosTHv5dStGDomIVg6lrU+YLzOHjvtx3c1MByb\"}"`
}

// Leases are how a guard on another machine knows what the executor allows.
type Leases struct {
	URL string `yaml:"url" jsonschema:"required" example:"\"http://10.78.0.10:9470\""`                                             // http or https: where status.listen is reached
	Key string `yaml:"key" jsonschema:"required" example:"\"lab-hospital+e7ac616b+ASNCfqqosTHv5dStGDomIVg6lrU+YLzOHjvtx3c1MByb\""` // the site's public key, keys/site.pub in the state folder
}

// Renewal is the time between two renewals of a lease.
func (g Guard) Renewal() time.Duration { return time.Duration(g.LeaseTTL) / 3 }

// Patrol is how closely serve watches the doors that must be shut.
type Patrol struct {
	Every Duration `yaml:"every" jsonschema:"default=1m,minimum=5s,maximum=1h" example:"1m"` // between two looks at a door
	// A door that could not be read so many times in a row is unknown: an alarm, and no
	// window is held.
	Misses int `yaml:"misses" jsonschema:"minimum=1,maximum=100,default=3" example:"3"`
}

// Traps is where serve awaits what switches tell of their own accord. A switch with
// driver snmp is believed by the credentials that stand under switches.
type Traps struct {
	Listen   string                 `yaml:"listen" jsonschema:"required" example:"\"0.0.0.0:162\""` // host:port; port 162 if none is given
	Switches map[string]*TrapSender `yaml:"switches"`                                               // where traps come from elsewhere, or with other credentials
}

// TrapSender is how the traps of one of the switches are known.
type TrapSender struct {
	From string `yaml:"from" example:"10.78.0.1"` // the host that they come from; default that of the switch's address
	SNMP *SNMP  `yaml:"snmp" example:"{user: traps, auth: SHA-256, auth_password: {file: /etc/airlock/secrets/traps_auth}, privacy: AES, privacy_password: {file: /etc/airlock/secrets/traps_priv}}"`
}

// Ledger says who besides airlock is told what the ledger holds.
type Ledger struct {
	Syslog     *Syslog     `yaml:"syslog" example:"{url: \"tls://siem.example.org:6514\", ca: /etc/airlock/siem-ca.pem}"`
	Timestamps *Timestamps `yaml:"timestamps" example:"{url: \"http://tsa.example.org\", ca: /etc/airlock/tsa-ca.pem}"`
}

// Timestamps are how serve has heads of the ledger stamped by an authority outside
// (RFC 3161).
type Timestamps struct {
	URL   string   `yaml:"url" jsonschema:"required" example:"\"http://tsa.example.org\""` // http or https
	CA    string   `yaml:"ca" jsonschema:"required" example:"/etc/airlock/tsa-ca.pem"`     // a PEM file of the authorities to believe
	Every Duration `yaml:"every" jsonschema:"default=24h,minimum=1h,maximum=30d" example:"24h"`
}

// Syslog is where serve sends every entry of the ledger, for the hospital's SIEM.
type Syslog struct {
	URL      string `yaml:"url" jsonschema:"required" example:"\"tls://siem.example.org:6514\""` // udp, tcp or tls; port 514, for tls 6514, if none is given
	CA       string `yaml:"ca" example:"/etc/airlock/siem-ca.pem"`                               // for tls: a PEM file of the authorities to believe; default the system's
	Facility string `yaml:"facility" jsonschema:"enum=user,enum=daemon,enum=auth,enum=authpriv,enum=audit,enum=local0,enum=local1,enum=local2,enum=local3,enum=local4,enum=local5,enum=local6,enum=local7,default=local0" example:"local0"`
	// An outage of the receiver is an alarm after so long.
	AlarmAfter Duration `yaml:"alarm_after" jsonschema:"default=15m,minimum=1m" example:"15m"`
}

// Receiver is the URL's network, udp, tcp or tls, and its host:port.
func (s Syslog) Receiver() (network, address string) {
	network, address, _ = strings.Cut(s.URL, "://")
	return network, address
}

// Repository is the primary.
type Repository struct {
	URL        URL    `yaml:"url" jsonschema:"required" example:"file:///mnt/nas/airlock"` // file, sftp, smb
	Passphrase Secret `yaml:"passphrase" jsonschema:"required" example:"{file: /etc/airlock/secrets/repository}"`
	Access     `yaml:",inline"`
	Insecure   bool `yaml:"insecure" example:"true"` // only for smb: neither encryption nor signing is asked for
}

// Access is how a server is entered. What is given depends on the URL's scheme: sftp
// wants known_hosts and a key or a password, smb a password, file nothing.
type Access struct {
	Password   Secret `yaml:"password" example:"{file: /etc/airlock/secrets/NAME}"`
	Key        Secret `yaml:"key" example:"{file: /etc/airlock/secrets/NAME_ed25519}"` // an OpenSSH private key
	KnownHosts string `yaml:"known_hosts" example:"/etc/airlock/known_hosts"`          // absolute file, pins the host key
}

// Switch is a way to a switch.
type Switch struct {
	Driver  string `yaml:"driver" jsonschema:"required,enum=snmp,enum=cli" example:"snmp"`
	Address string `yaml:"address" jsonschema:"required" example:"10.78.0.1:161"` // host:port; without a port the driver's own, snmp 161, cli 22
	SNMP    *SNMP  `yaml:"snmp" example:"{user: airlock, auth: SHA-256, auth_password: {env: AIRLOCK_SNMP_AUTH}, privacy: AES, privacy_password: {env: AIRLOCK_SNMP_PRIV}}"`
	CLI     *CLI   `yaml:"cli" example:"{platform: awplus, user: airlock, key: {file: /etc/airlock/secrets/switch_ed25519}, known_hosts: /etc/airlock/known_hosts}"`
}

// SNMP are the credentials of driver snmp. Version 3 is authPriv and nothing less;
// version 2c sends everything in clear and wants insecure: true.
type SNMP struct {
	Version         string `yaml:"version" jsonschema:"enum=3,enum=2c,default=3" example:"3"`
	Insecure        bool   `yaml:"insecure" example:"true"` // only with version 2c
	Community       Secret `yaml:"community" example:"{env: AIRLOCK_SNMP_COMMUNITY}"`
	User            string `yaml:"user" example:"airlock"`
	Auth            string `yaml:"auth" jsonschema:"enum=SHA,enum=SHA-224,enum=SHA-256,enum=SHA-384,enum=SHA-512" example:"SHA-256"`
	AuthPassword    Secret `yaml:"auth_password" example:"{env: AIRLOCK_SNMP_AUTH}"`
	Privacy         string `yaml:"privacy" jsonschema:"enum=AES,enum=AES-192,enum=AES-256,enum=AES-192-C,enum=AES-256-C" example:"AES"`
	PrivacyPassword Secret `yaml:"privacy_password" example:"{env: AIRLOCK_SNMP_PRIV}"`
	Context         string `yaml:"context" example:"vlan-1"`
}

// CLI are platform and credentials of driver cli.
type CLI struct {
	Platform string `yaml:"platform" jsonschema:"required" example:"awplus"` // awplus, cisco_iosxe, arista_eos, frr …
	User     string `yaml:"user" jsonschema:"required" example:"airlock"`
	Access   `yaml:",inline"`
	Enable   Secret `yaml:"enable" example:"{file: /etc/airlock/secrets/switch_enable}"` // the enable password, where the platform asks for one
	// Absolute folder of platform files of one's own, which go before those built in.
	PlatformDir string   `yaml:"platform_dir" example:"/etc/airlock/platforms"`
	Timeout     Duration `yaml:"timeout" jsonschema:"default=30s,minimum=1s,maximum=5m" example:"30s"` // how long one command may take
	// Old SSH algorithms that are spoken nevertheless, for switches without newer ones.
	Legacy []string `yaml:"legacy" jsonschema:"enum=diffie-hellman-group14-sha1,enum=diffie-hellman-group-exchange-sha1,enum=diffie-hellman-group1-sha1,enum=aes128-cbc,enum=3des-cbc,enum=hmac-sha1-96,enum=ssh-rsa" example:"[diffie-hellman-group14-sha1, ssh-rsa]"`
}

// Door is one switch port.
type Door struct {
	Switch string `yaml:"switch" jsonschema:"required" example:"core"`
	Port   Port   `yaml:"port" jsonschema:"required" example:"{name: port1.0.3}"`
	// A second way to the same port, one of switches: when a command is not seen to be
	// carried out by the one, the other is tried, and so on in turn.
	Fallback     string `yaml:"fallback" example:"core-cli"`
	FallbackPort Port   `yaml:"fallback_port" example:"{name: port1.0.3}"` // the port as the second way calls it; default port
	Probe        string `yaml:"probe" example:"10.77.0.13:22"`             // host:port that must not answer while the door is shut
	// One host:port or several, on the probe's segment and reachable whatever becomes of the
	// door: the probe's silence counts only while one of them answers.
	Control Addresses `yaml:"control,lone" example:"10.77.0.1:22"`
	// What the line behind the port carries, where that is less than the port's own speed.
	Speed Rate `yaml:"speed" example:"1Gbit/s"`
	// How long the switch may take until a command is seen to be carried out.
	OpenWithin  Duration `yaml:"open_within" jsonschema:"default=30s" example:"30s"`
	ProveWithin Duration `yaml:"prove_within" jsonschema:"default=60s" example:"60s"` // then the door is stuck
	// The switch's own timer, which shuts the port when nobody else does: auto sets it at
	// each opening where one of the door's ways can, and does not open without it.
	Timer string `yaml:"timer" jsonschema:"enum=auto,enum=none,default=auto" example:"auto"`
}

// TimerNone is the Timer of a door that does without the switch's own.
const TimerNone = "none"

// Port says which port; all that is given must match one row.
type Port struct {
	Name        string `yaml:"name" example:"port1.0.3"`    // ifName
	Alias       string `yaml:"alias" example:"vault"`       // ifAlias
	Description string `yaml:"description" example:"vault"` // ifDescr
	Index       int    `yaml:"index" jsonschema:"minimum=1,maximum=2147483647" example:"3"`
}

// Vault is a secondary behind a door.
type Vault struct {
	URL       URL `yaml:"url" jsonschema:"required" example:"sftp://airlock@10.77.0.13/srv/vault"` // file, sftp, smb
	Access    `yaml:",inline"`
	Insecure  bool   `yaml:"insecure" example:"true"` // only for smb: neither encryption nor signing is asked for
	Door      string `yaml:"door" jsonschema:"required" example:"vault-door"`
	InnerDoor string `yaml:"inner_door" example:"departments-door"` // shut and proven shut before the door opens
	Window    Window `yaml:"window" jsonschema:"required" example:"{schedule: \"30 2 * * *\", max_open: 45m}"`
	// Which generations are kept; default last 10, daily 14, weekly 8, monthly 12. With a
	// receipt_key the vault's host decides that, by its own rules.
	Keep Keep `yaml:"keep" example:"{last: 10, daily: 14}"`
	// What keep may drop at all, and how long that may take while the door is open.
	Retention VaultRetention `yaml:"retention" example:"{min_count: 3, min_age: 14d, brake: 5, budget: 20s}"`
	// What is read back in each window, where no host gives a receipt.
	ReadBack ReadBack `yaml:"read_back" example:"{bytes: 32MiB}"`
	// The public key of the vault's host, which `airlock vault serve` tells there. A window
	// is done only with a receipt by this key.
	ReceiptKey string `yaml:"receipt_key" example:"\"kita-vault+ef4ce9b8+AWCL2S7t7u1WVdNb6MAJopYCEGxtWxMMRZcH6RQHWtsd\""`
}

// VaultRetention bounds what keep may drop from a vault whose host has no rules of its
// own. Ages are counted from a generation's window by the site's clock.
type VaultRetention struct {
	Retention `yaml:",inline"`
	// How long dropping may take in one window while the door is open; what is left is
	// dropped in the next.
	Budget Duration `yaml:"budget" jsonschema:"default=20s,minimum=1s,maximum=1h" example:"20s"`
}

// ReadBack is what a window reads back from a vault that gives no receipts: the sizes of
// all blobs, and the bytes of a sample.
type ReadBack struct {
	// No more than this is read back, of blobs chosen at random, those just sent as well
	// as older ones: ranges of large ones, small ones whole.
	Bytes Size `yaml:"bytes" jsonschema:"default=4MiB" example:"32MiB"`
}

// Window is when, and for how long at the most, a vault's door stands open.
type Window struct {
	Schedule Schedule `yaml:"schedule" jsonschema:"required" example:"\"30 2 * * *\""`
	MaxOpen  Duration `yaml:"max_open" jsonschema:"required,maximum=24h" example:"45m"`
	// A vault that does not answer for so long after its door was opened will not: the
	// door is shut again. The default outlasts a port's spanning-tree delay.
	AnswerWithin Duration `yaml:"answer_within" jsonschema:"default=60s" example:"60s"`
}

// Keep says which snapshots or generations are kept: each that one of the rules names.
// Last are the newest ones. Every other rule takes the newest of each period that has
// any, for so many periods back from the newest, by the site's wall clock: daily: 14
// keeps one a day for 14 days. A rule that is not given keeps nothing by itself; with
// no keep at all, last 10, daily 14, weekly 8 and monthly 12 are kept.
type Keep struct {
	Last    int `yaml:"last" jsonschema:"minimum=0,maximum=100000" example:"10"`
	Hourly  int `yaml:"hourly" jsonschema:"minimum=0,maximum=100000" example:"24"`
	Daily   int `yaml:"daily" jsonschema:"minimum=0,maximum=100000" example:"14"`
	Weekly  int `yaml:"weekly" jsonschema:"minimum=0,maximum=100000" example:"8"` // ISO weeks
	Monthly int `yaml:"monthly" jsonschema:"minimum=0,maximum=100000" example:"12"`
	Annual  int `yaml:"annual" jsonschema:"minimum=0,maximum=100000" example:"3"`
}

// System is a departmental system.
type System struct {
	Title      string          `yaml:"title" example:"医事会計"` // as people call it, in any language
	Source     Source          `yaml:"source" jsonschema:"required" example:"{url: file:///srv/accounting}"`
	Schedule   Schedule        `yaml:"schedule" jsonschema:"required" example:"\"15 22 * * *\""`
	RPO        Duration        `yaml:"rpo" example:"26h"` // the age of the newest snapshot at the most
	RTO        Duration        `yaml:"rto" example:"4h"`  // the time that a restore may take
	Keep       Keep            `yaml:"keep" example:"{last: 10, daily: 14}"`
	Limits     Limits          `yaml:"limits" example:"{bandwidth: 40MB/s}"`
	Ready      Ready           `yaml:"ready" example:"{marker: DONE, wait: 2h}"`
	Include    []string        `yaml:"include" example:"[\"**/*.dump\"]"` // globs, ** spans folders; none is everything
	Exclude    []string        `yaml:"exclude" example:"[\"*.tmp\"]"`     // globs
	Expect     Expect          `yaml:"expect" example:"{min_files: 100, shrink: 50%}"`
	Retention  SystemRetention `yaml:"retention" example:"{min_age: 14d, brake: 3}"`                            // what keep may drop at all
	AlwaysRead []string        `yaml:"always_read" jsonschema:"default=*.hc,default=*.tc" example:"[\"*.hc\"]"` // globs; read each time, whatever their size and times say; the default are VeraCrypt's
	Stalled    Duration        `yaml:"stalled" jsonschema:"default=10m,minimum=10s,maximum=1d" example:"10m"`   // a source that gives nothing for so long has failed

	zone *time.Location // the site's, for QuietHours
}

// Source is where a system's backups are read.
type Source struct {
	URL      URL `yaml:"url" jsonschema:"required" example:"smb://svc-backup@10.77.0.11/backup$/accounting"` // smb, sftp, file
	Access   `yaml:",inline"`
	Insecure bool `yaml:"insecure" example:"true"` // only for smb: neither encryption nor signing is asked for
}

// Limits protect the department's server.
type Limits struct {
	Bandwidth   Rate         `yaml:"bandwidth" example:"40MB/s"`                                                               // bytes a second; 0 is no limit
	Concurrency int          `yaml:"concurrency" jsonschema:"minimum=1,maximum=256,default=4" example:"4"`                     // files read at once
	Retries     int          `yaml:"retries" jsonschema:"minimum=1,maximum=20,default=8" example:"8"`                          // times a lost connection is tried again, each after twice the time, up to a minute
	Entries     int          `yaml:"entries" jsonschema:"minimum=1000,maximum=1000000000,default=20000000" example:"20000000"` // files and folders at the most, and a 200th of it folders in a row without a file
	Listing     Size         `yaml:"listing" jsonschema:"default=64MiB" example:"64MiB"`                                       // memory for lists of files at a time, about 200 bytes a file
	QuietHours  []ClockRange `yaml:"quiet_hours" jsonschema:"maxItems=48" example:"[\"08:30-17:30\"]"`                         // in the site's zone; nothing is read in them
}

// Ready makes a gathering wait for the department's own marker file.
type Ready struct {
	Marker string   `yaml:"marker" jsonschema:"required" example:"DONE"` // relative to the source
	Wait   Duration `yaml:"wait" jsonschema:"required" example:"2h"`     // then the gathering fails
}

// Duration is a span of time in YAML's "26h", "45m", "1h30m", "7d".
type Duration time.Duration

// Rate is bytes a second: "40MB/s", "10MiB/s".
type Rate int64

// Size is a number of bytes: "50GB", "8TB".
type Size int64
