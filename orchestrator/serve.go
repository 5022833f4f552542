package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"airlock/ledger"
	"airlock/notice"
	"airlock/pause"
	"airlock/policies"
)

// upkeepEvery is how often the repository is maintained.
const upkeepEvery = 24 * time.Hour

// Serve gathers and holds windows on schedule until ctx ends. A run that was missed
// while the machine was off, asleep or busy is caught up once, and logged as late.
func (s *Site) Serve(ctx context.Context) error {
	var runs sync.WaitGroup
	for name, system := range s.policy.Systems {
		runs.Go(func() {
			last := s.lastRun(ctx, ledger.Filter{Kind: ledger.KindGather, System: name})
			follow(ctx, system.Schedule, last, func(due time.Time) { // the ledger has the error
				_ = s.contain("gather "+name, func() error {
					_, err := s.Gather(ctx, []string{name}, bySchedule(system.Schedule, due), s.logProgress)
					return err
				})
			})
		})
	}
	for name, v := range s.policy.Vaults {
		runs.Go(func() {
			last := s.lastRun(ctx, ledger.Filter{Kind: ledger.KindWindow, Vault: name, To: copying})
			follow(ctx, v.Window.Schedule, last, func(due time.Time) { // the ledger has the error
				_ = s.contain("window "+name, func() error {
					_, err := s.Window(ctx, name, bySchedule(v.Window.Schedule, due), s.logProgress)
					return err
				})
			})
		})
	}
	runs.Go(func() { s.doors.Patrol(ctx) })
	if s.policy.Traps != nil && s.parts.Traps != nil {
		runs.Go(func() { s.lasting(ctx, "traps", s.receive) })
	}
	if s.policy.Ledger.Syslog != nil && s.journal.Err() == nil {
		runs.Go(func() { s.lasting(ctx, "telling the SIEM", s.custody.Forward) })
	}
	if s.policy.Ledger.Timestamps != nil && s.journal.Err() == nil {
		runs.Go(func() {
			s.lasting(ctx, "time-stamps", func(ctx context.Context) { s.custody.Stamp(ctx, *s.policy.Ledger.Timestamps) })
		})
	}
	runs.Go(func() {
		s.lasting(ctx, "lockdown", func(ctx context.Context) {
			pause.Every(ctx, lockWatch, func() { s.followLock(ctx); s.doors.KeepSpare() })
		})
	})
	runs.Go(func() {
		s.lasting(ctx, "upkeep", func(ctx context.Context) { pause.Every(ctx, time.Hour, func() { s.upkeep(ctx) }) })
	})
	if s.journal.Err() == nil {
		runs.Go(func() { s.lasting(ctx, "watching the ledger", s.custody.Watch) })
	}
	runs.Go(func() { s.lasting(ctx, "listening for the guard", s.listen) })
	runs.Go(func() { s.lasting(ctx, "ending alarms", s.endAlarms) })
	runs.Wait()
	return context.Cause(ctx)
}

func bySchedule(schedule policies.Schedule, due time.Time) Caller {
	return Caller{Actor: "schedule", Reason: "schedule " + schedule.String(), Due: due}
}

// logProgress writes only what is worth a line.
func (s *Site) logProgress(p Progress) {
	if p.Text != "" {
		s.options.Log.Info(p.Text, "task", p.Task)
	}
}

// lastRun is when something of what the filters choose ran last; now, if it never did,
// so that nothing is caught up that nobody could have expected.
func (s *Site) lastRun(ctx context.Context, filters ...ledger.Filter) time.Time {
	var last time.Time
	for _, f := range filters {
		if e, ok := s.journal.Newest(ctx, f); ok && e.Time.After(last) {
			last = e.Time
		}
	}
	if last.IsZero() {
		return time.Now()
	}
	return last
}

// follow runs a schedule until ctx ends. It looks at the wall clock once a minute at
// the latest, since timers do not see a clock that is set or a machine that slept.
func follow(ctx context.Context, schedule policies.Schedule, last time.Time, run func(due time.Time)) {
	for ctx.Err() == nil {
		now := time.Now()
		if due, missed := schedule.Missed(last, now); missed {
			last = now
			run(due)
			continue
		}
		if now.Before(last) {
			last = now // the clock was set back: do not wait until it has caught up
		}
		pause.For(ctx, min(time.Minute, time.Until(schedule.Next(now))))
	}
}

// upkeep maintains the repository if that was not done within a day.
func (s *Site) upkeep(ctx context.Context) {
	if err := s.begin(); err != nil {
		return
	}
	defer s.orders.Done()
	if !s.upkeepDue(ctx) || !s.beginUpkeep() {
		return
	}
	defer s.endUpkeep()
	err := s.maintain(ctx)
	if errors.Is(err, context.Canceled) {
		return // the next run does it
	}
	result := resultDone
	if err != nil {
		result = resultFailed
		s.alarm(Alarm{At: time.Now(), Notice: notice.NotMaintained.Of(), Why: err.Error()})
	}
	s.journal.Note(ledger.Entry{Time: time.Now(), Kind: ledger.KindUpkeep, Actor: "airlock", Reason: "daily maintenance", To: result})
}

// beginUpkeep keeps maintenance and windows apart, whichever vault they are of: what a
// window was to send must not be deleted before it is sent. Maintenance waits for an hour
// without one, and a window that is planned meanwhile waits for its end.
func (s *Site) beginUpkeep() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.windows)+len(s.errands) > 0 || s.upkeeping != nil {
		return false
	}
	s.upkeeping = make(chan struct{})
	return true
}

func (s *Site) endUpkeep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.upkeeping)
	s.upkeeping = nil
}

// awaitUpkeep returns once no maintenance is in course. A window that is counted in by now
// keeps the next from beginning.
func (s *Site) awaitUpkeep(ctx context.Context, tell Watch) error {
	s.mu.Lock()
	over := s.upkeeping
	s.mu.Unlock()
	if over == nil {
		return nil
	}
	tell(Progress{Stage: "waiting for the maintenance of the repository"})
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the repository was still being maintained: %w", context.Cause(ctx))
	}
}

// upkeepDue counts from the last maintenance, or from the making of the site.
func (s *Site) upkeepDue(ctx context.Context) bool {
	for _, f := range []ledger.Filter{{Kind: ledger.KindUpkeep, Actor: "airlock"}, {Kind: ledger.KindInit}} {
		if last, ok := s.journal.Newest(ctx, f); ok {
			return time.Since(last.Time) >= upkeepEvery
		}
	}
	return true
}

func (s *Site) maintain(ctx context.Context) error {
	repo, err := s.Repository(ctx)
	if err != nil {
		return err
	}
	return repo.Maintain(ctx)
}

// receive takes traps for as long as ctx lives. That it cannot is an alarm, once; the
// regular looks go on.
func (s *Site) receive(ctx context.Context) {
	told := false
	for ctx.Err() == nil {
		err := s.parts.Traps(ctx, s.policy, s.doors.Trap, s.options.Log)
		if ctx.Err() != nil {
			return
		}
		if !told {
			told = true
			s.alarm(Alarm{At: time.Now(), Notice: notice.NoTraps.Of(), Why: fmt.Sprint(err)})
		}
		pause.For(ctx, time.Minute)
	}
}
