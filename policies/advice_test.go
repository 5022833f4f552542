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
		"":                   "[{vault-door probe}]",
		"probe: 10.0.0.3:22": "[{vault-door control}]",
		"probe: 10.0.0.3:22, control: 10.0.0.9:22":                    "[]",
		"probe: 10.0.0.3:22, control: ['10.0.0.9:22', '10.0.0.8:80']": "[]",
	} {
		p, err := Parse("policy", fmt.Appendf(nil, strings.Replace(adviceText, ", %s", ", %[1]s", 1), keys))
		if keys == "" {
			p, err = Parse("policy", []byte(strings.Replace(adviceText, ", %s", "", 1)))
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(p.Advice()); got != want {
			t.Errorf("%s: %s, want %s", keys, got, want)
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
