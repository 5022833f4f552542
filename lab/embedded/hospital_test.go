package embedded

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"testing"
	"time"

	"airlock/policies"
	"airlock/sshconn"
	"airlock/switchctl"
	"airlock/switchctl/snmp"

	"github.com/pkg/sftp"
)

// start runs a hospital and reads its policy file as airlock does.
func start(t *testing.T) (*Hospital, *policies.Policy) {
	t.Helper()
	h, err := Start(filepath.Join(t.TempDir(), "病院"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	text, err := os.ReadFile(h.PolicyFile)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policies.Parse(h.PolicyFile, text)
	if err != nil {
		t.Fatal(err)
	}
	return h, p
}

func secret(t *testing.T, s policies.Secret) string {
	t.Helper()
	text, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// enter opens an SFTP session as the policy says.
func enter(t *testing.T, u policies.URL, a policies.Access) (*sftp.Client, error) {
	t.Helper()
	conn, err := sshconn.Dial(t.Context(), sshconn.Config{
		Address: u.Address(), User: u.User, Key: []byte(secret(t, a.Key)), KnownHosts: a.KnownHosts,
	})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	return sftp.NewClient(conn)
}

// door finds the port of a door as the policy says.
func door(t *testing.T, p *policies.Policy, name string) switchctl.Port {
	t.Helper()
	d := p.Doors[name]
	s := p.Switches[d.Switch]
	sw, err := snmp.Dial(t.Context(), snmp.Config{
		Address: s.Address, Version: s.SNMP.Version, User: s.SNMP.User,
		Auth: s.SNMP.Auth, AuthPassword: secret(t, s.SNMP.AuthPassword),
		Privacy: s.SNMP.Privacy, PrivacyPassword: secret(t, s.SNMP.PrivacyPassword),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sw.Close() })
	port, err := sw.Find(t.Context(), switchctl.Lookup{Name: d.Port.Name, Alias: d.Port.Alias})
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func tell(t *testing.T, p switchctl.Port, admin switchctl.Admin) {
	t.Helper()
	if err := p.Set(t.Context(), admin); err != nil {
		t.Fatal(err)
	}
}

func TestPolicySourcesCanBeRead(t *testing.T) {
	h, p := start(t)
	for _, s := range h.Systems {
		source := p.Systems[s.Name].Source
		c, err := enter(t, source.URL, source.Access)
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for walk := c.Walk(source.URL.Path); walk.Step(); {
			if walk.Err() != nil {
				t.Fatal(walk.Err())
			}
			if walk.Stat().Mode().IsRegular() {
				seen++
			}
		}
		if seen < 9 {
			t.Errorf("%s: %d files over SFTP", s.Name, seen)
		}
	}
}

func TestVaultIsBehindItsDoor(t *testing.T) {
	h, p := start(t)
	v := p.Vaults[VaultName]
	port := door(t, p, v.Door)
	if _, err := enter(t, v.URL, v.Access); err == nil {
		t.Fatal("the vault answers with its door shut")
	}
	tell(t, port, switchctl.AdminUp)
	c, err := enter(t, v.URL, v.Access)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Mkdir(v.URL.Path); err != nil {
		t.Fatal(err)
	}
	put(t, c, path.Join(v.URL.Path, "blob"), "bytes")
	holds(t, filepath.Join(h.VaultDir, "blob"), "bytes")

	r, err := port.Read(t.Context())
	if err != nil || r.InOctets == 0 || r.OutOctets == 0 {
		t.Errorf("octets after a transfer: %+v, %v", r, err)
	}
	tell(t, port, switchctl.AdminDown)
	if _, err := c.Stat(v.URL.Path); err == nil {
		t.Error("a session went on through a shut door")
	}
	if _, err := enter(t, v.URL, v.Access); err == nil {
		t.Error("the vault answers with its door shut again")
	}
}

func TestInnerDoorCutsTheDepartments(t *testing.T) {
	h, p := start(t)
	port := door(t, p, p.Vaults[VaultName].InnerDoor)
	source := p.Systems["imaging"].Source
	tell(t, port, switchctl.AdminDown)
	if _, err := enter(t, source.URL, source.Access); err == nil {
		t.Error("a department answers with its door shut")
	}
	tell(t, port, switchctl.AdminUp)
	if _, err := enter(t, source.URL, source.Access); err != nil {
		t.Error(err)
	}
	var ups []bool
	for _, x := range h.Ports() {
		if x.Port == DepartmentsPort {
			ups = append(ups, x.Up)
		}
	}
	if len(ups) != 3 || !ups[0] || ups[1] || !ups[2] {
		t.Errorf("transitions of %s: %v; want up, down, up", DepartmentsPort, ups)
	}
}

func TestPortsTellWhenTheyChanged(t *testing.T) {
	h, p := start(t)
	port := door(t, p, VaultDoor)
	before := time.Now()
	tell(t, port, switchctl.AdminUp)
	between := time.Now()
	tell(t, port, switchctl.AdminDown)
	after := time.Now()

	all := h.Ports()
	if len(all) != 3 {
		t.Fatalf("transitions: %v; want p1 up, p3 up, p3 down", all)
	}
	up, down := all[1], all[2]
	if up.Port != VaultPort || !up.Up || up.At.Before(before) || up.At.After(between) {
		t.Errorf("up: %+v; want %s between %v and %v", up, VaultPort, before, between)
	}
	if down.Port != VaultPort || down.Up || down.At.Before(between) || down.At.After(after) {
		t.Errorf("down: %+v; want %s between %v and %v", down, VaultPort, between, after)
	}
}

func TestSecondNightChanges(t *testing.T) {
	h, _ := start(t)
	if err := h.SecondNight(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(h.Systems[1].Dir, "2026-04-07")); err != nil {
		t.Error(err)
	}
}

func TestSecretsAreTheOwnersAlone(t *testing.T) {
	h, _ := start(t)
	entries, err := os.ReadDir(filepath.Join(filepath.Dir(h.PolicyFile), "secrets"))
	if err != nil || len(entries) == 0 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want 0600", e.Name(), info.Mode(), err)
		}
	}
}

func TestStartRefusesAFolderInUse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if h, err := Start(dir); err == nil {
		h.Close()
		t.Fatal("a hospital was made among somebody's files")
	}
}

func TestCloseEndsEverything(t *testing.T) {
	h, p := start(t)
	source := p.Systems["imaging"].Source
	c, err := enter(t, source.URL, source.Access)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Stat("/"); err == nil {
		t.Error("a session outlived the hospital")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := sshconn.Dial(ctx, sshconn.Config{Address: source.URL.Address(), User: "svc", KnownHosts: source.KnownHosts}); err == nil {
		t.Error("a server outlived the hospital")
	}
}
