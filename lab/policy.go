//go:build linux

package lab

import (
	"strings"
	"text/template"
)

var policyText = template.Must(template.New("airlock.yaml").Parse(`# The lab, as its hospital's IT would write it.
site: lab-hospital
timezone: Asia/Tokyo
state: {{.Dir}}/state
status: {listen: "127.0.0.1:9470"}

repository:
  url: file://{{.Dir}}/primary
  passphrase: {file: {{.Dir}}/secrets/repository}

switches:
  core:
    driver: snmp
    address: ` + switchAddress + `:161
    snmp:
      version: 3
      user: ` + SNMPUser + `
      auth: SHA-256
      auth_password: {file: {{.Dir}}/secrets/snmp-auth}
      privacy: AES
      privacy_password: {file: {{.Dir}}/secrets/snmp-privacy}

doors:
  vault-door:
    switch: core
    port: {name: ` + VaultPort + `}
    probe: ` + vaultAddress + `:22
  departments-door:
    switch: core
    port: {name: ` + DepartmentsPort + `}

vaults:
  secondary:
    url: sftp://` + sshUser + `@` + vaultAddress + `{{.VaultDir}}
    key: {file: {{.Dir}}/secrets/key}
    known_hosts: {{.Dir}}/known_hosts
    door: vault-door
    inner_door: departments-door
    window: {schedule: "30 2 * * *", max_open: 45m}
    keep: {last: 3, daily: 14, weekly: 8, monthly: 12}

systems:
  accounting:
    title: 医事会計
    source:
      url: smb://` + smbUser + `@` + departmentsAddress + `/` + smbShare + `/accounting
      password: {file: {{.Dir}}/secrets/smb}
    schedule: "15 22 * * 1-6"
    rpo: 50h
    rto: 4h
    keep: {last: 3, daily: 7, weekly: 4}
    limits: {concurrency: 4}
    ready: {marker: DONE, wait: 1m}
    exclude: ["*.tmp", "~$*"]
{{- range $name, $title := .SFTP}}
  {{$name}}:
    title: {{$title}}
    source:
      url: sftp://` + sshUser + `@` + departmentsAddress + `{{$.SystemDir $name}}
      key: {file: {{$.Dir}}/secrets/key}
      known_hosts: {{$.Dir}}/known_hosts
    schedule: "@hourly"
    rpo: 26h
    rto: 4h
    keep: {last: 3, daily: 7}
{{- end}}
`))

// policy is the text of the policy file.
func (h *Hospital) policy() (string, error) {
	var text strings.Builder
	err := policyText.Execute(&text, struct {
		*Hospital
		SFTP map[string]string // name and title
	}{h, map[string]string{"imaging": "画像診断", "ophthalmology": "眼科"}})
	return text.String(), err
}
