package policies_test

import (
	"fmt"
	"strings"
	"testing"

	"airlock/policies"
)

// Every mistake in a vault host's policy file is told at once, each with its line and
// with what to do.
func TestVaultHostMistakes(t *testing.T) {
	sound := string(exampleVault(t))
	for _, c := range []struct{ line, with, want string }{
		{"vault: kita-vault", "vault: kita vault", `the name "kita vault" is not usable`},
		{"vault: kita-vault", "valt: kita-vault", "valt"},
		{"timezone: Asia/Tokyo", "timezone: Asia/Kita", "Asia/Kita"},
		{"folder: /srv/vault", "folder: srv/vault #", "srv/vault"},
		{"folder: /srv/vault", "folder: / #", "the whole machine"},
		{"state: /var/lib/airlock-vault", "state: /srv", "lie in one another"},
		{"state: /var/lib/airlock-vault", "state: /srv/vault/../vault/state", "lie in one another"},
		{`listen: "10.77.0.13:22"`, `listen: "10.77.0.13:99999" #`, "99999"},
		{`site_key: "lab-hospital`, `site_key: "PRIVATE+KEY+other`, "not a site's public key"},
		{"    public_key:", "    publik_key:", "publik_key"},
		{"public_key: \"ssh-ed25519 AAAA", "public_key: \"ssh-ed25519 BBBB", "not the public half of an SSH key"},
		{"public_key: \"ssh-ed25519", "public_key: \"command=\\\"sh\\\" ssh-ed25519", "not the public half of an SSH key"},
		{"keep: {last: 10,", "keep: {last: -1,", "-1"},
		{"min_count: 3,", "min_count: 0,", "min_count"},
		{"min_age: 14d,", "min_age: soon,", "soon"},
		{"brake: 5}", "brake: 0}", "brake"},
		{"quota: 8TB", "quota: 8 ells", "8 ells"},
		{"floor: 50GB", "floor: -1GB", "-1GB"},
		{"floor: 50GB", "read_all: 2h", "not between 1d and 366d"},
		{"floor: 50GB", "limits: {idle: 1s}", "not between 10s and 1d"},
		{"floor: 50GB", "limits: {connections: 0}", "connections"},
		{"floor: 50GB", "limits: {open_files: 10000000}", "open_files"},
		{"floor: 50GB", "limits: {logins: many}", "many"},
		{"floor: 50GB", "limits: {bandwidth: fast}", "fast"},
	} {
		if strings.Count(sound, c.line) != 1 {
			t.Fatalf("%q is not once in the example", c.line)
		}
		text := strings.Replace(sound, c.line, c.with, 1)
		line := 1 + strings.Count(sound[:strings.Index(sound, c.line)], "\n")
		_, err := policies.ParseVaultHost("vault.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), fmt.Sprintf("vault.yaml:%d:", line)) {
			t.Errorf("%s: wants line %d and %q:\n%v", c.with, line, c.want, err)
		}
		if err != nil && strings.Contains(err.Error(), "PRIVATE+KEY") {
			t.Errorf("S13: a key that may be private is shown:\n%v", err)
		}
	}
	all := "vault: a b\ntimezone: Nowhere/Else\nfolder: x\nstate: y\nlisten: \"\"\nsite_key: z\nclients: {}\n"
	_, err := policies.ParseVaultHost("vault.yaml", []byte(all))
	for line := range 7 {
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("vault.yaml:%d:", line+1)) {
			t.Errorf("nothing is said of line %d:\n%v", line+1, err)
		}
	}
}

// A client without a key is a mistake, and no more than that.
func TestVaultHostClientWithoutKey(t *testing.T) {
	sound := string(exampleVault(t))
	at := strings.Index(sound, "    public_key:")
	end := at + strings.Index(sound[at:], "\n")
	for _, with := range []string{"", "    {}", "    null", "    public_key:", "    public_key: null"} {
		if _, err := policies.ParseVaultHost("vault.yaml", []byte(sound[:at]+with+sound[end:])); err == nil {
			t.Errorf("%q was taken", with)
		}
	}
}

// Whatever the file, it is a policy or a list of mistakes.
func FuzzVaultHost(f *testing.F) {
	f.Add(exampleVault(f))
	f.Add([]byte("clients: {a: }"))
	f.Add([]byte("vault: &a [*a]"))
	f.Add([]byte("keep: {last: 99999999999999999999}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := policies.ParseVaultHost("vault.yaml", data)
		if (h == nil) == (err == nil) {
			t.Fatal("neither a policy nor a mistake, or both")
		}
		if err == nil && (h.Retention.MinCount < 1 || h.Retention.Brake < 1 || h.Limits.Connections < 1 || h.Limits.OpenFiles < 1 || h.Limits.Logins < 1 || h.Limits.Idle <= 0 || len(h.Clients) == 0 || h.Floor < 0 || h.Quota < 0) {
			t.Fatalf("%+v", h)
		}
	})
}

// exampleVault is the example with keys in the places of its placeholders.
func exampleVault(t testing.TB) []byte {
	t.Helper()
	return []byte(strings.NewReplacer(
		"REPLACE by the line in keys/site.pub in the orchestrator's state folder", "lab-hospital+f7c8489e+AbobGtYU0psrlep1n40yNYx+k6eAJyAcu85KKV4r3Wi0",
		"REPLACE by the public half of the key that vaults.NAME.key names", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF5LfFdbCAcoDFJRJsczmdn+bSOhHy4JkyY9YcURucjZ",
	).Replace(string(read(t, "../examples/vault.yaml"))))
}

// The example as it is, with nobody's keys, is refused, and the message says what is missing.
func TestUntouchedExample(t *testing.T) {
	_, err := policies.ParseVaultHost("vault.yaml", read(t, "../examples/vault.yaml"))
	for _, want := range []string{"site_key still is the placeholder", "public_key still is the placeholder", "keys/site.pub"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("wants %q: %v", want, err)
		}
	}
}
