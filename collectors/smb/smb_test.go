package smb_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/collectors"
	"airlock/collectors/collecttest"
	"airlock/collectors/smb"
	"airlock/smbconn"
)

func config(s *collecttest.SMB) smb.Config {
	return smb.Config{Conn: smbconn.Config{Address: s.Address, User: s.User, Password: s.Password, Share: s.Share}}
}

func dial(c smb.Config) collectors.Dial {
	return func(ctx context.Context) (collectors.Source, error) { return smb.Dial(ctx, c) }
}

func fixture(t testing.TB, settings ...string) collecttest.Fixture {
	dir := collecttest.Dir(t)
	server := collecttest.StartSMB(t, dir, settings...)
	return collecttest.Fixture{
		Dir:    dir,
		Server: &server.Server,
		Dial:   dial(config(server)),
		Linked: func(every time.Duration) collectors.Dial {
			c := config(server)
			c.Conn.Address, c.Conn.KeepAlive = server.Link.Address, every
			return dial(c)
		},
	}
}

func TestSource(t *testing.T) {
	t.Run("signed", func(t *testing.T) { collecttest.Run(t, fixture(t, "server smb encrypt = off")) })
	t.Run("encrypted", func(t *testing.T) { collecttest.Run(t, fixture(t, "smb encrypt = required")) })
}

func BenchmarkSource(b *testing.B) {
	b.Run("insecure", func(b *testing.B) {
		dir := collecttest.Dir(b)
		c := config(collecttest.StartSMB(b, dir))
		c.Conn.Insecure = true
		collecttest.Bench(b, collecttest.Fixture{Dir: dir, Dial: dial(c)})
	})
	b.Run("signed", func(b *testing.B) { collecttest.Bench(b, fixture(b, "server smb encrypt = off")) })
	b.Run("encrypted", func(b *testing.B) { collecttest.Bench(b, fixture(b)) })
}

func TestDial(t *testing.T) {
	dir := collecttest.Dir(t)
	server := collecttest.StartSMB(t, dir)
	if err := os.MkdirAll(filepath.Join(dir, "医事/会計"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "医事/file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*smb.Config)
		want   error
	}{
		"folder in share": {func(c *smb.Config) { c.Root = "/医事/会計/" }, nil},
		"DOMAIN\\user":    {func(c *smb.Config) { c.Conn.User = `HOSPITAL\nobody` }, nil},
		"DOMAIN;user":     {func(c *smb.Config) { c.Conn.User = `HOSPITAL;nobody` }, nil},
		"missing folder":  {func(c *smb.Config) { c.Root = "missing" }, fs.ErrNotExist},
		"root is a file":  {func(c *smb.Config) { c.Root = "医事/file" }, fs.ErrInvalid},
		"root leads out":  {func(c *smb.Config) { c.Root = "医事/../.." }, fs.ErrInvalid},
		"missing share":   {func(c *smb.Config) { c.Conn.Share = "other" }, fs.ErrNotExist},
		"wrong password":  {func(c *smb.Config) { c.Conn.Password = "other" }, collectors.ErrAuth},
		"wrong user":      {func(c *smb.Config) { c.Conn.User = "other" }, collectors.ErrAuth},
		"nobody listens":  {func(c *smb.Config) { c.Conn.Address = "127.0.0.1:1" }, collectors.ErrGone},
	} {
		c := config(server)
		test.change(&c)
		src, err := smb.Dial(t.Context(), c)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), server.Password) {
			t.Errorf("S13: %s: the password is in the error: %v", name, err)
		}
		if err == nil {
			if err := src.Close(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
