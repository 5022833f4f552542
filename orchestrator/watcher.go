package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"airlock/policies"
)

// watched has somebody watch over the vault's door before it is opened: the guard, if one
// is heard of, or else a watcher. The context that it gives ends if the watcher does: then
// the door is shut. leave is called once the window is over.
//
// Without either the door stays shut: nobody would shut it if this process ended. Hospital
// IT has a remedy at hand, a guard.
func (s *Site) watched(ctx context.Context, p *passage) (watched context.Context, leave func(), err error) {
	if s.parts.Watcher == nil || guardLives(s.policy, s.guards.latest()) {
		return ctx, func() {}, nil
	}
	w, err := s.parts.Watcher(ctx, p.policy.Door, p.record.ID)
	if err != nil {
		return nil, nil, fmt.Errorf("no guard is heard of, and nobody else would shut the door if this process ended; run airlock guard: %w", err)
	}
	watched, leave = s.doors.Watched(ctx, p.record.Vault, w)
	return watched, leave, nil
}

// guardLives tells whether a guard will shut a door that is left open: one that was heard
// of lately, by its sign or its question, and that has looked at every door. Of one on this
// machine, the process is there as well.
func guardLives(p policies.Policy, last poll) bool {
	st := guardStatus(p, last, time.Time{})
	if st == nil || st.Missing != "" {
		return false
	}
	return st.PID == 0 || !errors.Is(syscall.Kill(st.PID, 0), syscall.ESRCH)
}
