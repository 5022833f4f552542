package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"airlock/lease"
	"airlock/notice"
	"airlock/orchestrator/custody"
	"airlock/pause"
	"airlock/policies"

	"golang.org/x/mod/sumdb/note"
)

// Question is one for the leases, by a guard on another machine.
type Question struct {
	Nonce         string
	From, Program string // for people
	Signed        string // by the guard's own key; "" from a guard that has none
}

// ErrNoGuard: the policy names no guard on another machine.
var ErrNoGuard = errors.New("no guard on another machine is expected: guard.leases in the policy file says that there is one")

// Leases is the signed answer to a guard on another machine: the leases and the lockdown as
// they stand in the state folder. It waits for nothing that is being done. A nonce that is
// none is lease.ErrNonce.
//
// That somebody asks is how the executor knows that such a guard lives; where the policy
// has the guard's key, only what that has signed counts, and only once.
func (s *Site) Leases(q Question) ([]byte, error) {
	if s.policy.Guard.Leases == nil {
		return nil, ErrNoGuard
	}
	now, err := lease.Now()
	if err != nil {
		return nil, err
	}
	statement, err := lease.State(s.policy.State, q.Nonce, now)
	if err != nil {
		return nil, err
	}
	key, err := custody.Signer(s.policy.State)
	if err != nil {
		return nil, err
	}
	answer, err := statement.Sign(key)
	if err == nil {
		s.guards.asked(q, s.policy.Guard.Key, time.Now())
	}
	return answer, err
}

// GuardStatus is what is known of the guard: of the one on this machine by what it
// writes, of one on another by its questions.
type GuardStatus struct {
	HeardAt time.Time             `json:"heard_at,omitzero"` // zero: never since the machine was booted
	Age     float64               `json:"age_seconds"`       // since then, by a clock that nobody can set
	From    string                `json:"from,omitempty"`    // the other machine's address
	Program string                `json:"program,omitempty"` // airlock-guard and its version
	PID     int                   `json:"pid,omitempty"`     // of one on this machine
	Doors   map[string]lease.Look `json:"doors,omitempty"`   // what it saw last, on this machine
	Head    string                `json:"head,omitempty"`    // the newest of its ledger, on this machine: a signed note
	Ledger  string                `json:"ledger,omitempty"`  // what became of its ledger's file, on this machine
	Policy  *lease.PolicyFile     `json:"policy,omitempty"`  // by which it runs, on this machine
	Alarms  []lease.Alarm         `json:"alarms,omitempty"`  // of the last week, on this machine
	Missing string                `json:"missing,omitempty"` // why nobody may count on it
}

// A guard that was not heard of for silences intervals is missing, and so is one that
// has not looked at a door for lookWithin more: a switch that hangs takes a look as long.
const (
	silences   = 3
	lookWithin = time.Minute
)

// poll is a question by a guard on another machine.
type poll struct {
	at            time.Time
	from, program string
}

// guards keeps the last question of a guard.
type guards struct {
	mu   sync.Mutex
	last poll
	seen map[string]time.Time // nonces that were signed, and when; one counts once
}

// questionsWithin is how far a guard's clock may be from this machine's, and for how long a
// question is remembered, so that nobody who overheard it can ask it again.
const questionsWithin = 10 * time.Minute

// asked counts a question as a sign of life, unless a key is given that has not signed it.
// That a stranger asks changes nothing.
func (g *guards) asked(q Question, key string, now time.Time) {
	if key == "" {
		g.heard(poll{now, q.From, q.Program})
		return
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return
	}
	at, err := lease.OpenQuestion(q.Signed, q.Nonce, verifier)
	if err != nil || now.Sub(at).Abs() > questionsWithin {
		return
	}
	g.mu.Lock()
	_, again := g.seen[q.Nonce]
	maps.DeleteFunc(g.seen, func(_ string, at time.Time) bool { return now.Sub(at) > 2*questionsWithin })
	if g.seen == nil {
		g.seen = map[string]time.Time{}
	}
	g.seen[q.Nonce] = now
	g.mu.Unlock()
	if !again {
		g.heard(poll{now, q.From, q.Program})
	}
}

func (g *guards) heard(p poll) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = p
}

func (g *guards) latest() poll {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.last
}

// guardStatus is what is known of the guard, nil where there is nothing to guard. Since
// begun somebody listens; a guard has time to say something after that.
func guardStatus(p policies.Policy, last poll, begun time.Time) *GuardStatus {
	if len(p.Doors) == 0 {
		return nil
	}
	st := &GuardStatus{}
	err := st.onThisMachine(p)
	if age := time.Since(last.at); !last.at.IsZero() && (st.HeardAt.IsZero() || age.Seconds() < st.Age) {
		*st, err = GuardStatus{HeardAt: last.at, Age: age.Seconds(), From: last.from, Program: last.program}, nil
	}
	st.HeardAt = inZone(st.HeardAt, p.Timezone.Location)
	limit := silences * time.Duration(p.Guard.Interval)
	switch {
	case st.Missing != "" || time.Since(begun) < limit:
	case err != nil:
		st.Missing = "nobody knows whether a guard runs: " + err.Error()
	case st.HeardAt.IsZero():
		st.Missing = "no guard was heard of since the machine was booted"
	case st.Age > limit.Seconds():
		st.Missing = fmt.Sprintf("no guard was heard of for %s", time.Duration(st.Age)*time.Second)
	}
	return st
}

// onThisMachine reads what a guard on this machine said last.
func (st *GuardStatus) onThisMachine(p policies.Policy) error {
	sign, err := lease.ReadGuard(lease.GuardFile(p.Guard.Ledger))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	now, err := lease.Now()
	if err != nil {
		return err
	}
	if sign.Clock.Boot != now.Boot || sign.Clock.Since > now.Since {
		return nil
	}
	*st = GuardStatus{
		HeardAt: sign.At, Age: (now.Since - sign.Clock.Since).Seconds(), Program: "airlock-guard/" + sign.Version, PID: sign.PID, Doors: sign.Doors, Head: sign.Head, Ledger: sign.Ledger, Policy: sign.Policy, Alarms: sign.Alarms,
	}
	limit := silences*time.Duration(p.Guard.Interval) + lookWithin
	for _, name := range slices.Sorted(maps.Keys(sign.Doors)) {
		if age := now.Since - sign.Doors[name].Since; age > limit {
			st.Missing = fmt.Sprintf("the guard has not looked at door %s for %s", name, age.Round(time.Second))
		}
	}
	return nil
}

// listen calls a person when the guard is missing, once for each time.
func (s *Site) listen(ctx context.Context) {
	missing, gone := false, ""
	pause.Every(ctx, time.Duration(s.policy.Guard.Interval), func() {
		st := guardStatus(s.policy, s.guards.latest(), s.begun)
		switch {
		case st == nil:
		case st.Missing != "" && !missing:
			s.alarm(Alarm{At: time.Now(), Notice: notice.NoGuard.Of(), Why: st.Missing})
		case st.Missing == "" && missing:
			s.options.Log.Info("the guard is heard of again")
		}
		missing = st != nil && st.Missing != ""
		if st == nil {
			return
		}
		if st.Ledger != "" && gone == "" {
			s.alarm(Alarm{At: time.Now(), Notice: notice.GuardLedgerChanged.Of(), Why: st.Ledger})
		}
		gone = st.Ledger
	})
}
