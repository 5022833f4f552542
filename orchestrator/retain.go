package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airlock/ledger"
	"airlock/notice"
	"airlock/policies"
	"airlock/repository"
)

// retain removes the snapshots that the policy no longer keeps, unless those are more than
// its brake allows: a mistake in keep shall not cost the snapshots of years.
func (s *Site) retain(ctx context.Context, repo *repository.Repository, g *Gathered, by Caller) error {
	system := s.policy.Systems[g.System]
	removed, err := repo.Expire(ctx, g.System, keepOf(system, s.policy.Timezone.Location), repository.Brake{
		MinAge: time.Duration(system.Retention.MinAge), Most: max(system.Retention.Brake, by.Brake),
	})
	if errors.Is(err, repository.ErrBraked) {
		g.Braked = fmt.Sprintf("%v; see `airlock snapshots %s`; if it is right so: airlock gather %s --brake N", err, g.System, g.System)
		s.alarm(Alarm{At: time.Now(), System: g.System, Notice: notice.SnapshotsBraked.Of(), Why: g.Braked})
		return nil
	}
	if err != nil {
		return fmt.Errorf("retention of %s: %w", g.System, err)
	}
	if len(removed) > 0 {
		s.journal.Note(ledger.Entry{
			Time: time.Now(), Kind: ledger.KindUpkeep, Actor: "policy", Reason: "retention", System: g.System,
			Detail: detail(map[string]any{"removed": removed}),
		})
	}
	return nil
}

func keepOf(system *policies.System, zone *time.Location) repository.Keep {
	k := system.Keep
	return repository.Keep{Last: k.Last, Hourly: k.Hourly, Daily: k.Daily, Weekly: k.Weekly, Monthly: k.Monthly, Annual: k.Annual, Zone: zone}
}

// KeptAs gives the rules of a policy by which each of some snapshots is kept, by ID. Given
// a policy file that was changed and not yet loaded, it tells what would go.
func KeptAs(p policies.Policy, all []Snapshot) map[string][]string {
	bySystem := map[string][]repository.Snapshot{}
	for _, s := range all {
		bySystem[s.System] = append(bySystem[s.System], repository.Snapshot{
			ID: s.ID, System: s.System, Start: s.Start, Failed: s.NotRead, Incomplete: s.Incomplete, Held: s.Held,
		})
	}
	kept := map[string][]string{}
	for name, some := range bySystem {
		if system := p.Systems[name]; system != nil {
			for id, reasons := range keepOf(system, p.Timezone.Location).Kept(some) {
				kept[id] = reasons
			}
		}
	}
	return kept
}
