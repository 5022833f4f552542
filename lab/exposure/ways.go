//go:build linux

package exposure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"airlock/lab"
)

// way keeps a copy of the folder in the vault.
type way interface {
	title() string
	prime(ctx context.Context) error          // the first copy, past the port
	ready(ctx context.Context) error          // all that can be done with the port shut
	keep(ctx context.Context) (figure, error) // brings the copy up to date; the port is shut before and after
	end() error
}

// maker makes a way of a title.
type maker struct {
	title string
	make  func(*bench) way
}

func makers() []maker {
	return []maker{
		{string(served), func(b *bench) way { return b.airlock(served) }},
		{string(openSSH), func(b *bench) way { return b.airlock(openSSH) }},
		{"rclone", (*bench).rclone}, {"rsync", (*bench).rsync}, {"restic", (*bench).restic}, {"kopia", (*bench).kopia},
	}
}

// tool is a program that works through the open port.
type tool struct {
	*bench
	name  string
	first [][]string // commands; they see the vault's folder as their own, and its host answers
	later []string
	env   []string
}

func (t *tool) title() string               { return t.name }
func (t *tool) ready(context.Context) error { return nil }
func (t *tool) end() error                  { return nil }

func (t *tool) prime(ctx context.Context) error {
	_, err := t.openByHand(ctx)
	for _, args := range t.first {
		if err == nil {
			err = run(t.within(ctx, args))
		}
	}
	return errors.Join(err, t.SetPort(context.WithoutCancel(ctx), lab.VaultPort, false))
}

func (t *tool) within(ctx context.Context, args []string) *exec.Cmd {
	c := t.Command(ctx, lab.NAS, args[0], args[1:]...)
	c.Env = append(os.Environ(), t.env...)
	return c
}

// keep opens the port by hand, runs the program once the vault's host answers, and shuts
// the port as soon as it ends.
func (t *tool) keep(ctx context.Context) (f figure, err error) {
	f.link, err = t.openByHand(ctx)
	if err == nil {
		err = run(t.within(ctx, t.later))
	}
	return f, errors.Join(err, t.SetPort(context.WithoutCancel(ctx), lab.VaultPort, false))
}

// knock asks until the vault's host answers. What the kernel knows of its address is
// forgotten before each time: a question that was lost is repeated by the kernel once a
// second only.
const knock = `until ip neigh del 10.77.0.13 dev eth0 2>/dev/null; timeout 0.05 bash -c '</dev/tcp/10.77.0.13/22' 2>/dev/null; do :; done`

func (b *bench) openByHand(ctx context.Context) (link time.Duration, err error) {
	opened := time.Now()
	if err := b.SetPort(ctx, lab.VaultPort, true); err != nil {
		return 0, err
	}
	err = run(b.Command(ctx, lab.NAS, "bash", "-c", knock))
	return time.Since(opened), err
}

// kept is the tool's own folder in the vault.
func (b *bench) kept(tool string) string { return filepath.Join(b.Dir, "vault", tool) }

// ssh is how the programs log in.
func (b *bench) ssh() string {
	return fmt.Sprintf("ssh -i %[1]s/secrets/key -o UserKnownHostsFile=%[1]s/known_hosts -o BatchMode=yes", b.Dir)
}

func (b *bench) rclone() way {
	remote := fmt.Sprintf(":sftp,host=10.77.0.13,user=root,key_file='%[1]s/secrets/key',known_hosts_file='%[1]s/known_hosts':%[2]s", b.Dir, b.kept("rclone"))
	common := []string{"rclone", "--config", "/dev/null", "--transfers", "8", "--checkers", "16", "sync", b.source}
	return &tool{bench: b, name: "rclone", first: [][]string{append(common[:len(common):len(common)], b.kept("rclone"))}, later: append(common[:len(common):len(common)], remote)}
}

func (b *bench) rsync() way {
	common := []string{"rsync", "-a", "--delete"}
	return &tool{bench: b, name: "rsync", first: [][]string{append(common[:len(common):len(common)], b.source+"/", b.kept("rsync"))},
		later: append(common[:len(common):len(common)], "-e", b.ssh(), b.source+"/", "root@10.77.0.13:"+b.kept("rsync"))}
}

func (b *bench) restic() way {
	common := []string{"restic", "--quiet", "--cache-dir", filepath.Join(b.Dir, "restic-cache")}
	restic := func(repository string, args ...string) []string {
		return append(append(common[:len(common):len(common)], "-r", repository), args...)
	}
	kept := b.kept("restic")
	return &tool{bench: b, name: "restic", env: []string{"RESTIC_PASSWORD=bench"},
		first: [][]string{restic(kept, "init", "--repository-version", "2"), restic(kept, "backup", b.source)},
		later: restic("sftp:root@10.77.0.13:"+kept, "-o", "sftp.command="+b.ssh()+" root@10.77.0.13 -s sftp", "backup", b.source)}
}

// kopia is the stock program, writing through the port.
func (b *bench) kopia() way {
	kept, config := b.kept("kopia"), filepath.Join(b.Dir, "kopia.config")
	kopia := func(args ...string) []string {
		return append([]string{b.options.Kopia, "--config-file", config, "--log-dir", filepath.Join(b.Dir, "log", "kopia")}, args...)
	}
	return &tool{bench: b, name: "kopia",
		env: []string{"KOPIA_PASSWORD=bench", "KOPIA_CHECK_FOR_UPDATES=false", "KOPIA_CACHE_DIRECTORY=" + filepath.Join(b.Dir, "kopia-cache")},
		first: [][]string{
			{"mkdir", "-p", kept},
			kopia("repository", "create", "filesystem", "--path", kept),
			kopia("policy", "set", "--global", "--compression", "zstd-fastest"),
			kopia("snapshot", "create", "--no-progress", b.source),
			kopia("repository", "connect", "sftp", "--path", kept, "--host", "10.77.0.13", "--username", "root",
				"--keyfile", filepath.Join(b.Dir, "secrets", "key"), "--known-hosts", filepath.Join(b.Dir, "known_hosts")),
		},
		later: kopia("snapshot", "create", "--no-progress", b.source)}
}

// run runs a program to its end; what it said is in the error.
func run(c *exec.Cmd) error {
	var said bytes.Buffer
	if c.Stdout == nil {
		c.Stdout = &said
	}
	c.Stderr = &said
	if err := c.Run(); err != nil {
		text := said.String()
		return fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, text[max(0, len(text)-2000):])
	}
	return nil
}
