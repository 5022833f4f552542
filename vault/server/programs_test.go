package server

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/vault"
	"airlock/vault/vaulttest"
)

// stock is a program that others have made, and a besieged host.
type stock struct {
	*world
	program string
	before  map[string]lain
	key     string // its file
	port    string
}

// withStock starts a host for a program. In CI it must be there.
func withStock(t *testing.T, program string) *stock {
	path, err := exec.LookPath(program)
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("%v; lab/install.sh installs it", err)
	case err != nil:
		t.Skip(err)
	}
	w, before := besieged(t, usual())
	s := &stock{world: w, program: path, before: before, key: filepath.Join(w.dir, "key")}
	if err := os.WriteFile(s.key, w.client.private, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, s.port, err = net.SplitHostPort(w.conn.Address); err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs the program, and says what it printed. That it fails is what is wanted of
// most of them.
func (s *stock) run(stdin string, args ...string) (output string, failed error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, s.program, args...)
	c.Stdin = strings.NewReader(stdin)
	c.Env = append(os.Environ(), "HOME="+s.dir, "RESTIC_PASSWORD=attack", "RCLONE_INPLACE=true", "RCLONE_CONFIG="+filepath.Join(s.dir, "rclone.conf"), "XDG_CACHE_HOME="+s.dir)
	out, err := c.CombinedOutput()
	if ctx.Err() != nil {
		s.t.Errorf("%s %q hangs:\n%s", s.program, args, out)
	}
	return string(out), err
}

// S9: OpenSSH's sftp puts and gets, and that is all that it can do.
func TestOpenSSH(t *testing.T) {
	s := withStock(t, "sftp")
	mine := filepath.Join(s.dir, "mine")
	data := vaulttest.Random(7, 300_000)
	if err := os.WriteFile(mine, data, 0o644); err != nil {
		t.Fatal(err)
	}
	f := s.conf.Folder
	args := []string{"-b", "-", "-P", s.port, "-i", s.key, "-o", "IdentitiesOnly=yes", "-o", "UserKnownHostsFile=" + s.conn.KnownHosts, "-o", "GlobalKnownHostsFile=none", "-R", "64", "airlock@127.0.0.1"}
	var batch strings.Builder
	for _, name := range []string{vault.BlobPath("kopia.repository"), vault.GenerationPath(1), vault.SignaturePath(2), ".shards"} {
		name = f + "/" + name
		for _, command := range []string{"put %[2]s %[1]s", "put -a %[2]s %[1]s", "put -p %[2]s %[1]s", "reput %[2]s %[1]s", "rm %[1]s", "rename %[1]s " + f + "/away", "rename -l %[1]s " + f + "/away",
			"rename " + f + "/" + vault.BlobPath("kopia.maintenance") + " %[1]s", "ln %[1]s " + f + "/hard", "ln -s %[1]s " + f + "/soft", "chmod 777 %[1]s", "chown 0 %[1]s", "chgrp 0 %[1]s", "rmdir %[1]s", "mkdir %[1]s"} {
			fmt.Fprintf(&batch, "-"+command+"\n", name, mine)
		}
	}
	fmt.Fprintf(&batch, "-rmdir %[1]s/p\n-rm %[1]s/*\n-rm %[1]s/generations/*\n-rename %[1]s/generations %[1]s/away\n-put %[2]s %[1]s/../outside\n-get /etc/passwd %[2]s.passwd\n-ls -la /etc\n", f, mine)
	out, err := s.run(batch.String(), args...)
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	if _, err := os.Stat(mine + ".passwd"); err == nil {
		t.Error("a file outside was read")
	}
	s.unchanged(s.before)

	out, err = s.run(fmt.Sprintf("cd %[1]s\nmkdir honest\nput -p %[2]s honest/copy\nls -la honest\ndf %[1]s\nget honest/copy %[2]s.back\n", f, mine), args...)
	back, unread := os.ReadFile(mine + ".back")
	if err != nil || unread != nil || !bytes.Equal(back, data) {
		t.Errorf("an honest copy: %v, %v\n%s", err, unread, out)
	}
	s.withstood(s.before)
}

