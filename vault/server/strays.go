package server

import (
	"context"
	"fmt"
	"slices"
	"time"

	"airlock/ledger"
	"airlock/vault"
)

// Waiting is what arrived since the newest generation that counts, and belongs to none: a
// window that was cut, on which the next one counts, or somebody else's.
type Waiting struct {
	Since int64 `json:"since"` // that generation
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

// StrayOptions are what a person says to have strays dropped.
type StrayOptions struct {
	Since  int64  // the last generation that is known to be good
	Reason string // for the ledger
	Brake  int    // if more files would go, none does; 0 for no brake
	Try    bool   // only say what would be done
}

// StrayReport is what became of them.
type StrayReport struct {
	Since int64    `json:"since"`
	Files int      `json:"files"`
	Bytes int64    `json:"bytes"`
	Names []string `json:"names,omitempty"` // the first of them
	Try   bool     `json:"try,omitempty"`
}

// strayNames is how many files a report names.
const strayNames = 20

// DropStrays removes what arrived after a generation did and is listed by none: a person's
// decision, for which there is a reason. Never does it remove what a generation that counts
// lists. If one of these cannot be read, or the last one that counted is gone, it removes
// nothing, for then what it listed is not known. What a window in course has brought goes
// too: its receipt asks for it again.
func (h *Host) DropStrays(ctx context.Context, o StrayOptions) (report StrayReport, err error) {
	report.Since, report.Try = o.Since, o.Try
	var s strays
	err = h.exclusively(ctx, func() error {
		if err := s.know(ctx, h, o.Since); err != nil {
			return err
		}
		return s.each(ctx, h, func(r record) {
			if report.Files++; report.Files <= strayNames {
				report.Names = append(report.Names, r.path)
			}
			report.Bytes += r.size
		})
	})
	if err == nil && o.Brake > 0 && report.Files > o.Brake {
		err = fmt.Errorf("%w: %d files, %s, would go, and the brake was given as %d; look at them with --dry-run", ErrHeld, report.Files, size(report.Bytes), o.Brake)
	}
	if err != nil || o.Try || report.Files == 0 {
		return report, err
	}
	entry := ledger.Entry{Time: h.conf.Now(), Kind: ledger.KindUpkeep, Actor: h.conf.Actor, Vault: h.conf.Name, To: "begun", Reason: "airlock vault prune --strays: " + o.Reason, Detail: detail(report)}
	if _, err := h.ledger.Append(ctx, entry); err != nil {
		return report, err
	}
	report.Files, report.Bytes = 0, 0
	for more := true; more && err == nil; {
		err = h.exclusively(ctx, func() (err error) {
			if err = s.know(ctx, h, o.Since); err == nil { // a window may have ended
				more, err = s.drop(ctx, h, &report)
			}
			return err
		})
	}
	if entry.To = "done"; err != nil {
		entry.To = "failed"
	}
	entry.Time, entry.Detail = h.conf.Now(), detail(report)
	h.ledger.Note(entry)
	return report, err
}

// strays is the search for what arrived after a time and belongs to no generation.
type strays struct {
	unlisted
	since time.Time
}

// know learns what the generations list, and when the one arrived since which others count.
func (s *strays) know(ctx context.Context, h *Host, since int64) error {
	if err := s.learn(ctx, h, nil, false); err != nil {
		return err
	}
	if !s.read[since] {
		return fmt.Errorf("%w: no generation %d counts here: name the newest one that is known to be good; airlock vault generations lists them", ErrHeld, since)
	}
	line, err := h.readLineage()
	if err != nil {
		return err
	}
	if line.Number > 0 && !s.read[line.Number] {
		return fmt.Errorf("%w: generation %d, the last one that counted, is gone or not as it was, so what it lists is not known", ErrHeld, line.Number)
	}
	a, _, err := h.arrival(ctx, since)
	s.since = a.At
	return err
}

// belongs says whether a file is a part of some generation, or of the layout.
func (u *unlisted) belongs(name string) bool {
	if n := max(vault.GenerationOf(name), vault.SignedOf(name)); n > 0 {
		return u.read[n]
	}
	return u.listed[name] || name == vault.ShardsName
}

func (s *strays) each(ctx context.Context, h *Host, f func(record)) error {
	for r, err := range h.index.all(ctx) {
		if err != nil {
			return err
		}
		if r.arrived.After(s.since) && !s.belongs(r.path) {
			f(r)
		}
	}
	return nil
}

// drop removes some of them, and says whether there are more.
func (s *strays) drop(ctx context.Context, h *Host, report *StrayReport) (more bool, err error) {
	var some []record
	if err := s.each(ctx, h, func(r record) {
		if more = len(some) == removeAtOnce; !more {
			some = append(some, r)
		}
	}); err != nil {
		return false, err
	}
	if err := h.removeAll(ctx, some); err != nil {
		return false, err
	}
	for _, r := range some {
		report.Files++
		report.Bytes += r.size
	}
	return more, nil
}

// dropOld removes blobs that arrived since the newest generation and have waited for one to
// list them for longer than any window takes to be held again. If they are more than what
// generations list, that is no window that was cut: then a person decides.
func (h *Host) dropOld(ctx context.Context, u *unlisted, try bool, report *PruneReport) error {
	if h.conf.Strays <= 0 || len(u.read) == 0 {
		return nil
	}
	before := h.conf.Now().Add(-h.conf.Strays)
	return h.exclusively(ctx, func() error {
		if err := u.learn(ctx, h, slices.Concat(report.Dropped, report.Unsigned), try); err != nil {
			return err
		}
		var old []record
		for r, err := range h.index.all(ctx) {
			if err != nil {
				return err
			}
			if vault.IsBlobFile(r.path) && !u.belongs(r.path) && r.arrived.After(u.newest) && r.arrived.Before(before) {
				old = append(old, r)
			}
		}
		if len(old) > len(u.listed) {
			h.alarm("files that belong to no generation", fmt.Sprintf("%d of them have waited since %s, more than generations list; %s", len(old), h.conf.Strays, strayHint(report.Waiting.Since)))
			return nil
		}
		if !try {
			if err := h.removeAll(ctx, old); err != nil {
				return err
			}
		}
		for _, r := range old {
			report.Blobs++
			report.Bytes += r.size
			report.Waiting.Files--
			report.Waiting.Bytes -= r.size
		}
		return nil
	})
}

// strayHint says how a person looks at what came since a generation.
func strayHint(since int64) string {
	return fmt.Sprintf("airlock vault prune --strays --since %d --dry-run shows what came since generation %d and belongs to none; with --reason TEXT instead it is dropped", since, since)
}

// crowded says what of the quota came since the newest generation; "" if nothing did.
func (h *Host) crowded(ctx context.Context) string {
	line, err := h.readLineage()
	if err != nil || line.Number == 0 {
		return ""
	}
	files, bytes, err := h.index.arrivedSince(ctx, line.Seen)
	if err != nil || files == 0 {
		return ""
	}
	return fmt.Sprintf("%d files, %s, came since generation %d and belong to none; on the vault's host: %s", files, size(bytes), line.Number, strayHint(line.Number))
}

// size is a number of bytes as people write it.
func size(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	value, unit := float64(n), 0
	for value >= 1000 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	if unit == 0 || value >= 100 {
		return fmt.Sprintf("%.0f %s", value, units[unit])
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}
