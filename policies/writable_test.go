package policies

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFiles(t *testing.T) {
	p, err := Parse("airlock.yaml", []byte(recorded))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/etc/airlock/known_hosts", "/etc/airlock/secrets/hidden-community", "/etc/airlock/secrets/hidden-key", "/etc/airlock/secrets/hidden-repository",
		"/var/lib/airlock", "/var/lib/airlock/keys", "/var/lib/airlock/keys/receipt.key", "/var/lib/airlock/keys/receipt.pub", "/var/lib/airlock/keys/release.sha256",
		"/var/lib/airlock/keys/site.key", "/var/lib/airlock/keys/site.pub", "/var/lib/airlock/keys/ssh_host_ed25519", "/var/lib/airlock/policy.last.yaml"}
	if got := Files(p); !slices.Equal(got, want) {
		t.Errorf("the policy names %q, not %q", got, want)
	}
}

// S7: whoever may write the policy file chooses which port is opened.
func TestWritable(t *testing.T) {
	for _, c := range []struct {
		file, folder os.FileMode
		says         []string
	}{
		{0o600, 0o700, nil},
		{0o644, 0o755, nil},
		{0o664, 0o755, []string{"mode 0664", "run: chmod go-w FILE"}},
		{0o602, 0o755, []string{"mode 0602", "run: chmod go-w FILE"}},
		{0o600, 0o777, []string{"mode 0777", "run: chmod go-w FOLDER"}},
		{0o600, 0o770, []string{"mode 0770", "run: chmod go-w FOLDER"}},
		{0o600, 0o777 | os.ModeSticky, nil},
		{0o666, 0o775, []string{"mode 0666", "mode 0775"}},
	} {
		folder := filepath.Join(t.TempDir(), "etc")
		file := filepath.Join(folder, "airlock.yaml")
		for _, err := range []error{os.Mkdir(folder, 0o700), os.WriteFile(file, nil, 0o600), os.Chmod(file, c.file), os.Chmod(folder, c.folder)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		link := filepath.Join(t.TempDir(), "link.yaml")
		if err := os.Symlink(file, link); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{file, link} {
			err := Writable(path)
			if (err == nil) != (c.says == nil) {
				t.Errorf("%v in %v: %v", c.file, c.folder, err)
			}
			for _, say := range c.says {
				if say = strings.NewReplacer("FILE", path, "FOLDER", folder).Replace(say); !strings.Contains(err.Error(), say) {
					t.Errorf("%v in %v: %v; it does not say %q", c.file, c.folder, err, say)
				}
			}
		}
	}
	lone := filepath.Join(t.TempDir(), "file")
	if err := errors.Join(os.WriteFile(lone, nil, 0o600), os.Chmod(lone, 0o666|os.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	if Writable(lone) == nil {
		t.Error("a file that all may write is nobody's alone, be it sticky")
	}
	far := filepath.Join(t.TempDir(), "a", "b", "c")
	if err := errors.Join(os.MkdirAll(far, 0o755), os.Chmod(filepath.Dir(filepath.Dir(far)), 0o777)); err != nil {
		t.Fatal(err)
	}
	if Writable(filepath.Join(far, ".")) == nil {
		t.Error("whoever may rename a folder above replaces all below")
	}
	sticky := t.TempDir()
	for mode, refused := range map[os.FileMode]bool{0o777: true, 0o777 | os.ModeSticky: false, 0o755: false} {
		if err := os.Chmod(sticky, mode); err != nil {
			t.Fatal(err)
		}
		if err := Writable(sticky); (err != nil) != refused {
			t.Errorf("a folder with %v: %v", mode, err)
		}
	}
	if err := Writable(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("of a file that is not there: %v", err)
	}
}

// S7: a file of another user is that user's to change.
func TestForeignFile(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("not root, who may give files away")
		}
		t.Skip("not root, who may give files away")
	}
	file := filepath.Join(t.TempDir(), "airlock.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Writable(file); err != nil {
		t.Error(err)
	}
	if err := os.Chown(file, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := Writable(file); err == nil || !strings.Contains(err.Error(), "run: chown 0 "+file) {
		t.Errorf("a file of nobody's: %v", err)
	}
}
