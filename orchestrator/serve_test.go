package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airlock/collectors"
	"airlock/ledger"
	"airlock/pause"
	"airlock/policies"
)

// siteWith parses a policy whose accounting system has these keys. Its zone is
// Asia/Tokyo; a bubble's clock begins there at nine in the morning.
func siteWith(t *testing.T, schedule, limits string) *policies.Policy {
	t.Helper()
	yaml := strings.NewReplacer("DIR", "/nowhere", "ADDRESS", "127.0.0.1:161", `"15 22 * * *"`, fmt.Sprintf("%q\n    limits: {%s}", schedule, limits)).Replace(airlockYAML)
	p, err := policies.Parse("airlock.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A run that was missed is caught up once, and is late; the next ones are on time.
func TestCatchUp(t *testing.T) {
	for name, c := range map[string]struct {
		last  time.Duration // before the start
		takes time.Duration
		want  []string
	}{
		"nothing missed":         {0, 0, []string{"02 02:30", "03 02:30", "04 02:30"}},
		"missed three":           {3 * 24 * time.Hour, 0, []string{"01 09:00 late, due 01 02:30", "02 02:30", "03 02:30"}},
		"ran this morning":       {6 * time.Hour, 0, []string{"02 02:30", "03 02:30", "04 02:30"}},
		"the clock was set back": {-40 * time.Hour, 0, []string{"02 02:30", "03 02:30", "04 02:30"}},
		"runs for two days":      {0, 50 * time.Hour, []string{"02 02:30", "04 04:30 late, due 04 02:30", "06 06:30 late, due 06 02:30"}},
	} {
		t.Run(name, func(t *testing.T) {
			schedule := siteWith(t, "30 2 * * *", "").Systems["accounting"].Schedule
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				var got []string
				follow(ctx, schedule, time.Now().Add(-c.last), func(due time.Time) {
					zone := due.Location()
					ran := time.Now().In(zone).Format("02 15:04")
					if bySchedule(schedule, due).late(time.Now()) {
						ran += " late, due " + due.Format("02 15:04")
					}
					if got = append(got, ran); len(got) == 3 {
						cancel()
					}
					pause.For(ctx, c.takes)
				})
				if !slices.Equal(got, c.want) {
					t.Errorf("ran %v, want %v", got, c.want)
				}
			})
		})
	}
}

// Windows that were opened for a restore do not count as copies: a copy missed while
// the machine was off is caught up all the same.
func TestRestoreIsNoCopy(t *testing.T) {
	h := newHospital(t)
	copied := time.Now().Add(-50 * time.Hour)
	h.died(
		ledger.Entry{Time: copied, Kind: ledger.KindWindow, Vault: "secondary", Window: "w1", To: copying},
		ledger.Entry{Time: copied.Add(time.Minute), Kind: ledger.KindWindow, Vault: "secondary", Window: "w1", From: copying, To: resultDone, Detail: detail(WindowRecord{ID: "w1"})},
		ledger.Entry{Kind: ledger.KindWindow, Vault: "secondary", Window: "w2", To: restoring},
		ledger.Entry{Kind: ledger.KindWindow, Vault: "secondary", Window: "w2", From: restoring, To: resultDone, Detail: detail(WindowRecord{ID: "w2"})},
	)
	// Serve ends at once where there is nothing to do; what it does first is catch up.
	h.within(func(s *Site) {
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx) }()
		defer func() {
			cancel()
			<-served
		}()
		for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(10 * time.Millisecond) {
			if e, ok := s.journal.Newest(ctx, ledger.Filter{Kind: ledger.KindWindow, From: copying}); ok && e.Window != "w1" {
				return
			}
		}
		t.Error("the copy that was missed was not caught up")
	})
	all := h.entries(ledger.Filter{Kind: ledger.KindWindow, From: copying})
	if last := all[len(all)-1]; last.To != resultDone || !strings.Contains(string(last.Detail), `"late":true`) {
		t.Errorf("the window is %+v; want done, and late", last)
	}
}

