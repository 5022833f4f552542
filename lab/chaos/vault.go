//go:build linux

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"airlock/vault"
	"airlock/vault/local"
)

// generationsSound wants every generation of the vault as it was when it was seen
// first, with every blob there in its size; of the last, each blob's bytes are read
// back, too.
func (s *site) generationsSound(ctx context.Context) (err error) {
	store, err := local.Open(s.VaultDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	infos, err := vault.Generations(ctx, store)
	if err != nil {
		return err
	}
	if len(infos) < len(s.generations) {
		return fmt.Errorf("the vault had %d generations, and has %d", len(s.generations), len(infos))
	}
	for i, info := range infos {
		if info.Number != int64(i+1) {
			return fmt.Errorf("generation %d is missing", i+1)
		}
		g, err := vault.Load(ctx, store, info.Number)
		if err != nil {
			return err
		}
		hash, err := g.Hash()
		if err != nil {
			return err
		}
		if before, seen := s.generations[info.Number]; seen && before != hash {
			return fmt.Errorf("generation %d is another than it was", info.Number)
		}
		s.generations[info.Number] = hash
		sample := 0.0
		if i == len(infos)-1 {
			sample = 1
		}
		report, err := vault.Check(ctx, store, g, sample)
		if err != nil {
			return err
		}
		if !report.Sound() {
			return fmt.Errorf("generation %d: missing %q, resized %q, damaged %q", info.Number, report.Missing, report.Resized, report.Damaged)
		}
	}
	return nil
}

// stockRestores has the kopia program restore the first snapshot of a system from the
// vault's folder, as it is after everything that was done to it since.
func (s *site) stockRestores(ctx context.Context, system string) error {
	dir, err := os.MkdirTemp(s.Dir, "kopia-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	passphrase, err := os.ReadFile(filepath.Join(s.Dir, "secrets", "repository"))
	if err != nil {
		return err
	}
	kopia := func(args ...string) ([]byte, error) {
		c := exec.CommandContext(ctx, s.kopia, append([]string{"--config-file", filepath.Join(dir, "config"), "--log-dir", dir}, args...)...)
		c.Env = append(os.Environ(), "KOPIA_PASSWORD="+strings.TrimSpace(string(passphrase)),
			"KOPIA_CHECK_FOR_UPDATES=false", "KOPIA_CACHE_DIRECTORY="+filepath.Join(dir, "cache"))
		var stderr strings.Builder
		c.Stderr = &stderr
		out, err := c.Output()
		if err != nil {
			err = fmt.Errorf("kopia %s: %w: %s", strings.Join(args, " "), err, stderr.String())
		}
		return out, err
	}
	if _, err := kopia("repository", "connect", "filesystem", "--readonly", "--path", s.VaultDir()); err != nil {
		return err
	}
	listing, err := kopia("snapshot", "list", "--all", "--json")
	if err != nil {
		return err
	}
	var snapshots []struct {
		ID     string
		Source struct{ Path string }
	}
	if err := json.Unmarshal(listing, &snapshots); err != nil {
		return err
	}
	for _, snapshot := range snapshots {
		if strings.Contains(snapshot.Source.Path, system) {
			to := filepath.Join(dir, "restored")
			if _, err := kopia("snapshot", "restore", snapshot.ID, to); err != nil {
				return err
			}
			return s.same(system, to)
		}
	}
	return fmt.Errorf("the kopia program finds no snapshot of %s in the vault", system)
}
