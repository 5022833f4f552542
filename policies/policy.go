// Package policies turns airlock.yaml into values that have been checked.
//
// Parse reports every mistake of a file at once, each with line, column, the
// offending line and what to write instead. What Parse returned needs no second
// look: references resolve, units are parsed, schedules are valid, secrets are
// references and never literals. It does no I/O; secrets are read by Secret.Read
// when they are needed.
package policies

import "time"

// Policy is one site's policy file.
type Policy struct {
	Site       string             `yaml:"site"`
	Timezone   Zone               `yaml:"timezone"`
	State      string             `yaml:"state"` // absolute folder
	Status     Status             `yaml:"status"`
	Repository Repository         `yaml:"repository"`
	Switches   map[string]*Switch `yaml:"switches"`
	Doors      map[string]*Door   `yaml:"doors"`
	Vaults     map[string]*Vault  `yaml:"vaults"`
	Systems    map[string]*System `yaml:"systems"`
}

// Status is where serve answers polls; with no Listen, on the socket only.
type Status struct {
	Listen string `yaml:"listen"` // host:port
}

// Repository is the primary.
type Repository struct {
	URL        URL    `yaml:"url"` // file, sftp
	Passphrase Secret `yaml:"passphrase"`
	Access     `yaml:",inline"`
}

// Access is how a server is entered: what is given depends on the URL's scheme.
type Access struct {
	Password   Secret `yaml:"password"`
	Key        Secret `yaml:"key"`         // an OpenSSH private key
	KnownHosts string `yaml:"known_hosts"` // absolute file, pins the host key
}

// Switch is a way to a switch.
type Switch struct {
	Driver  string `yaml:"driver"` // snmp, cli
	Address string `yaml:"address"`
	SNMP    *SNMP  `yaml:"snmp"`
	CLI     *CLI   `yaml:"cli"`
}

// SNMP are the credentials of driver snmp.
type SNMP struct {
	Version         string `yaml:"version"` // 3, 2c
	Insecure        bool   `yaml:"insecure"`
	Community       Secret `yaml:"community"`
	User            string `yaml:"user"`
	Auth            string `yaml:"auth"` // SHA, SHA-224, SHA-256, SHA-384, SHA-512
	AuthPassword    Secret `yaml:"auth_password"`
	Privacy         string `yaml:"privacy"` // AES, AES-192, AES-256, AES-192-C, AES-256-C
	PrivacyPassword Secret `yaml:"privacy_password"`
	Context         string `yaml:"context"`
}

// CLI are platform and credentials of driver cli.
type CLI struct {
	Platform string `yaml:"platform"`
	User     string `yaml:"user"`
	Access   `yaml:",inline"`
	Enable   Secret `yaml:"enable"`
}

// Door is one switch port.
type Door struct {
	Switch string `yaml:"switch"`
	Port   Port   `yaml:"port"`
	Probe  string `yaml:"probe"` // host:port that must not answer while the door is shut
	// How long the switch may take until a command is seen to be carried out.
	OpenWithin  Duration `yaml:"open_within"`  // default 30s
	ProveWithin Duration `yaml:"prove_within"` // default 60s; then the door is stuck
}

// Port says which port; all that is given must match one row.
type Port struct {
	Name        string `yaml:"name"`
	Alias       string `yaml:"alias"`
	Description string `yaml:"description"`
	Index       int    `yaml:"index"`
}

// Vault is a secondary behind a door.
type Vault struct {
	URL       URL `yaml:"url"` // file, sftp
	Access    `yaml:",inline"`
	Door      string `yaml:"door"`
	InnerDoor string `yaml:"inner_door"`
	Window    Window `yaml:"window"`
	Keep      Keep   `yaml:"keep"`
}

// Window is when, and for how long at the most, a vault's door stands open.
type Window struct {
	Schedule Schedule `yaml:"schedule"`
	MaxOpen  Duration `yaml:"max_open"`
}

// Keep says which snapshots or generations are kept.
type Keep struct {
	Last    int `yaml:"last"`
	Hourly  int `yaml:"hourly"`
	Daily   int `yaml:"daily"`
	Weekly  int `yaml:"weekly"`
	Monthly int `yaml:"monthly"`
	Annual  int `yaml:"annual"`
}

// System is a departmental system.
type System struct {
	Title    string   `yaml:"title"` // as people call it, in any language
	Source   Source   `yaml:"source"`
	Schedule Schedule `yaml:"schedule"`
	RPO      Duration `yaml:"rpo"` // the age of the newest snapshot at the most
	RTO      Duration `yaml:"rto"` // the time that a restore may take
	Keep     Keep     `yaml:"keep"`
	Limits   Limits   `yaml:"limits"`
	Ready    Ready    `yaml:"ready"`
	Include  []string `yaml:"include"`
	Exclude  []string `yaml:"exclude"`
}

// Source is where a system's backups are read.
type Source struct {
	URL    URL `yaml:"url"` // smb, sftp, file
	Access `yaml:",inline"`
}

// Limits protect the department's server.
type Limits struct {
	Bandwidth   Rate         `yaml:"bandwidth"`   // bytes a second; 0 is no limit
	Concurrency int          `yaml:"concurrency"` // files read at once; default 4
	QuietHours  []ClockRange `yaml:"quiet_hours"` // in the site's zone; nothing is read in them
}

// Ready makes a gathering wait for the department's own marker file.
type Ready struct {
	Marker string   `yaml:"marker"` // relative to the source
	Wait   Duration `yaml:"wait"`
}

// Duration is a span of time in YAML's "26h", "45m", "1h30m", "7d".
type Duration time.Duration

// Rate is bytes a second: "40MB/s", "10MiB/s".
type Rate int64
