package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airlock/ledger"
	"airlock/policies"
	"airlock/repository"
)

// Held is a gathering that a person has to look at.
type Held struct {
	Since    time.Time `json:"since"` // of the first since the last good one
	Snapshot string    `json:"snapshot"`
	Why      string    `json:"why"`
}

// Losses below these never make a gathering implausible by themselves: a small system that
// loses one of its files is nothing to call a person for.
const (
	fewFiles = 5
	fewBytes = 64 << 10
)

// implausible says why a gathering is not to be taken for good; "" if it is (S17).
func implausible(e policies.Expect, now repository.Extent, last *repository.Extent) string {
	most := 100 - int64(e.Shrink)
	switch {
	case now.Files < int64(e.MinFiles):
		return fmt.Sprintf("it has %d files, and expect.min_files is %d", now.Files, e.MinFiles)
	case now.Bytes < int64(e.MinBytes):
		return fmt.Sprintf("it has %s, and expect.min_bytes is %s", Size(now.Bytes), Size(int64(e.MinBytes)))
	case e.Shrink == 100:
		return ""
	case last == nil && now.Files == 0:
		return "there is not one file in the source"
	case last == nil:
		return ""
	case now.Files == 0 && last.Files > 0:
		return fmt.Sprintf("there is not one file in the source, and there were %d", last.Files)
	case now.Bytes == 0 && last.Bytes > 0:
		return fmt.Sprintf("all of its files are empty, and there were %s", Size(last.Bytes))
	case last.Files-now.Files >= fewFiles && float64(now.Files) < float64(last.Files)*float64(most)/100:
		return fmt.Sprintf("it has %d files, and the last good one had %d", now.Files, last.Files)
	case last.Bytes-now.Bytes >= fewBytes && float64(now.Bytes) < float64(last.Bytes)*float64(most)/100:
		return fmt.Sprintf("it has %s, and the last good one had %s", Size(now.Bytes), Size(last.Bytes))
	}
	return ""
}

// toAccept is the next step after a gathering that is held.
func toAccept(system, why string) string {
	return fmt.Sprintf("%s; look at its source; if it is right so: airlock accept %s --reason TEXT", why, system)
}

// Accepted is a snapshot that a person found right.
type Accepted struct {
	System   string    `json:"system"`
	Snapshot string    `json:"snapshot,omitempty"` // its ID from now on; "" if only its source's place was accepted
	Before   string    `json:"before,omitempty"`   // its ID while it was held
	Taken    time.Time `json:"taken,omitzero"`
	Files    int64     `json:"files"`
	Bytes    int64     `json:"bytes"`
}

// Accept takes a system's newest snapshot for good, which is held: it counts for its RPO and
// its keep, and later gatherings are compared with it. Where the source lies now is right as well.
func (s *Site) Accept(ctx context.Context, system string, by Caller) (Accepted, error) {
	if err := s.begin(); err != nil {
		return Accepted{}, err
	}
	defer s.orders.Done()
	if _, err := s.systems([]string{system}); err != nil {
		return Accepted{}, err
	}
	if by.Reason == "" {
		return Accepted{}, errors.New("accepting a snapshot needs a reason: --reason TEXT")
	}
	repo, err := s.Repository(ctx)
	if err != nil {
		return Accepted{}, err
	}
	elsewhere, err := s.acceptPlace(system)
	if err != nil {
		return Accepted{}, err
	}
	before, after, err := repo.Accept(ctx, system)
	switch {
	case errors.Is(err, repository.ErrNothingHeld) && elsewhere:
		s.journal.Note(ledger.Entry{
			Time: time.Now(), Kind: ledger.KindUpkeep, Actor: by.Actor, Reason: by.Reason, System: system,
			Detail: detail(map[string]string{"accepted": "its source lies on another mount than before"}),
		})
		return Accepted{System: system}, nil
	case err != nil:
		return Accepted{}, err
	}
	// Of the gathering's own kind, so that whoever reads what became of it reads this.
	g := Gathered{
		System: system, Result: resultDone, Snapshot: after.ID, Accepted: before.ID, Start: after.Start, End: time.Now(),
		Files: after.Files, Bytes: after.Bytes, NotRead: int64(after.Failed),
	}
	if g.NotRead > 0 {
		g.Result = resultInPart
	}
	if g.Snapshots, err = s.count(ctx, repo, system); err != nil {
		return Accepted{}, err
	}
	s.journal.Note(ledger.Entry{
		Time: g.End, Kind: ledger.KindGather, Actor: by.Actor, Reason: by.Reason,
		System: system, From: resultHeld, To: g.Result, Detail: detail(g),
	})
	s.custody.SignedHead(context.WithoutCancel(ctx))
	return Accepted{System: system, Snapshot: after.ID, Before: before.ID, Taken: after.Start, Files: after.Files, Bytes: after.Bytes}, nil
}

// count is how many snapshots of a system stand for what it had: the incomplete ones and
// those that are held do not.
func (s *Site) count(ctx context.Context, repo *repository.Repository, system string) (n int, err error) {
	all, err := repo.Snapshots(ctx, system)
	for _, one := range all {
		if !one.Incomplete && one.Held == "" {
			n++
		}
	}
	return n, err
}
