package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"airlock/ledger"
	"airlock/mount"
	"airlock/policies"
	"airlock/repository"
	"airlock/vault"
)

// readyWithin bounds what is looked at before a window: a disk that hangs refuses it.
const readyWithin = 20 * time.Second

// roomForWindow is what has to be free in the state folder before a door is opened, in
// bytes: for the ledger, and for what a window hasMemory of the vault.
const roomForWindow = 16 << 20

// memoryForWindow is what has to be free in memory before a door is opened, in bytes: a Go
// program that gets no more memory ends where it is, and leaves its door to the guard.
const memoryForWindow = 64 << 20

// FreeMemory is what this process can still take before the system ends it, in bytes; false
// where that is not known.
func FreeMemory() (free int64, known bool) { return freeMemory("/") }

// hasMemory refuses to open a door that this process might not have the memory to shut (S14).
func hasMemory(free func() (int64, bool)) error {
	n, known := free()
	if known && n < memoryForWindow {
		debug.FreeOSMemory()
		n, known = free()
	}
	if known && n < memoryForWindow {
		return fmt.Errorf("%s of memory are left for airlock on this machine, and a window may need %s: end what takes it, or give airlock's service more (MemoryMax=)", Size(n), Size(memoryForWindow))
	}
	return nil
}

// Ready says why a window of a vault would fail, as far as this machine can tell while the
// door is shut: a key or a password that cannot be read, a host that known_hosts lacks, a
// folder whose mount is missing, a place that is no second copy. It reaches no server.
func Ready(ctx context.Context, p policies.Policy, parts Parts, vaultName string) error {
	_, err := ready(ctx, p, parts, vaultName, false)
	return err
}

// ready is Ready, and gives the vault's folder where that is on this machine. A person may
// have said that it is another one than before.
func ready(ctx context.Context, p policies.Policy, parts Parts, vaultName string, replaced bool) (folder, error) {
	type result struct {
		at  folder
		err error
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	done := make(chan result, 1)
	go func() {
		s, err := lookReady(ctx, p, parts, vaultName, replaced)
		done <- result{s, err}
	}()
	select {
	case r := <-done:
		return r.at, r.err
	case <-ctx.Done():
		return folder{}, fmt.Errorf("what a window of vault %s needs could not be looked at, a disk hangs: %w", vaultName, context.Cause(ctx))
	}
}

func lookReady(ctx context.Context, p policies.Policy, parts Parts, vaultName string, replaced bool) (at folder, err error) {
	v := p.Vaults[vaultName]
	if parts.Ready != nil {
		if err := parts.Ready(ctx, *v); err != nil {
			return at, fmt.Errorf("vault %s: %w", vaultName, err)
		}
	}
	if err := Apart(p, vaultName); err != nil {
		return at, fmt.Errorf("vault %s: %w", vaultName, err)
	}
	if v.URL.Scheme != "file" {
		return at, nil
	}
	at = vaultFolder(p, vaultName)
	if at.Mount, err = mount.Of(at.Path); err != nil {
		return at, fmt.Errorf("vault %s: %w", vaultName, err)
	}
	if err := at.moved(); err != nil && !replaced {
		return at, fmt.Errorf("vault %s: %w; mount it, or, if it is right as it is now: airlock window %s --replaced --reason TEXT", vaultName, err, vaultName)
	}
	if err := at.usable(); err != nil {
		return at, fmt.Errorf("vault %s: %w", vaultName, err)
	}
	return at, nil
}

// ready refuses a window for what is known with the doors shut. Every window asks, whatever
// it is for, before its intent is written down: a door is not opened in order to find out
// what this machine knows.
func (p *passage) ready(ctx context.Context) error {
	s := p.site
	if free, known := freeBytes(string(s.policy.State)); known && free < roomForWindow {
		return fmt.Errorf("the state folder %s has %s free, and a window may need %s for the ledger and its memory: free some space there", s.policy.State, Size(free), Size(roomForWindow))
	}
	if err := hasMemory(FreeMemory); err != nil {
		return err
	}
	folder, err := ready(ctx, s.policy, s.parts, p.record.Vault, p.by.Replaced)
	if err != nil {
		return err
	}
	if p.record.Purpose == copying {
		if err := p.copyable(ctx); err != nil {
			return err
		}
	}
	if folder.Path == "" {
		return nil
	}
	return folder.remember()
}

// copyable refuses a window that would have nothing to send from, or no room to send to.
func (p *passage) copyable(ctx context.Context) error {
	repo, err := p.site.Repository(ctx)
	if err != nil {
		return err
	}
	conf, err := p.site.parts.Repository(p.site.policy)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	// What is damaged is told by the plan, and the vault's generation keeps what it was.
	if err := repo.OpensWith(ctx, conf.Passphrase); errors.Is(err, repository.ErrPassphrase) {
		return fmt.Errorf("%w: what would be sent could not be restored; put the right passphrase back (%s)", err, p.site.policy.Repository.Passphrase)
	}
	return p.fits(ctx)
}

// freshReceipt is how long what a receipt says of the vault's room refuses a window. The
// host prunes by its own clock, and nobody here hears of it: a nightly window is not
// refused for what was so the night before.
const freshReceipt = 12 * time.Hour

// fits refuses a window for which the vault had no room at its last receipt, and that not
// long ago.
func (p *passage) fits(ctx context.Context) error {
	last, at, err := p.site.lastReceipt(ctx, p.record.Vault)
	if err != nil || last == nil || p.need <= last.Free || p.by.RoomMade {
		return err
	}
	what := fmt.Sprintf("vault %s has no room: the window needs %s, and the vault had %s free at its last receipt, of %s", p.record.Vault,
		Size(p.need), Size(last.Free), at.In(p.site.policy.Timezone.Location).Format("2006-01-02 15:04"))
	if age := time.Since(at); age < 0 || age > freshReceipt {
		p.tell(Progress{Text: what + "; it may have pruned since, so the window is held"})
		return nil
	}
	return fmt.Errorf("%s; raise its quota or prune there, then: airlock window %s --room-was-made", what, p.record.Vault)
}

// lastReceipt is the newest receipt of a vault's host that the ledger has, and when it was
// noted by the clock of this machine; nil for none.
func (s *Site) lastReceipt(ctx context.Context, vaultName string) (*vault.Receipt, time.Time, error) {
	var newest *vault.Receipt
	var at time.Time
	for _, result := range []string{resultDone, resultInPart} {
		e, ok := s.journal.Newest(ctx, ledger.Filter{Kind: ledger.KindWindow, Vault: vaultName, From: copying, To: result})
		if !ok || e.Time.Before(at) {
			continue
		}
		var r WindowRecord
		if err := json.Unmarshal(e.Detail, &r); err != nil {
			return nil, at, fmt.Errorf("ledger entry %d: %w", e.Seq, err)
		}
		newest, at = r.Receipt, e.Time
	}
	return newest, at, nil
}
