//go:build linux

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"airlock/lab"

	"golang.org/x/sync/errgroup"
)

// Figure is how long something took, time after time.
type Figure struct {
	What  string
	Times []time.Duration // sorted
}

// String is a row of a table: what, how many times, median and worst.
func (f Figure) String() string {
	if len(f.Times) == 0 {
		return fmt.Sprintf("| %s | 0 | | |", f.What)
	}
	return fmt.Sprintf("| %s | %d | %.3f s | %.3f s |", f.What, len(f.Times), f.Times[len(f.Times)/2].Seconds(), f.Times[len(f.Times)-1].Seconds())
}

// measure is one figure: how its hospital is, and how one time is taken.
type measure struct {
	what []string // several, if one go gives several times
	rules
	take func(context.Context, *site, *rand.Rand) ([]time.Duration, error)
}

// is reports whether the measure's name contains one of some words.
func (m measure) is(words []string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(strings.Join(m.what, "\n"), word) })
}

// Measure takes every figure, or those whose names contain one of Kinds, so many times, in several hospitals at once, and prints
// each as it comes. All times are of the switch's port as the sampler saw it, from what
// is named first; only what is proven is proven by the ledger's word.
func Measure(ctx context.Context, o Options, times int) error {
	only := o.Kinds
	o.Kinds = nil
	if _, err := o.settle(); err != nil {
		return err
	}
	fmt.Fprintf(o.Log, "| from → to | times | median | worst |\n|---|---:|---:|---:|\n")
	for _, m := range measures() {
		if len(only) > 0 && !m.is(only) {
			continue
		}
		figures, err := o.measure(ctx, m, times)
		for _, f := range figures {
			fmt.Fprintln(o.Log, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *Options) measure(ctx context.Context, m measure, times int) ([]Figure, error) {
	figures := make([]Figure, len(m.what))
	for i, what := range m.what {
		figures[i].What = what
	}
	var mu sync.Mutex
	lanes, ctx := errgroup.WithContext(ctx)
	left := make(chan int, times)
	for i := range times {
		left <- i
	}
	close(left)
	for lane := range min(o.Beside, times) {
		lanes.Go(func() (err error) {
			s, err := newSite(ctx, *o, m.rules, fmt.Sprintf("%s-%d", o.Name, lane+1))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Down()) }()
			for i := range left {
				got, err := m.take(ctx, s, rand.New(rand.NewPCG(o.Seed, uint64(i))))
				if err != nil {
					return err
				}
				mu.Lock()
				for i, d := range got {
					figures[i].Times = append(figures[i].Times, d)
				}
				mu.Unlock()
			}
			return nil
		})
	}
	err := lanes.Wait()
	for _, f := range figures {
		slices.Sort(f.Times)
	}
	return figures, err
}

// defaults are the rules of a policy file that says nothing of them, but for patrol.
func defaults() rules {
	return rules{interval: 5 * time.Second, leaseTTL: 15 * time.Second, maxOpen: 10 * time.Minute}
}

func measures() []measure {
	quick := defaults()
	quick.interval, quick.leaseTTL = time.Second, 3*time.Second
	told := defaults()
	told.patrol, told.traps = time.Hour, true
	return []measure{
		{[]string{"SET → port up", "SET → proven open", "SET → port down", "SET → proven shut"}, defaults(), passages},
		{[]string{"kill -9 → port down (guard, lease_ttl 3 s, interval 1 s)"}, quick, killed},
		{[]string{"kill -9 → port down (guard, lease_ttl 15 s, interval 5 s)"}, defaults(), killed},
		{[]string{"opened by hand → port down (guard, interval 1 s)"}, quick, byHand},
		{[]string{"opened by hand → port down (guard, interval 5 s)"}, defaults(), byHand},
		{[]string{"opened by hand → port down (patrol, every 5 s, without a guard)"}, defaults(), unguarded},
		{[]string{"opened by hand → port down (trap, without a guard)"}, told, unguarded},
	}
}

// passages holds a window and takes its times: of the commands and proofs from the
// ledger, of the port from the sampler.
func passages(ctx context.Context, s *site, _ *rand.Rand) ([]time.Duration, error) {
	if err := s.ensure(ctx, true); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := s.do(ctx, "window", vaultName, "--reason", "to be measured"); err != nil {
		return nil, err
	}
	entries, err := s.entries(ctx)
	if err != nil {
		return nil, err
	}
	said := map[string]time.Time{}
	var sent struct {
		OpenedAt time.Time `json:"opened_at"`
	}
	for _, e := range entries {
		switch {
		case e.Time.Before(began):
		case e.Door == vaultDoor:
			said[e.To] = e.Time
		case e.Vault == vaultName && e.To == "done":
			if err := json.Unmarshal(e.Detail, &sent); err != nil {
				return nil, err
			}
		}
	}
	up := ups(s.ports.Transitions(), lab.VaultPort, began, time.Now())
	if len(up) != 1 || sent.OpenedAt.IsZero() || said["shut"].IsZero() {
		return nil, fmt.Errorf("the port was up %d times, and the ledger says %v", len(up), said)
	}
	_, down := s.isUp(lab.VaultPort)
	return []time.Duration{
		up[0].from.Sub(sent.OpenedAt), said["open"].Sub(sent.OpenedAt),
		down.Sub(said["shutting"]), said["shut"].Sub(said["shutting"]),
	}, nil
}

// killed kills an executor whose window is in course.
func killed(ctx context.Context, s *site, r *rand.Rand) ([]time.Duration, error) {
	if err := s.ensure(ctx, false); err != nil {
		return nil, err
	}
	if err := s.busy(ctx, r); err != nil {
		return nil, err
	}
	began := time.Now()
	p, err := s.start("window", vaultName, "--reason", "to be killed")
	if err != nil {
		return nil, err
	}
	if err := s.moves(ctx, true, began); err != nil {
		return nil, err
	}
	sleep(ctx, time.Duration(r.Float64()*float64(6*time.Second)))
	if up, _ := s.isUp(lab.VaultPort); !up {
		return nil, errors.New("the window was over before it could be killed")
	}
	at := time.Now()
	p.signal(syscall.SIGKILL)
	took, err := s.down(ctx, at)
	return []time.Duration{took}, err
}

// busy makes the next window last, by a port of which nothing comes out in time.
func (s *site) busy(ctx context.Context, r *rand.Rand) error {
	if s.laden {
		return nil
	}
	s.laden = true
	if err := s.study(r, 0, 40<<20); err != nil {
		return err
	}
	if err := s.do(ctx, "gather", "imaging"); err != nil {
		return err
	}
	return s.SetVaultRate(ctx, 1)
}

// byHand opens the port as another administrator would, and wants it shut.
func byHand(ctx context.Context, s *site, r *rand.Rand) ([]time.Duration, error) {
	if err := s.ensure(ctx, false); err != nil {
		return nil, err
	}
	sleep(ctx, time.Duration(r.Float64()*float64(s.interval)))
	at := time.Now()
	if err := s.SetPort(ctx, lab.VaultPort, true); err != nil {
		return nil, err
	}
	took, err := s.down(ctx, at)
	return []time.Duration{took}, err
}

// unguarded is byHand with an orchestrator that is at rest, and no guard. For a minute
// after it shut a door the orchestrator looks more often, which is let pass where its
// looks are not to be measured.
func unguarded(ctx context.Context, s *site, r *rand.Rand) ([]time.Duration, error) {
	if s.serve == nil {
		var err error
		if s.serve, err = s.start("serve"); err != nil {
			return nil, err
		}
		if err := s.until(ctx, s.serve, "msg=serving"); err != nil {
			return nil, err
		}
	}
	if s.traps {
		sleep(ctx, 65*time.Second)
	}
	sleep(ctx, time.Duration(r.Float64()*float64(5*time.Second)))
	at := time.Now()
	if err := s.SetPort(ctx, lab.VaultPort, true); err != nil {
		return nil, err
	}
	took, err := s.down(ctx, at)
	if err != nil {
		return nil, err
	}
	return []time.Duration{took}, s.provenShut(ctx)
}

// provenShut waits until the ledger says that the vault's door is shut.
func (s *site) provenShut(ctx context.Context) error {
	until := time.Now().Add(hang)
	for {
		said, err := s.sayings(ctx)
		if err != nil || len(said) > 0 && said[len(said)-1].to == "shut" {
			return err
		}
		if time.Now().After(until) {
			return errors.New("the ledger does not say that the vault's door is shut")
		}
		sleep(ctx, 200*time.Millisecond)
	}
}

// moves waits until the vault's port went up or down after a moment.
func (s *site) moves(ctx context.Context, up bool, after time.Time) error {
	return s.poll(ctx, hang, fmt.Sprintf("the vault's port to be up=%t", up), func() bool {
		is, since := s.isUp(lab.VaultPort)
		return is == up && since.After(after)
	})
}

// down waits until the vault's port is down, and is how long that took since a moment.
func (s *site) down(ctx context.Context, since time.Time) (time.Duration, error) {
	if err := s.moves(ctx, false, since); err != nil {
		return 0, err
	}
	_, at := s.isUp(lab.VaultPort)
	return at.Sub(since), nil
}
