package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/notice"
	"airlock/wholefile"
)

// LedgerVerified says when the whole ledger was found sound, and what it was then.
type LedgerVerified struct {
	At      time.Time  `json:"at,omitzero"`
	Entries int64      `json:"entries"`
	Root    proof.Hash `json:"root"`
	// Unsound is what was found, if it was no longer sound when it was looked at last.
	Unsound   string    `json:"unsound,omitempty"`
	UnsoundAt time.Time `json:"unsound_at,omitzero"`
}

const verifiedFile = "verified.json"

// KeepVerified keeps it in the state folder, for the status. It is a convenience and no
// evidence; but no vault's door is opened while it says that the ledger is unsound.
func KeepVerified(state string, v LedgerVerified) error {
	text, err := json.Marshal(v)
	if err == nil {
		err = wholefile.Replace(filepath.Join(state, verifiedFile), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("when the ledger was verified: %w", err)
	}
	return nil
}

// readVerified is what KeepVerified kept; the zero value if it never did.
func readVerified(state string) (v LedgerVerified, err error) {
	text, err := os.ReadFile(filepath.Join(state, verifiedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return v, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		return v, fmt.Errorf("when the ledger was verified: %w; airlock audit verify writes it anew", err)
	}
	return v, nil
}

// forgetVerified is for a ledger that nobody has verified yet.
func forgetVerified(state string) error {
	err := os.Remove(filepath.Join(state, verifiedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

const (
	verifyEvery = 24 * time.Hour
	verifyShare = 3 // for each time of verifying, so many times as long is left to others

	// What an entry of kind ledger is about after the whole of it was verified.
	foundSound   = "sound"
	foundUnsound = "unsound"
)

// watchLedger verifies the whole ledger when serve begins, and daily, until ctx ends. It
// makes way for windows.
func (s *Site) watchLedger(ctx context.Context) {
	var last time.Time
	every(ctx, time.Minute, func() {
		if s.passing() {
			return
		}
		if !last.IsZero() && time.Since(last) < verifyEvery {
			s.recheck(ctx)
			return
		}
		if err := s.verifyLedger(ctx); err == nil || !errors.Is(err, context.Canceled) {
			last = time.Now()
		}
	})
}

// passing reports whether a window is planned or in course.
func (s *Site) passing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.windows) > 0
}

// verifyLedger signs a head, holds the ledger to the heads that vaults hold, and looks at
// all of it, unless a window begins meanwhile (context.Canceled). What it finds is an
// alarm, and the next one is only for what is new.
func (s *Site) verifyLedger(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.head(ctx)
	before, err := readVerified(s.policy.State)
	if err != nil {
		s.options.Log.Warn("as if the ledger had never been verified", "error", err)
	}
	report, err := s.audit(ctx, cancel)
	now := before
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ledger.ErrDamaged):
		now.Unsound, now.UnsoundAt = err.Error(), time.Now()
	case err != nil:
		s.alarm(Alarm{At: time.Now(), Notice: notice.LedgerNotVerified.Of(), Why: err.Error()})
		return err
	default:
		if now.Unsound = altered(report); now.Unsound != "" {
			now.UnsoundAt = time.Now()
		} else {
			now = LedgerVerified{At: time.Now(), Entries: report.Entries, Root: report.Root}
		}
		s.told(report, before.Entries)
	}
	if err := KeepVerified(s.policy.State, now); err != nil {
		s.alarm(Alarm{At: time.Now(), Notice: notice.VerificationNotKept.Of(), Why: err.Error()})
	}
	result := foundSound
	if now.Unsound != "" {
		result = foundUnsound
	}
	s.journal.Note(ledger.Entry{
		Time: time.Now(), Kind: ledger.KindLedger, Actor: "airlock", Reason: "the whole ledger was verified", To: result,
		Detail: detail(verifyDetail{report.Entries, report.Root, report.Heads, report.Outside, report.Grave, now.Unsound}),
	})
	if err := s.trust(ctx); err != nil {
		s.options.Log.Error("the ledger is not trusted", "error", err)
	}
	return nil
}

type verifyDetail struct {
	Entries int64      `json:"entries"`
	Root    proof.Hash `json:"root"`
	Heads   int        `json:"heads"`
	Outside int64      `json:"outside"` // entries under the last head that a vault holds
	Grave   int        `json:"grave,omitempty"`
	Unsound string     `json:"unsound,omitempty"`
}

// audit looks at the whole ledger, and gives way to a window by way of cancel.
func (s *Site) audit(ctx context.Context, cancel context.CancelFunc) (proof.Report, error) {
	keys, err := siteVerifiers(s.policy.State)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return proof.Report{}, err
	}
	outside, err := s.outside(ctx)
	if err != nil {
		return proof.Report{}, err
	}
	go every(ctx, time.Second, func() { // also while SQLite looks at its file
		if s.passing() {
			cancel()
		}
	})
	began := time.Now()
	return s.journal.Verify(ctx, keys, outside, func(_, _ int64) {
		pause(ctx, verifyShare*time.Since(began))
		began = time.Now()
	})
}

// outside are the heads of this ledger that vaults hold and that fit; those that do not
// are told of by trust.
func (s *Site) outside(ctx context.Context) ([]proof.Head, error) {
	held, err := heldHeads(s.policy.State)
	if err != nil {
		return nil, err
	}
	var fit []proof.Head
	for _, h := range held {
		head, err := proof.ReadHead([]byte(h.note))
		if err == nil && s.journal.Against(ctx, head) == nil {
			fit = append(fit, head)
		}
	}
	return fit, nil
}

// altered says what of the findings shows that the ledger itself was changed or damaged,
// whatever it tells; "" if none does.
func altered(r proof.Report) string {
	var all []string
	for _, f := range r.Findings {
		switch f.Rule {
		case "form", "number", "tree", "head", "signature", "outside head", "file":
			if f.Grave {
				all = append(all, f.String())
			}
		}
	}
	const named = 3
	if more := len(all) - named; more > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(all[:named], "; "), more)
	}
	return strings.Join(all, "; ")
}

// told calls a person for what the ledger tells and should not have happened, if it is
// younger than the last verification.
func (s *Site) told(r proof.Report, before int64) {
	if altered(r) != "" {
		return // then what it tells is worth little
	}
	for _, f := range r.Findings {
		if f.Grave && f.Seq > before {
			s.alarm(Alarm{At: time.Now(), Notice: notice.LedgerTells.Of(), Why: f.String()})
			return
		}
	}
}
