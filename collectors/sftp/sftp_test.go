package sftp_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"airlock/collectors"
	"airlock/collectors/collecttest"
	"airlock/collectors/sftp"
	"airlock/sshconn"
)

func config(s *collecttest.SSH, root string) sftp.Config {
	return sftp.Config{
		SSH:  sshconn.Config{Address: s.Address, User: s.User, Key: s.Key, KnownHosts: s.KnownHosts},
		Root: root,
	}
}

func dial(c sftp.Config) collectors.Dial {
	return func(ctx context.Context) (collectors.Source, error) { return sftp.Dial(ctx, c) }
}

func fixture(t testing.TB) collecttest.Fixture {
	dir, server := collecttest.Dir(t), collecttest.StartSSH(t)
	return collecttest.Fixture{
		Dir:    dir,
		POSIX:  true,
		Server: &server.Server,
		Dial:   dial(config(server, dir)),
		Linked: func(every time.Duration) collectors.Dial {
			c := config(server, dir)
			c.SSH.Address, c.SSH.KeepAlive = server.Link.Address, every
			return dial(c)
		},
	}
}

func TestSource(t *testing.T) { collecttest.Run(t, fixture(t)) }

func BenchmarkSource(b *testing.B) { collecttest.Bench(b, fixture(b)) }

func TestDialRefused(t *testing.T) {
	dir, server := collecttest.Dir(t), collecttest.StartSSH(t)
	other := collecttest.StartSSH(t)
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*sftp.Config)
		want   error
	}{
		"missing root":     {func(c *sftp.Config) { c.Root += "/missing" }, fs.ErrNotExist},
		"root is a file":   {func(c *sftp.Config) { c.Root += "/file" }, fs.ErrInvalid},
		"wrong key":        {func(c *sftp.Config) { c.SSH.Key = other.Key }, collectors.ErrAuth},
		"unknown host key": {func(c *sftp.Config) { c.SSH.KnownHosts = other.KnownHosts }, collectors.ErrNotEntered},
		"nobody listens":   {func(c *sftp.Config) { c.SSH.Address = "127.0.0.1:1" }, collectors.ErrGone},
	} {
		c := config(server, dir)
		test.change(&c)
		src, err := sftp.Dial(t.Context(), c)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if err == nil {
			src.Close()
		}
	}
}

// What somebody changes between the server and airlock is found.
func TestChangedBytesAreFound(t *testing.T) {
	dir := collecttest.Dir(t)
	server := collecttest.StartSSH(t)
	if err := os.WriteFile(filepath.Join(dir, "file"), make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	c := config(server, dir)
	c.SSH.Address = server.Link.Address
	src, err := sftp.Dial(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	f, err := src.Open(t.Context(), "file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	server.Link.Spoil(func(b []byte) { b[len(b)/2] ^= 4 })
	if n, err := f.ReadAt(make([]byte, 1<<20), 0); !errors.Is(err, collectors.ErrGone) {
		t.Errorf("read %d bytes, %v, want %v", n, err, collectors.ErrGone)
	}
}
