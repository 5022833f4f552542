package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"airlock/ledger"
	"airlock/orchestrator/doors/window"
)

// cutShort is a window that an earlier executor did not live to end. Its end is written once
// the vault's door is proven shut, so that it says for how long the door may have stood open.
type cutShort struct {
	entry    ledger.Entry // without its detail
	record   WindowRecord
	openedAt time.Time // when the command to open was given; zero if none was
	guardAt  time.Time // when the guard saw the door shut; zero if it did not, or is elsewhere
	// What the executor itself still wrote down: when the door was proven shut, and for how
	// long it had been open. Zero if it did not live to.
	provenAt time.Time
	exposure time.Duration
}

// cut is the end of the window of a vault that was begun last, where it has none.
func (s *Site) cut(ctx context.Context, vault string) (end func(since time.Time) ledger.Entry) {
	begun, ok := s.journal.Newest(ctx, ledger.Filter{Kind: ledger.KindWindow, Vault: vault})
	if !ok || !inCourse(begun.To) {
		return nil
	}
	return s.cutWindow(ctx, s.policy.Vaults[vault].Door, begun).end
}

// cutWindow is the end of a window that was begun and has none.
func (s *Site) cutWindow(ctx context.Context, door string, begun ledger.Entry) *cutShort {
	c := &cutShort{
		entry: ledger.Entry{
			Kind: ledger.KindWindow, Actor: "start-up", Vault: begun.Vault, Window: begun.Window,
			Reason: "the executor ended in the middle of this window", From: begun.To, To: resultCut,
		},
		record: WindowRecord{
			ID: begun.Window, Vault: begun.Vault, Purpose: begun.To, Result: resultCut,
			Actor: begun.Actor, Reason: begun.Reason, Error: "the executor ended in the middle of this window",
		},
	}
	for e, err := range s.journal.Entries(ctx, ledger.Filter{Kind: ledger.KindDoor, Door: door, To: window.Opening.String(), AfterSeq: begun.Seq}) {
		if err != nil {
			break
		}
		if e.Window == begun.Window {
			c.openedAt = e.Time
			c.guardAt = s.guardShut(ctx, door, e.Time)
			c.provenAt, c.exposure = s.provenShut(ctx, door, e)
			break
		}
	}
	return c
}

// provenShut is when a door that a window had opened was proven shut, and what was measured.
func (s *Site) provenShut(ctx context.Context, door string, opening ledger.Entry) (time.Time, time.Duration) {
	for e, err := range s.journal.Entries(ctx, ledger.Filter{Kind: ledger.KindDoor, Door: door, To: window.Shut.String(), AfterSeq: opening.Seq}) {
		if err != nil {
			break
		}
		var d struct {
			Exposure float64 `json:"exposure_seconds"`
		}
		if e.Window == opening.Window && json.Unmarshal(e.Detail, &d) == nil && d.Exposure > 0 {
			return e.Time, time.Duration(d.Exposure * float64(time.Second))
		}
	}
	return time.Time{}, 0
}

// guardShut is when a guard on this machine first saw a door shut after that time; zero if
// its ledger cannot tell, and then the executor's own proof is all there is.
func (s *Site) guardShut(ctx context.Context, door string, after time.Time) time.Time {
	r, err := ledger.OpenReader(ctx, s.policy.Guard.Ledger)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}
	}
	var at time.Time
	if err == nil {
		for e, ended := range r.Entries(ctx, ledger.Filter{Kind: ledger.KindDoor, Door: door, To: window.Shut.String(), Since: after}) {
			if err = ended; err == nil {
				at = e.Time
			}
			break
		}
		err = errors.Join(err, r.Close())
	}
	if err != nil {
		s.options.Log.Warn("the guard's ledger does not say when it shut a door", "door", door, "error", err)
	}
	return at
}

// end is the entry of its end, once the vault's door is shut since then.
func (c *cutShort) end(since time.Time) ledger.Entry {
	switch r := &c.record; {
	case !c.provenAt.IsZero():
		r.OpenedAt, r.ShutAt, r.ProvenAt = c.openedAt, c.openedAt.Add(c.exposure), c.provenAt
		r.Exposure, r.Proof = c.exposure.Seconds(), max(0, r.ProvenAt.Sub(r.ShutAt)).Seconds()
	case !c.openedAt.IsZero():
		r.OpenedAt, r.ShutAt, r.ShutBy, r.AtMost = c.openedAt, since, "start-up", true
		r.ProvenAt = r.ShutAt
		if !c.guardAt.IsZero() && c.guardAt.Before(r.ShutAt) {
			r.ShutAt, r.ShutBy = c.guardAt, "guard"
		}
		r.Exposure = max(0, r.ShutAt.Sub(r.OpenedAt)).Seconds()
		r.Proof = r.ProvenAt.Sub(r.ShutAt).Seconds()
	}
	c.entry.Time, c.entry.Detail = time.Now(), detail(c.record)
	return c.entry
}
