package policies

import (
	"slices"
	"strings"
	"testing"
)

const recorded = `site: kita
timezone: Asia/Tokyo
state: /var/lib/airlock
repository: {url: file:///mnt/nas/airlock, passphrase: {file: /etc/airlock/secrets/hidden-repository}}
switches:
  core:
    driver: snmp
    address: 10.78.0.1:161
    snmp: {version: 2c, insecure: true, community: {file: /etc/airlock/secrets/hidden-community}}
doors:
  vault-door: {switch: core, port: {name: p3}, probe: "10.77.0.13:22"}
vaults:
  secondary:
    url: sftp://airlock@10.77.0.13/srv/vault
    key: {file: /etc/airlock/secrets/hidden-key}
    known_hosts: /etc/airlock/known_hosts
    door: vault-door
    window: {schedule: "30 2 * * *", max_open: 45m}
systems:
  accounting: {source: {url: file:///srv/accounting}, schedule: "15 22 * * *", keep: {last: 10, daily: 14}}
`

func TestRecord(t *testing.T) {
	p, err := Parse("airlock.yaml", []byte(recorded))
	if err != nil {
		t.Fatal(err)
	}
	got := p.Record()
	for key, want := range map[string]string{
		"doors.vault-door.port.name":       "p3",
		"doors.vault-door.probe":           "10.77.0.13:22",
		"doors.vault-door.prove_within":    "1m", // a default
		"guard.lease_ttl":                  "15s",
		"repository.url":                   "file:///mnt/nas/airlock",
		"switches.core.address":            "10.78.0.1:161",
		"switches.core.snmp.insecure":      "true",
		"systems.accounting.keep.daily":    "14",
		"vaults.secondary.known_hosts":     "/etc/airlock/known_hosts",
		"vaults.secondary.url":             "sftp://airlock@10.77.0.13/srv/vault",
		"vaults.secondary.window.max_open": "45m",
		"vaults.secondary.window.schedule": "30 2 * * *",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, not %q", key, got[key], want)
		}
	}
	for key, value := range got { // S13
		if strings.Contains(value, "hidden") || strings.Contains(key, "community") || key == "vaults.secondary.key" {
			t.Errorf("the record holds %s: %s", key, value)
		}
	}
}

func TestRecordChanges(t *testing.T) {
	before, err := Parse("airlock.yaml", []byte(recorded))
	if err != nil {
		t.Fatal(err)
	}
	edit := strings.NewReplacer("p3", "p2", "45m", "24h", `, probe: "10.77.0.13:22"`, "", `driver: snmp`, "driver: snmp\n    # a remark")
	after, err := Parse("airlock.yaml", []byte(edit.Replace(recorded)))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"doors.vault-door.port.name: p2, was p3",
		"doors.vault-door.probe: not given any more, was 10.77.0.13:22",
		"vaults.secondary.window.max_open: 24h, was 45m",
	}
	if got := RecordChanges(before.Record(), after.Record()); !slices.Equal(got, want) {
		t.Errorf("changed:\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := RecordChanges(nil, map[string]string{"doors.d.probe": "h:22"}); !slices.Equal(got, []string{"doors.d.probe: h:22, not given before"}) {
		t.Errorf("changed: %q", got)
	}
}
