package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"airlock/notice"
	"airlock/orchestrator/custody"
	"airlock/policies"
	"airlock/vault"
)

// tending is what a window does at a vault that nobody keeps but airlock: it reads back,
// and lets generations go. What it takes is chosen with the doors shut.
type tending struct {
	sample     *vault.Sample // of the bytes that are read back
	register   *vault.Register
	retirement *vault.Retirement

	mu     sync.Mutex // a window whose work did not end when told to still has it
	sealed []*vault.Generation
}

// tend chooses, for the window of a passage.
func (s *Site) tend(ctx context.Context, c *cargo, p *passage) (*tending, error) {
	dir := s.policy.State.Vault(p.record.Vault)
	register, err := vault.OpenRegister(dir)
	if err != nil {
		return nil, err
	}
	if last := c.memory.Last(); last != nil && !register.Knows(last.Number) { // a cut came before it was entered
		register.Enter(last)
	}
	t := &tending{register: register}
	p.tell(Progress{Stage: "choosing what is read back"})
	if t.sample, err = c.plan.Sample(ctx, c.lying, int64(p.policy.ReadBack.Bytes)); err != nil {
		return nil, err
	}
	for _, a := range t.sample.Amiss {
		p.record.Amiss = append(p.record.Amiss, a.Name+": "+a.Why)
	}
	rules, err := s.retention(dir, p.policy, p.by)
	if err != nil {
		return nil, err
	}
	t.retirement = c.plan.Retire(register, rules)
	return t, register.Save() // what shall go is durable before it goes
}

// retention are the rules for a vault, and what a person said to them.
func (s *Site) retention(dir string, v *policies.Vault, by Caller) (vault.Retention, error) {
	rules := vault.Retention{
		Keep: vault.Keep{
			MinCount: v.Retention.MinCount, Last: v.Keep.Last, Hourly: v.Keep.Hourly,
			Daily: v.Keep.Daily, Weekly: v.Keep.Weekly, Monthly: v.Keep.Monthly, Annual: v.Keep.Annual,
		},
		Zone: s.policy.Timezone.Location, MinAge: time.Duration(v.Retention.MinAge),
		Brake: max(v.Retention.Brake, by.Brake), Budget: time.Duration(v.Retention.Budget),
	}
	clock, _, err := vault.WatchClock(filepath.Join(dir, "clock.json"), time.Now(), by.ClockRight)
	switch {
	case err != nil:
		rules.Trouble = err.Error()
	case clock.Trouble != "":
		rules.Trouble = clock.Trouble
	}
	if rules.Trouble != "" {
		rules.Trouble += "; set the clock right, then say so: airlock window --clock-is-right"
	}
	rules.Trust, err = custody.Verifiers(s.policy.State)
	if errors.Is(err, fs.ErrNotExist) { // it signs none
		err = nil
	}
	return rules, err
}

// run ends the reading back, once the window has brought what it had, sends again what is
// amiss, and lets go what shall go, unless anything of the window was not as it must be.
func (t *tending) run(ctx context.Context, store vault.Store, looking *vault.Looking, c *cargo, r *WindowRecord, whole bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sealed = append(t.sealed, c.plan.Sealed())
	if !whole {
		return nil
	}
	if r.Replaced { // what this one lacks of the other is not waited for; the next window drops
		t.register.Forget(r.Gone)
	}
	c.tell(Progress{Stage: "reading back"})
	back, err := looking.Finish(ctx, c.plan.Sealed())
	r.ReadBack = &back
	if err != nil {
		return err
	}
	if amiss := back.Amiss(); len(amiss) > 0 {
		return t.mend(ctx, store, c, r, amiss)
	}
	if r.damaged() || r.Replaced {
		return nil
	}
	c.tell(Progress{Stage: "dropping what no rule keeps"})
	went, err := t.retirement.Run(ctx, store, t.sealed...)
	if err != nil && ctx.Err() == nil { // the generation is there all the same
		went.Held, err = fmt.Sprintf("it broke off: %v", err), nil
	}
	r.Retention = &went
	return err
}

// mend sends again what the vault has lost, and reads it back once more.
func (t *tending) mend(ctx context.Context, store vault.Store, c *cargo, r *WindowRecord, amiss []string) error {
	c.tell(Progress{Stage: "sending again", Text: fmt.Sprintf("%d blobs of the vault are not as they were sent", len(amiss))})
	report, err := c.plan.Mend(ctx, store, c.origin, amiss, nil)
	r.Blobs, r.Bytes, r.Resent = r.Blobs+report.Blobs, r.Bytes+report.Bytes, r.Resent+report.Blobs
	r.Lacks = append(r.Lacks, report.Damaged...)
	r.Conflicts = append(r.Conflicts, report.Conflicts...)
	if report.Generation == 0 {
		return err
	}
	r.Generation, r.Hash = report.Generation, report.Hash.String()
	t.sealed = append(t.sealed, c.plan.Sealed())
	if err != nil {
		return err
	}
	again, err := vault.CheckBack(ctx, store, c.plan.Sealed(), amiss)
	for _, name := range again.Amiss() {
		r.Conflicts = append(r.Conflicts, fmt.Sprintf("blob %s was sent again, and is amiss again: the vault's disk is failing", name))
	}
	return err
}

// settle keeps, with the door shut, what came of it.
func (t *tending) settle(s *Site, r WindowRecord) error {
	if r.Retention != nil && r.Retention.Held != "" {
		s.alarm(Alarm{At: time.Now(), Vault: r.Vault, Notice: notice.VaultNotTended.Of(), Why: r.Retention.Held})
	}
	if !t.mu.TryLock() {
		return nil // the work goes on, against all order; the next window learns what this one left
	}
	defer t.mu.Unlock()
	for _, g := range t.sealed {
		t.register.Enter(g)
	}
	return t.register.Save()
}

// lost says what reading back found amiss; "" where all is well, or where nothing is read
// back.
func (r WindowRecord) lost() string {
	if r.ReadBack == nil || len(r.ReadBack.Amiss()) == 0 {
		return ""
	}
	names := r.ReadBack.Amiss()
	return fmt.Sprintf("; %d blobs of the vault were not as they had been sent (%s first): a person must look at its disk", len(names), slices.Min(names))
}
