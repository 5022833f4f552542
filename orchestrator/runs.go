package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"airlock/ledger"
	"airlock/policies"
	"airlock/spelling"
)

// A program runs to its end with the policy file that it read at its start. Which one that
// was, and what it says of doors, vaults, retention and the guard, stands in the ledger, so
// that an auditor need not believe the file of today; and whoever gives an order, or looks at
// the status, learns where the file, the executor and the guard differ.

// startDetail is what stands beside an executor's start.
type startDetail struct {
	Version string            `json:"version"`
	PID     int               `json:"pid"`
	Policy  *policies.File    `json:"policy,omitempty"`
	Record  map[string]string `json:"record,omitempty"` // policies.Policy.Record
}

// policyDetail is what stands beside the entry of another policy than before.
type policyDetail struct {
	Policy  *policies.File `json:"policy,omitempty"`
	Before  *policies.File `json:"before,omitempty"`
	Changes []string       `json:"changes,omitempty"` // of the record; none where something else was edited
}

// noteStart notes that this executor begins, by which policy, and whether that is another
// one than the last executor's.
func (s *Site) noteStart(ctx context.Context) {
	last, known := s.journal.Newest(ctx, ledger.Filter{Kind: ledger.KindStart})
	now := startDetail{Version: s.options.Version, PID: os.Getpid(), Record: s.policy.Record()}
	if f := s.options.File; f.Digest != "" {
		now.Policy = &f
	}
	s.journal.Note(ledger.Entry{
		Time: time.Now(), Kind: ledger.KindStart, Actor: s.options.Actor, Reason: "airlock " + s.options.Command, Detail: detail(now),
	})
	var before startDetail
	if !known || json.Unmarshal(last.Detail, &before) != nil || before.Record == nil {
		return
	}
	changes := policies.RecordChanges(before.Record, now.Record)
	edited := before.Policy != nil && now.Policy != nil && before.Policy.Digest != now.Policy.Digest
	if len(changes) == 0 && !edited {
		return
	}
	s.options.Log.Warn("the policy is another one than at the last start", "changes", changes)
	s.journal.Note(ledger.Entry{
		Time: time.Now(), Kind: ledger.KindPolicy, Actor: s.options.Actor, Reason: summary(changes),
		Detail: detail(policyDetail{now.Policy, before.Policy, changes}),
	})
}

// summary is what changed, in a line of an entry.
func summary(changes []string) string {
	const named = 8
	switch n := len(changes); {
	case n == 0:
		return "the policy file was changed in nothing that concerns doors, vaults, retention or the guard"
	case n > named:
		return fmt.Sprintf("%s; and %d more", strings.Join(changes[:named], "; "), n-named)
	}
	return strings.Join(changes, "; ")
}

// Runs says which site an executor runs, and by which policy file.
type Runs struct {
	Site string        `json:"site"`
	File policies.File `json:"policy,omitzero"`
}

// ErrOtherSite: the order was meant for another site than this executor's.
var ErrOtherSite = errors.New("nothing was done, for the order is of another site")

// meant refuses an order that was given with another site's policy file, whose systems and
// vaults may have the same names. Shutting waits for no such question (S2).
func (s *Site) meant(o Order) error {
	if o.Site == "" || o.Site == s.policy.Site || slices.Contains([]string{"shut", "lockdown", "status", "recheck"}, o.Verb) {
		return nil
	}
	return fmt.Errorf("%w: it is of %s, and this executor runs %s: name that site's policy file with -c, or give %s a state folder of its own", ErrOtherSite, o.Site, s.policy.Site, o.Site)
}

// unknown is the error of a name that the policy file does not have, or not yet when this
// executor read it.
func (s *Site) unknown(what, name string, has []string) error {
	err := fmt.Errorf("%s %q is %w; it has %s", what, name, ErrUnknown, strings.Join(has, ", "))
	if near := spelling.Nearest(name, has); near != "" {
		err = fmt.Errorf("%w; did you mean %s?", err, near)
	}
	if f := s.options.File; f.Digest != "" {
		if now, unread := f.Now(); unread == nil && now.Digest != f.Digest {
			return fmt.Errorf("%w; the executor runs with the policy file of %s, which was changed since: restart it", err, s.at(f.Of))
		}
	}
	return err
}

func (s *Site) at(t time.Time) string {
	return t.In(s.policy.Timezone.Location).Format("2006-01-02 15:04:05")
}

// PolicyStatus is the policy file by which the executor runs, or would.
type PolicyStatus struct {
	policies.File
	// Differences say what is not as the file has it now, and what to do, a sentence each.
	Differences []string `json:"differences,omitempty"`
}

// ComparePolicy says by which policy file the executor runs, where there is one, and whether
// the file is still that one and the guard on this machine runs by it too. A guard on
// another machine has a file of its own.
func (st *Status) ComparePolicy(runs policies.File) {
	if runs.Digest == "" {
		return
	}
	zone := st.Time.Location()
	at := func(t time.Time) string { return t.In(zone).Format("2006-01-02 15:04:05") }
	p := &PolicyStatus{File: runs}
	p.Of = runs.Of.In(zone)
	switch now, err := runs.Now(); {
	case err != nil:
		p.Differences = append(p.Differences, fmt.Sprintf("the policy file cannot be read any more; airlock runs with that of %s: %v", at(runs.Of), err))
	case now.Digest != runs.Digest && !now.Sound():
		p.Differences = append(p.Differences, fmt.Sprintf("the policy file has changed and cannot be used; airlock runs with that of %s; mend it before a restart", at(runs.Of)))
	case now.Digest != runs.Digest:
		p.Differences = append(p.Differences, fmt.Sprintf("the policy file has changed; airlock runs with that of %s; restart it", at(runs.Of)))
	}
	if g := st.Guard; g != nil && g.Missing == "" && g.Policy != nil && g.Policy.Digest != runs.Digest {
		p.Differences = append(p.Differences, fmt.Sprintf("the guard runs with the policy file of %s, and the executor with that of %s; restart the guard, or both", at(g.Policy.Of), at(runs.Of)))
	}
	st.Policy = p
}
