package policies

import (
	"fmt"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"

	"airlock/policies/yamldoc"
)

// VaultHost is the policy file of a vault's own host, which `airlock vault` reads there.
type VaultHost struct {
	Vault    string `yaml:"vault" jsonschema:"required" example:"kita-vault"` // the host's own name, which its receipts bear; letters, digits, - and _
	Timezone Zone   `yaml:"timezone" jsonschema:"required" example:"Asia/Tokyo"`
	Folder   string `yaml:"folder" jsonschema:"required" example:"/srv/vault"`                                                               // absolute; what is served. Nothing else may write there
	State    string `yaml:"state" jsonschema:"required" example:"/var/lib/airlock-vault"`                                                    // absolute folder outside of it: keys, index, ledger
	Listen   string `yaml:"listen" jsonschema:"required" example:"\"10.77.0.13:22\""`                                                        // host:port; port 22 if none is given
	HostKey  Secret `yaml:"host_key" example:"{file: /etc/airlock/secrets/vault_host_ed25519}"`                                              // an OpenSSH private key; default one of its own, made at the first start
	SiteKey  string `yaml:"site_key" jsonschema:"required" example:"\"lab-hospital+e7ac616b+ASNCfqqosTHv5dStGDomIVg6lrU+YLzOHjvtx3c1MByb\""` // the site's public key, keys/site.pub in its state folder
	// Who may send and read; each under the user name by which it logs in.
	Clients   map[string]*VaultClient `yaml:"clients" jsonschema:"required" example:"{airlock: {public_key: \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF5LfFdbCAcoDFJRJsczmdn+bSOhHy4JkyY9YcURucjZ\"}}"`
	Keep      Keep                    `yaml:"keep" example:"{last: 10, daily: 14}"` // default last 10, daily 14, weekly 8, monthly 12
	Retention HostRetention           `yaml:"retention" example:"{min_count: 3, min_age: 14d, brake: 5}"`
	Quota     Size                    `yaml:"quota" example:"8TB"`                           // what may lie there at the most; default as much as the disk takes
	Floor     Size                    `yaml:"floor" jsonschema:"default=1GB" example:"50GB"` // what stays free on the disk
	// What of the room only windows which the site announces, by its signature, may take: who
	// has a client's key alone cannot fill it. Default a tenth of quota, nothing without one.
	Reserve Size        `yaml:"reserve" example:"800GB"`
	ReadAll Duration    `yaml:"read_all" jsonschema:"default=30d,minimum=1d,maximum=366d" example:"30d"` // within how long all is read again by verify
	Limits  VaultLimits `yaml:"limits" example:"{connections: 16, idle: 5m}"`
}

// VaultClient is one who may log in.
type VaultClient struct {
	PublicKey string `yaml:"public_key" jsonschema:"required" example:"\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF5LfFdbCAcoDFJRJsczmdn+bSOhHy4JkyY9YcURucjZ\""` // one line, as in authorized_keys, without options
}

// Retention bounds what keep may drop. Ages are counted from a generation's arrival by
// the vault's own clock.
type Retention struct {
	MinCount int      `yaml:"min_count" jsonschema:"minimum=1,maximum=100000,default=3" example:"3"` // those of the newest so many days that have any always stay
	MinAge   Duration `yaml:"min_age" jsonschema:"default=14d" example:"14d"`                        // nothing younger is dropped
	// No more generations than these are dropped in one run: if more would be, none is, and
	// a person must look.
	Brake int `yaml:"brake" jsonschema:"minimum=1,maximum=100000,default=5" example:"5"`
}

// HostRetention is how a vault's own host keeps.
type HostRetention struct {
	Retention `yaml:",inline"`
	// If a day brings more generations than these, nothing is dropped until a person has
	// looked: somebody else may have made them.
	WindowsPerDay int `yaml:"windows_per_day" jsonschema:"minimum=1,maximum=100000,default=24" example:"24"`
	// How long blobs wait for a generation that lists them, as those of a window that was cut
	// do; then they go.
	Strays Duration `yaml:"strays" jsonschema:"default=30d,minimum=1d,maximum=366d" example:"30d"`
}