// Nothing is read in a system's quiet hours, on schedule; a person who asks gets it.
func TestQuietHours(t *testing.T) {
	p := siteWith(t, "@hourly", `quiet_hours: ["08:30-17:30"]`)
	synctest.Test(t, func(t *testing.T) {
		s := &Site{policy: *p}
		clock := func() string { return time.Now().In(p.Timezone.Location).Format("15:04") }
		dial := func(q *quietness) string {
			src, err := q.gate.Dial(func(context.Context) (collectors.Source, error) { return nil, nil })(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_ = src
			return clock()
		}
		byHand := s.keepQuiet(t.Context(), "accounting", Caller{}, silent)
		if at := dial(byHand); at != "09:00" {
			t.Errorf("a person waited until %s", at)
		}
		byHand.end()

		q := s.keepQuiet(t.Context(), "accounting", Caller{Due: time.Now()}, silent)
		if at := dial(q); at != "17:30" {
			t.Errorf("the schedule read at %s, want 17:30", at)
		}
		time.Sleep(15*time.Hour - time.Second) // into the next day's 08:30
		if at := dial(q); at != "08:29" {
			t.Errorf("before the quiet hours it waited until %s", at)
		}
		time.Sleep(time.Minute)
		if at := dial(q); at != "17:30" {
			t.Errorf("a gathering that was under way read on at %s, want 17:30", at)
		}
		q.end()
	})
}

// A system that waits for its quiet hours to end takes no turn from the others, and
// ends when it is told to.
func TestQuietHoursTakeNoTurn(t *testing.T) {
	h := newHospital(t)
	now := time.Now().In(h.policy.Timezone.Location)
	quiet := fmt.Sprintf(`quiet_hours: ["%s-%s"]`, now.Add(-time.Hour).Format("15:04"), now.Add(time.Hour).Format("15:04"))
	h.policy.Systems["accounting"] = siteWithSource(t, quiet, h)
	h.within(func(s *Site) {
		s.slots = make(chan struct{}, 1)
		ctx, cancel := context.WithCancel(t.Context())
		waits, first := make(chan struct{}, 100), make(chan error, 1)
		go func() {
			_, err := s.Gather(ctx, []string{"accounting"}, Caller{Actor: "schedule", Due: time.Now()}, func(p Progress) {
				if strings.HasPrefix(p.Stage, "quiet hours") {
					waits <- struct{}{}
				}
			})
			first <- err
		}()
		<-waits
		second := make(chan error, 1)
		go func() {
			_, err := s.Gather(t.Context(), []string{"imaging"}, byTest, silent)
			second <- err
		}()
		select {
		case err := <-second:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Minute): // it hangs
			t.Error("the other system waits for this one's quiet hours")
		}
		cancel()
		if err := <-first; err == nil {
			t.Error("the first was gathered in its quiet hours")
		}
	})
}

func siteWithSource(t *testing.T, limits string, h *hospital) *policies.System {
	system := siteWith(t, "@hourly", limits).Systems["accounting"]
	system.Source = h.policy.Systems["accounting"].Source
	return system
}

// Maintenance deletes nothing that a window of any vault was to send: it does not begin
// while one is planned or in course, and a window that is planned meanwhile waits.
func TestUpkeepAndWindowsStayApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Site{windows: map[string]bool{"third": true}, errands: map[string]bool{}}
		if s.beginUpkeep() {
			t.Error("maintenance began in a window")
		}
		s.windows, s.errands["secondary"] = map[string]bool{}, true
		if s.beginUpkeep() {
			t.Error("maintenance began while the repository was healed")
		}
		delete(s.errands, "secondary")
		if !s.beginUpkeep() || s.beginUpkeep() {
			t.Fatal("maintenance did not begin, or began twice")
		}
		planned := make(chan error, 1)
		go func() { planned <- s.awaitUpkeep(t.Context(), silent) }()
		impatient, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.awaitUpkeep(impatient, silent); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a window was planned during maintenance: %v", err)
		}
		select {
		case err := <-planned:
			t.Errorf("a window was planned during maintenance: %v", err)
		default:
		}
		s.endUpkeep()
		if err := errors.Join(<-planned, s.awaitUpkeep(t.Context(), silent)); err != nil {
			t.Error(err)
		}
	})
}