// S9: whatever rclone does to make a place as it wants it.
func TestRclone(t *testing.T) {
	s := withStock(t, "rclone")
	mine := filepath.Join(s.dir, "mine")
	for name := range s.before { // other bytes under every name
		file := filepath.Join(mine, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("rewritten by rclone"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	empty := t.TempDir()
	remote := fmt.Sprintf(":sftp,host=127.0.0.1,port=%s,user=airlock,key_file=%s,known_hosts_file=%s,shell_type=none,disable_hashcheck:%s", s.port, s.key, s.conn.KnownHosts, s.conf.Folder)
	patient := []string{"--retries", "1", "--low-level-retries", "1", "--stats", "0", "-q"}
	one := vault.GenerationPath(1)
	for _, args := range [][]string{
		{"copy", mine, remote, "--ignore-times"},
		{"copy", mine, remote, "--ignore-times", "--sftp-set-modtime=false"},
		{"copy", mine, remote, "--no-check-dest", "--sftp-concurrency", "4"},
		{"copy", mine, remote, "--ignore-times", "--backup-dir", remote + "/backup"},
		{"copyto", mine + "/" + one, remote + "/" + one, "--ignore-times"},
		{"moveto", remote + "/" + one, remote + "/moved"},
		{"moveto", remote + "/generations", remote + "/moved"},
		{"move", remote + "/generations", remote + "/moved", "--delete-empty-src-dirs"},
		{"copyto", remote + "/" + one, remote + "/" + vault.GenerationPath(2), "--ignore-times", "--server-side-across-configs", "--sftp-copy-is-hardlink"},
		{"sync", empty, remote, "--delete-before"},
		{"sync", empty, remote, "--delete-after", "--delete-excluded", "--exclude", "/generations/**", "--ignore-errors"},
		{"sync", empty, remote, "--delete-during", "--track-renames", "--max-delete", "1000"},
		{"delete", remote, "--rmdirs"}, {"deletefile", remote + "/" + one}, {"purge", remote}, {"purge", remote + "/generations"}, {"rmdir", remote + "/p"}, {"rmdirs", remote},
		{"touch", remote + "/" + one}, {"touch", remote, "--recursive", "--timestamp", "2001-01-01"}, {"mkdir", remote + "/" + vault.GenerationPath(7)},
	} {
		s.run("", append(args, patient...)...)
	}
	s.run("rewritten", append([]string{"rcat", remote + "/" + one}, patient...)...)
	s.unchanged(s.before)
	if out, err := s.run("", append([]string{"check", mine + "/" + filepath.Dir(one), remote + "/generations", "--download"}, patient...)...); err == nil {
		t.Errorf("rclone finds its own bytes in the vault:\n%s", out)
	}

	honest := filepath.Join(s.dir, "honest")
	if err := os.MkdirAll(filepath.Join(honest, "部門"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(honest, "部門", "file.bin"), vaulttest.Random(3, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := s.run("", append([]string{"copy", honest, remote + "/honest", "--sftp-set-modtime=false"}, patient...)...); err != nil {
		t.Errorf("an honest copy: %v\n%s", err, out)
	}
	if out, err := s.run("", append([]string{"check", honest, remote + "/honest", "--download"}, patient...)...); err != nil {
		t.Errorf("an honest copy is not the same: %v\n%s", err, out)
	}
	s.withstood(s.before)
}

// S9: restic, which keeps locks and prunes, in the vault's own folder and beside it.
func TestRestic(t *testing.T) {
	s := withStock(t, "restic")
	command := fmt.Sprintf("sftp.command=ssh -p %s -i %s -o IdentitiesOnly=yes -o UserKnownHostsFile=%s -o GlobalKnownHostsFile=none airlock@127.0.0.1 -s sftp", s.port, s.key, s.conn.KnownHosts)
	source := filepath.Join(s.dir, "source")
	if err := os.Mkdir(source, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(source, "file"), vaulttest.Random(5, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{s.conf.Folder, s.conf.Folder + "/restic"} {
		for _, args := range [][]string{
			{"init"}, {"backup", source}, {"backup", source, "--force"}, {"snapshots"}, {"forget", "--keep-last", "1", "--prune"}, {"prune"}, {"unlock", "--remove-all"}, {"rebuild-index"}, {"migrate"}, {"key", "list"},
		} {
			s.run("", append([]string{"-r", "sftp:airlock@127.0.0.1:" + at, "-o", command, "--no-cache"}, args...)...)
		}
		s.unchanged(s.before)
	}
	s.withstood(s.before)
}
