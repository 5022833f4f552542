package policies

import (
	"fmt"
	"strings"
	"testing"
)

const adviceText = `
site: test
timezone: Asia/Tokyo
state: /var/lib/airlock
repository: {url: file:///nas, passphrase: {file: /etc/passphrase}}
switches: {core: {driver: snmp, address: 10.0.0.1, snmp: {version: 2c, insecure: true, community: {env: C}}}}
doors:
  vault-door: {switch: core, port: {name: p3}, %s}
systems: {one: {source: {url: file:///one}, schedule: "@daily"}}
`

// S3: what makes a silence believable is asked for; one control may stand alone, several
// in a list.
func TestAdvice(t *testing.T) {
	for keys, want := range map[string]string{
		"":                   "doors.vault-door: it has no probe",
		"probe: 10.0.0.3:22": "doors.vault-door: it has a probe and no control",
		"probe: 10.0.0.3:22, control: 10.0.0.9:22":                    "",
		"probe: 10.0.0.3:22, control: ['10.0.0.9:22', '10.0.0.8:80']": "",
	} {
		p, err := Parse("policy", fmt.Appendf(nil, strings.Replace(adviceText, ", %s", ", %[1]s", 1), keys))
		if keys == "" {
			p, err = Parse("policy", []byte(strings.Replace(adviceText, ", %s", "", 1)))
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := said(p.Remarks()); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", keys, got, want)
		}
	}
	for keys, want := range map[string]string{
		"control: 10.0.0.9:22":                                       "control is given without probe",
		"probe: 10.0.0.3:22, control: 10.0.0.3:22":                   "the control is the probe itself",
		"probe: 10.0.0.3:22, control: 10.0.0.9":                      "control",
		"probe: 10.0.0.3:22, control: {a: b}":                        "control",
		"probe: 10.0.0.3:22, control: ['10.0.0.9:22', '10.0.0.8:x']": "control",
	} {
		if _, err := Parse("policy", fmt.Appendf(nil, adviceText, keys)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", keys, err, want)
		}
	}
}

func said(all []Remark) string {
	var texts []string
	for _, r := range all {
		texts = append(texts, r.Key+": "+r.Text)
	}
	return strings.Join(texts, "\n")
}

// What looks right and is not what somebody meant is told.
func TestRemarks(t *testing.T) {
	const text = `
site: test
timezone: %s
state: /var/lib/airlock
repository: {url: file:///nas, passphrase: {file: /etc/passphrase}}
systems: {one: {source: {url: file:///one}, schedule: %q%s}}
`
	for _, c := range []struct{ zone, schedule, keys, want string }{
		{"Asia/Tokyo", "15 22 * * *", ", rpo: 26h", ""},
		{"Asia/Tokyo", "15 22 * * 1-6", "", ""},
		{"Asia/Tokyo", "15 22 * * 1-6", ", rpo: 50h", ""},
		{"Asia/Tokyo", "15 22 * * 1-6", ", rpo: 26h", "systems.one.rpo: 26h cannot be kept: by schedule and quiet hours, up to 48h lie between two runs, and a run takes its time; write 50h or more"},
		{"Asia/Tokyo", "@daily", ", rpo: 2h", "up to 24h lie"},
		{"Asia/Tokyo", "0 3 1 1 *", ", rpo: 26h", "systems.one.rpo"},
		{"Asia/Tokyo", "@every 4h", ", rpo: 5h", ""},
		{"Asia/Tokyo", "@every 4h", ", rpo: 4h", "up to 4h lie"},
		{"Europe/Berlin", "0 22 * * *", ", rpo: 25h", "up to 25h lie"}, // the night of autumn
		{"Asia/Tokyo", "0 * * * *", ", rpo: 3h, limits: {quiet_hours: ['08:00-18:00']}", "up to 11h lie"},
		{"Asia/Tokyo", "0 3 1 * 1", "", "systems.one.schedule: it names days of the month and days of the week"},
		{"Etc/GMT+9", "@daily", "", "timezone: Etc/GMT+9 is UTC-9"},
	} {
		p, err := Parse("policy", fmt.Appendf(nil, text, c.zone, c.schedule, c.keys))
		if err != nil {
			t.Fatal(err)
		}
		if got := said(p.Remarks()); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s %s%s: %q, want %q", c.zone, c.schedule, c.keys, got, c.want)
		}
	}
}