// VaultLimits protect the vault's host.
type VaultLimits struct {
	Connections int      `yaml:"connections" jsonschema:"minimum=1,maximum=1000,default=16" example:"16"`  // of logged-in clients at once
	Logins      int      `yaml:"logins" jsonschema:"minimum=1,maximum=100000,default=60" example:"60"`     // attempts a minute from one address
	OpenFiles   int      `yaml:"open_files" jsonschema:"minimum=40,maximum=10000,default=64" example:"64"` // per connection; airlock itself sends 32 files at once
	Bandwidth   Rate     `yaml:"bandwidth" example:"100MB/s"`                                              // of all that arrives; default no limit
	Idle        Duration `yaml:"idle" jsonschema:"default=5m,minimum=10s,maximum=1d" example:"5m"`         // a client that asks nothing for so long is cut
}

// ParseVaultHost reads the policy file of a vault's host, as Parse reads a site's.
func ParseVaultHost(file string, data []byte) (*VaultHost, error) {
	var h VaultHost
	if err := form.Read(file, data, &h, func(d *yamldoc.Doc) { reader{d}.checkVaultHost(&h) }); err != nil {
		return nil, err
	}
	return &h, nil
}

func (r reader) checkVaultHost(h *VaultHost) {
	if h.Vault != "" {
		r.CheckName(r.Value("vault"), h.Vault)
	}
	h.Folder, h.State = r.absolute("folder", h.Folder), r.absolute("state", h.State)
	if h.Folder == "/" {
		r.Add(r.Value("folder"), "the folder is the whole machine", "give the vault a folder of its own, best a disk of its own")
	}
	if within(h.State, h.Folder) || within(h.Folder, h.State) {
		r.Add(r.Value("state"), "state and folder lie in one another", "give state a folder outside of what is served, such as /var/lib/airlock-vault")
	}
	r.addressAt("listen", &h.Listen, 22)
	if _, _, err := net.SplitHostPort(h.Listen); h.Listen != "" && err != nil {
		h.Listen = net.JoinHostPort(strings.Trim(h.Listen, "[]"), "22")
	}
	r.noteKey("site_key", h.SiteKey, "a site's public key", "write the line that stands in keys/site.pub in the orchestrator's state folder; `airlock init` makes it")
	r.checkVaultClients(h.Clients)
	r.keep("keep", &h.Keep)
	switch {
	case h.Reserve == 0:
		h.Reserve = h.Quota / 10
	case h.Quota > 0 && h.Reserve >= h.Quota:
		r.Add(r.Value("reserve"), fmt.Sprintf("a reserve of %s leaves nothing of the quota of %s to clients that announce no window, such as stock programs", h.Reserve, h.Quota), "give a part of the quota, such as a tenth")
	}
}

// within says whether a path is another or lies below it.
func within(p, above string) bool {
	return p != "" && above != "" && (p == above || strings.HasPrefix(p, strings.TrimSuffix(above, "/")+"/"))
}

// placeholder says whether a key still is what the example has in its place.
func (r reader) placeholder(at, value, fix string) bool {
	if !strings.HasPrefix(value, "REPLACE ") {
		return false
	}
	r.Add(r.Value(at), r.Name(at)+" still is the placeholder of the example", fix)
	return true
}

// noteKey checks a public key in the form of golang.org/x/mod/sumdb/note. One that is
// wrong is not shown: it may be the private one.
func (r reader) noteKey(at, key, what, fix string) (name string) {
	if key == "" {
		return ""
	}
	if r.placeholder(at, key, fix) {
		return ""
	}
	v, err := note.NewVerifier(key)
	if err != nil {
		r.Hide(at)
		r.Add(r.Value(at), r.Name(at)+" is not "+what, fix)
		return ""
	}
	return v.Name()
}

func (r reader) checkVaultClients(clients map[string]*VaultClient) {
	if r.Given("clients") && clients != nil && len(clients) == 0 {
		r.Add(r.Key("clients"), "no client is named", "write the user name of one below it, and below that its public_key")
	}
	for _, name := range sorted(clients) {
		at := "clients." + name + ".public_key"
		const fix = "write the one line of the file that ends in .pub, such as \"ssh-ed25519 AAAA…\""
		if clients[name].PublicKey == "" || r.placeholder(at, clients[name].PublicKey, fix) {
			continue
		}
		_, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(clients[name].PublicKey))
		if err != nil || len(options)+len(strings.TrimSpace(string(rest))) > 0 {
			r.Hide(at) // it may be the private one
			r.Add(r.Value(at), "public_key is not the public half of an SSH key", fix)
		}
	}
}
