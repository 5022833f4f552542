package embedded

import (
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"

	"airlock/lab/sshkeys"

	"golang.org/x/crypto/ssh"
)

// What the switch wants to hear before it takes a command. They guard a switch on
// loopback that lives for the length of a demonstration.
const (
	snmpUser    = "airlock"
	snmpAuth    = "embedded-authentication"
	snmpPrivacy = "embedded-privacy"
)

// policy is what the policy file is made from.
type policy struct {
	Dir     string // absolute
	Switch  string // host:port over UDP
	Vault   string // host:port
	Systems []policySystem
}

type policySystem struct{ Name, Title, Address string }

var policyText = template.Must(template.New("airlock.yaml").Funcs(template.FuncMap{
	"text": strconv.Quote, // a Go string of printable characters is a YAML one
	"join": filepath.Join,
	"file": fileURL,
}).Parse(`# A hospital in one process.
site: demo-hospital
timezone: Asia/Tokyo
state: {{join .Dir "state" | text}}

repository:
  url: {{join .Dir "primary" | file | text}}
  passphrase: {file: {{join .Dir "secrets" "repository" | text}}}

switches:
  core:
    driver: snmp
    address: {{text .Switch}}
    snmp:
      version: 3
      user: ` + snmpUser + `
      auth: SHA-256
      auth_password: {file: {{join .Dir "secrets" "snmp-auth" | text}}}
      privacy: AES
      privacy_password: {file: {{join .Dir "secrets" "snmp-privacy" | text}}}

doors:
  ` + VaultDoor + `:
    switch: core
    port: {name: ` + VaultPort + `, alias: vault}
    probe: {{text .Vault}}
  ` + DepartmentsDoor + `:
    switch: core
    port: {name: ` + DepartmentsPort + `, alias: departments}

vaults:
  ` + VaultName + `:
    url: {{printf "sftp://airlock@%s/airlock" .Vault | text}}
    key: {file: {{join .Dir "secrets" "key" | text}}}
    known_hosts: {{join .Dir "known_hosts" | text}}
    door: ` + VaultDoor + `
    inner_door: ` + DepartmentsDoor + `
    window: {schedule: "30 2 * * *", max_open: 5m}
    keep: {last: 3, daily: 14}

systems:
{{- range .Systems}}
  {{.Name}}:
    title: {{.Title}}
    source:
      url: {{printf "sftp://svc@%s/` + backups + `" .Address | text}}
      key: {file: {{join $.Dir "secrets" "key" | text}}}
      known_hosts: {{join $.Dir "known_hosts" | text}}
    schedule: "15 22 * * *"
    rpo: 26h
    rto: 4h
    keep: {last: 3, daily: 7}
    exclude: ["*.tmp"]
{{- if eq .Name "accounting"}}
    ready: {marker: DONE, wait: 1m}
{{- end}}
{{- end}}
`))

// write leaves the policy file, known_hosts and secrets in the hospital's folder.
func (p policy) write(host ssh.PublicKey, key []byte) (file string, err error) {
	secrets := filepath.Join(p.Dir, "secrets")
	if err := os.Mkdir(secrets, 0o700); err != nil {
		return "", err
	}
	for name, secret := range map[string]string{
		"repository":   "embedded correct horse battery staple",
		"snmp-auth":    snmpAuth,
		"snmp-privacy": snmpPrivacy,
		"key":          string(key),
	} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(secret), 0o600); err != nil {
			return "", err
		}
	}
	addresses := []string{p.Vault}
	for _, s := range p.Systems {
		addresses = append(addresses, s.Address)
	}
	if err := sshkeys.WriteKnownHosts(filepath.Join(p.Dir, "known_hosts"), host, addresses...); err != nil {
		return "", err
	}
	var text strings.Builder
	if err := policyText.Execute(&text, p); err != nil {
		return "", err
	}
	file = filepath.Join(p.Dir, "airlock.yaml")
	return file, os.WriteFile(file, []byte(text.String()), 0o600)
}

// fileURL is the file URL of an absolute path; on Windows file:///C:/….
func fileURL(name string) string {
	name = filepath.ToSlash(name)
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	return (&url.URL{Scheme: "file", Path: name}).String()
}
