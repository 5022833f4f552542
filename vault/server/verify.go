package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"airlock/ledger"

	"github.com/gofrs/flock"
)

// VerifyOptions say how much is read.
type VerifyOptions struct {
	// Budget is how long; 0 is until everything was read once.
	Budget   time.Duration
	Progress func(VerifyProgress) // may be nil; called often, must not block
}

// VerifyProgress is how far a reading of everything has come, runs before this one
// included.
type VerifyProgress struct {
	Files, FilesTotal int
	Bytes, BytesTotal int64
}

// Damage is a file that is not as it was.
type Damage struct {
	File string `json:"file"`
	What string `json:"what"`
}

// VerifyReport is what a verification found.
type VerifyReport struct {
	Began   time.Time `json:"began,omitzero"` // of the reading of everything that this run is a part of
	Files   int       `json:"files"`          // read in this run
	Bytes   int64     `json:"bytes"`
	Left    int       `json:"left"` // files that this reading of everything has yet to read
	Damaged []Damage  `json:"damaged,omitempty"`
	Oldest  time.Time `json:"oldest,omitzero"` // since when a file was not read
	Overdue bool      `json:"overdue"`         // that is longer ago than it may be
}

// dueAtOnce is how many files are asked for at once.
const dueAtOnce = 256

// Verify reads files back, past the kernel's cache, and compares their hashes, those
// first that were not read for longest. A run that ends early, by its budget or by ctx,
// is carried on by the next. What is damaged now, or was found so before, is in the
// report, in the index for the next receipt, and in the ledger; it is no error.
func (h *Host) Verify(ctx context.Context, o VerifyOptions) (report VerifyReport, err error) {
	if err := h.recognise(ctx, false); err != nil {
		return report, err
	}
	if err := h.stockOfUnserved(ctx); err != nil {
		return report, err
	}
	began := h.conf.Now()
	if report.Began, err = h.index.passBegan(ctx, began); err != nil {
		return report, err
	}
	report.Began = report.Began.In(h.conf.Zone)
	done, err := h.readDue(ctx, o, &report)
	if err != nil && ctx.Err() == nil {
		return report, err
	}
	closing := context.WithoutCancel(ctx) // what was read is told, also after a cut
	for d, e := range h.index.damaged(closing) {
		if e != nil {
			return report, e
		}
		report.Damaged = append(report.Damaged, Damage{d.path, d.damage})
	}
	for r, e := range h.index.due(closing, h.conf.Now().Add(time.Hour), 1) {
		if e != nil {
			return report, e
		}
		if report.Oldest = r.read; r.read.UnixNano() == 0 {
			report.Oldest = r.arrived
		}
	}
	report.Overdue = h.conf.ReadAll > 0 && !report.Oldest.IsZero() && began.Sub(report.Oldest) > h.conf.ReadAll
	if done {
		err = h.index.passEnded(closing)
	}
	inLedger := report
	inLedger.Damaged = slices.Clone(report.Damaged[:min(len(report.Damaged), 100)])
	result := "sound"
	switch {
	case len(report.Damaged) > 0:
		result = "damaged"
	case ctx.Err() != nil:
		result = "cut"
	}
	h.ledger.Note(ledger.Entry{Time: h.conf.Now(), Kind: ledger.KindVerify, Actor: h.conf.Actor, Vault: h.conf.Name, To: result, Reason: "airlock vault verify", Detail: detail(inLedger)})
	return report, err
}

// stockOfUnserved takes stock where nobody serves, who did so when he began: a state folder
// that was lost knows of no file, and one that was put back of too few.
func (h *Host) stockOfUnserved(ctx context.Context) (err error) {
	lock := flock.New(filepath.Join(h.conf.State, "serve.lock"))
	mine, err := lock.TryLock()
	if err != nil || !mine {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	return h.exclusively(ctx, func() error { return h.takeStock(ctx) })
}

// readDue reads until nothing is left, or no time. done says that nothing is left.
func (h *Host) readDue(ctx context.Context, o VerifyOptions, report *VerifyReport) (done bool, err error) {
	left, leftBytes, err := h.index.count(ctx, report.Began)
	if err != nil {
		return false, err
	}
	all, allBytes, err := h.index.count(ctx, h.conf.Now().Add(time.Hour))
	if err != nil {
		return false, err
	}
	p := VerifyProgress{Files: all - left, FilesTotal: all, Bytes: allBytes - leftBytes, BytesTotal: allBytes}
	moved := func(n int64) {
		p.Bytes += n
		report.Bytes += n
		if o.Progress != nil {
			o.Progress(p)
		}
	}
	defer func() { report.Left = p.FilesTotal - p.Files }()
	until := time.Now().Add(o.Budget)
	for {
		var some []record
		for r, err := range h.index.due(ctx, report.Began, dueAtOnce) {
			if err != nil {
				return false, err
			}
			some = append(some, r)
		}
		if len(some) == 0 {
			return true, nil
		}
		for _, r := range some {
			if o.Budget > 0 && time.Now().After(until) {
				return false, nil
			}
			if _, err := h.readFile(ctx, r, moved); err != nil {
				return false, fmt.Errorf("verify %s: %w", r.path, err)
			}
			report.Files++
			p.Files++
		}
	}
}
