package embedded

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"airlock/lab/sshkeys"
	"airlock/sshconn"

	"github.com/pkg/sftp"
)

// client connects to a new server for a new folder, its host key pinned.
func client(t *testing.T, writable bool) (*sftp.Client, string) {
	t.Helper()
	folder := t.TempDir()
	host, _, err := sshkeys.New("host")
	if err != nil {
		t.Fatal(err)
	}
	user, private, err := sshkeys.New("user")
	if err != nil {
		t.Fatal(err)
	}
	s, err := serve(folder, writable, host, user.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := sshkeys.WriteKnownHosts(known, host.PublicKey(), s.address()); err != nil {
		t.Fatal(err)
	}
	conn, err := sshconn.Dial(context.Background(), sshconn.Config{Address: s.address(), User: "svc", Key: private, KnownHosts: known})
	if err != nil {
		t.Fatal(err)
	}
	c, err := sftp.NewClient(conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		conn.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, folder
}

func put(t *testing.T, c *sftp.Client, name, text string) {
	t.Helper()
	f, err := c.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write([]byte(text))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func holds(t *testing.T, file, want string) {
	t.Helper()
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Fatalf("%s: %q, %v; want %q", file, got, err, want)
	}
}

func TestServerStoresAndRenames(t *testing.T) {
	c, folder := client(t, true)
	if err := c.MkdirAll("/金庫/incoming"); err != nil {
		t.Fatal(err)
	}
	put(t, c, "/金庫/incoming/a", "whole")
	if err := c.Rename("/金庫/incoming/a", "/金庫/a"); err != nil {
		t.Fatal(err)
	}
	holds(t, filepath.Join(folder, "金庫", "a"), "whole")
	if _, err := os.Stat(filepath.Join(folder, "金庫", "incoming", "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the old name: %v", err)
	}
}

func TestServerRenameDoesNotReplace(t *testing.T) {
	c, folder := client(t, true)
	put(t, c, "/old", "kept")
	put(t, c, "/new", "not taken")
	if c.Rename("/new", "/old") == nil {
		t.Fatal("rename replaced a file")
	}
	holds(t, filepath.Join(folder, "old"), "kept")
	holds(t, filepath.Join(folder, "new"), "not taken")
	if _, err := c.OpenFile("/old", os.O_WRONLY|os.O_CREATE|os.O_EXCL); err == nil {
		t.Fatal("an exclusive create opened a file that exists")
	}
}

func TestServerReadOnly(t *testing.T) {
	c, folder := client(t, false)
	file := filepath.Join(folder, "医事会計.dump")
	if err := os.WriteFile(file, []byte("rows"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, try := range map[string]func() error{
		"create": func() error { _, err := c.Create("/new"); return err },
		"open":   func() error { _, err := c.OpenFile("/医事会計.dump", os.O_WRONLY); return err },
		"mkdir":  func() error { return c.Mkdir("/new") },
		"remove": func() error { return c.Remove("/医事会計.dump") },
		"rename": func() error { return c.Rename("/医事会計.dump", "/new") },
		"posix":  func() error { return c.PosixRename("/医事会計.dump", "/new") },
		"chmod":  func() error { return c.Chmod("/医事会計.dump", 0o777) },
	} {
		if err := try(); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v; want permission denied", what, err)
		}
	}
	entries, err := c.ReadDir("/")
	if err != nil || len(entries) != 1 || entries[0].Name() != "医事会計.dump" {
		t.Fatalf("%v, %v", entries, err)
	}
	f, err := c.Open("/医事会計.dump")
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if _, err := f.ReadAt(got, 0); err != nil || string(got) != "rows" {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestServerNamesStayWithin(t *testing.T) {
	c, folder := client(t, true)
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(folder, "link")); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	for _, name := range []string{"/link", "/../" + outside, "../../../../../../.." + outside} {
		if _, err := c.Open(name); err == nil {
			t.Errorf("%s led out of the folder", name)
		}
	}
	info, err := c.Lstat("/link")
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("lstat: %v, %v", info, err)
	}
}

func TestServerMissing(t *testing.T) {
	c, _ := client(t, true)
	if _, err := c.Stat("/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat: %v", err)
	}
	if _, err := c.ReadDir("/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("list: %v", err)
	}
	if _, err := c.Open("/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: %v", err)
	}
}

func TestServerRefusesOtherKeys(t *testing.T) {
	host, _, _ := sshkeys.New("host")
	user, _, _ := sshkeys.New("user")
	_, stranger, _ := sshkeys.New("stranger")
	s, err := serve(t.TempDir(), false, host, user.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := sshkeys.WriteKnownHosts(known, host.PublicKey(), s.address()); err != nil {
		t.Fatal(err)
	}
	_, err = sshconn.Dial(context.Background(), sshconn.Config{Address: s.address(), User: "svc", Key: stranger, KnownHosts: known})
	if !errors.Is(err, sshconn.ErrAuth) {
		t.Fatalf("%v; want ErrAuth", err)
	}
}
