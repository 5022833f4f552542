//go:build linux

package exposure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// postgres is a real database, of pgbench's tables, with nobody in it but pgbench.
type postgres struct {
	bin, dir string
	as       *syscall.Credential // PostgreSQL refuses to be root's
	server   *exec.Cmd
	ended    chan error
}

// startPostgres makes a database in dir, of 100,000 accounts for each of scale.
func startPostgres(ctx context.Context, dir string, scale int) (_ *postgres, err error) {
	p := &postgres{dir: dir, ended: make(chan error, 1)}
	if p.bin, err = newestPostgres(); err != nil {
		return nil, err
	}
	if p.as, err = credential("postgres"); err != nil {
		return nil, err
	}
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chown(dir, int(p.as.Uid), int(p.as.Gid))); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := p.run(ctx, nil, "initdb", "-D", data, "--no-sync", "-A", "trust", "-U", "postgres", "--locale=C.UTF-8"); err != nil {
		return nil, err
	}
	p.server = p.command(context.WithoutCancel(ctx), "postgres", "-D", data, "-k", dir, "-h", "", "-F",
		"-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB", "-c", "autovacuum=off", "-c", "synchronous_commit=off")
	if err := p.server.Start(); err != nil {
		return nil, err
	}
	go func() { p.ended <- p.server.Wait() }()
	for p.run(ctx, nil, "pg_isready", "-h", dir) != nil {
		select {
		case err := <-p.ended:
			return nil, fmt.Errorf("postgres ended: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := p.run(ctx, nil, "pgbench", "-h", dir, "-U", "postgres", "-i", "-q", "-s", strconv.Itoa(scale), "postgres"); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// work is a day's transactions, the same for the same number.
func (p *postgres) work(ctx context.Context, transactions, number int) error {
	return p.run(ctx, nil, "pgbench", "-h", p.dir, "-U", "postgres", "-n", "-M", "prepared", "-t", strconv.Itoa(transactions), "--random-seed", strconv.Itoa(number), "postgres")
}

func (p *postgres) dump(ctx context.Context, file string) (err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	err = p.run(ctx, f, "pg_dump", "-h", p.dir, "-U", "postgres", "postgres")
	return errors.Join(err, f.Close())
}

func (p *postgres) stop() error {
	if err := p.server.Process.Signal(syscall.SIGINT); err != nil { // PostgreSQL's fast shutdown
		return err
	}
	return <-p.ended
}

func (p *postgres) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(p.bin, program), args...)
	c.Dir, c.SysProcAttr = "/", &syscall.SysProcAttr{Credential: p.as, Setsid: true}
	return c
}

func (p *postgres) run(ctx context.Context, stdout *os.File, program string, args ...string) error {
	c := p.command(ctx, program, args...)
	if stdout != nil {
		c.Stdout = stdout
	}
	return run(c)
}

func newestPostgres() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.Join(errors.New("PostgreSQL is not installed: lab/install.sh bench"), err)
	}
	return filepath.Dir(slices.Max(found)), nil
}

func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}
