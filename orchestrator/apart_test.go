package orchestrator

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/policies"
)

// S16: a vault that is the repository, or another vault, is found by what its folder is,
// whatever it is called.
func TestApart(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"primary/sub", "vault", "other"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"link": "primary", "up": "."} {
		if err := os.Symlink(filepath.Join(dir, to), filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	here := func(name string) string { return "file://" + filepath.Join(dir, name) }
	for _, c := range []struct{ vault, repository, other, want string }{
		{here("vault"), here("primary"), here("other"), ""},
		{here("vault"), here("vault2"), here("vault-3"), ""},
		{here("primary"), here("primary"), here("other"), "is the same place as the repository"},
		{here("link"), here("primary"), here("other"), "is the same place as the repository"},
		{here("link/sub"), here("primary"), here("other"), "lies in the repository"},
		{here("up/primary/sub/none/yet"), here("primary"), here("other"), "lies in the repository"},
		{here("primary/not-yet"), here("link"), here("other"), "lies in the repository"},
		{here("."), here("primary"), here("other"), "lies around the repository"},
		{here("vault"), here("primary"), here("up/vault"), "is the same place as vault second"},
		{here("vault/a"), here("primary"), here("vault"), "lies in vault second"},
		{"sftp://a@nas/srv/vault", "sftp://b@NAS:22/srv/vault/", here("other"), "is the same place as the repository"},
		{"sftp://a@nas/srv/vault", "sftp://b@nas/srv", here("other"), "lies in the repository"},
		{"sftp://a@nas/srv/vault", "sftp://b@nas:2222/srv/vault", here("other"), ""},
		{"sftp://a@nas/srv/vault", "sftp://a@nas/srv/vault2", "sftp://a@nas/srv/vault1", ""},
		{"smb://a@nas/Backup/vault", "smb://b@nas/backup/Vault/x", here("other"), "lies around the repository"},
		{"smb://a@nas/backup", here("primary"), "smb://a@nas/backup", "is the same place as vault second"},
	} {
		p := policies.Policy{Vaults: map[string]*policies.Vault{"first": {URL: url(t, c.vault)}, "second": {URL: url(t, c.other)}}}
		p.Repository.URL = url(t, c.repository)
		err := Apart(p, "first")
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s beside %s and %s: %v, want %q", c.vault, c.repository, c.other, err, c.want)
		}
	}
}

func url(t *testing.T, text string) (u policies.URL) {
	t.Helper()
	if err := u.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return u
}
