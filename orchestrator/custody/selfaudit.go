package custody

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/notice"
	"airlock/pause"
	"airlock/state"
	"airlock/wholefile"
)

// verified says when the whole ledger was found sound, and what it was then.
type verified struct {
	At      time.Time  `json:"at,omitzero"`
	Entries int64      `json:"entries"`
	Root    proof.Hash `json:"root"`
	// Unsound is what was found, if it was no longer sound when it was looked at last.
	Unsound   string    `json:"unsound,omitempty"`
	UnsoundAt time.Time `json:"unsound_at,omitzero"`
}

// keepVerified keeps it in the state folder, for the status. It is a convenience and no
// evidence; but no vault's door is opened while it says that the ledger is unsound.
func keepVerified(state state.Folder, v verified) error {
	text, err := json.Marshal(v)
	if err == nil {
		err = wholefile.Replace(state.Verified(), append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("when the ledger was verified: %w", err)
	}
	return nil
}

// readVerified is what keepVerified kept; the zero value if it never did.
func readVerified(state state.Folder) (v verified, err error) {
	text, err := os.ReadFile(state.Verified())
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
func forgetVerified(state state.Folder) error {
	err := os.Remove(state.Verified())
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

// Watch verifies the whole ledger when serve begins, and daily, until ctx ends. It
// makes way for windows.
func (c *Custody) Watch(ctx context.Context) {
	var last time.Time
	pause.Every(ctx, time.Minute, func() {
		if c.Busy() {
			return
		}
		if !last.IsZero() && time.Since(last) < verifyEvery {
			c.Recheck(ctx)
			return
		}
		if err := c.Verify(ctx); err == nil || !errors.Is(err, context.Canceled) {
			last = time.Now()
		}
	})
}

// Verify signs a head, holds the ledger to the heads that vaults hold, and looks at
// all of it, unless a window begins meanwhile (context.Canceled). What it finds is an
// alarm, and the next one is only for what is new.
func (c *Custody) Verify(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.SignedHead(ctx)
	before, err := readVerified(c.Policy.State)
	if err != nil {
		c.Log.Warn("as if the ledger had never been verified", "error", err)
	}
	report, err := c.audit(ctx, cancel)
	now := before
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ledger.ErrDamaged):
		now.Unsound, now.UnsoundAt = err.Error(), time.Now()
	case err != nil:
		c.Alarm("", notice.LedgerNotVerified.Of(), err.Error())
		return err
	default:
		if now.Unsound = altered(report); now.Unsound != "" {
			now.UnsoundAt = time.Now()
		} else {
			now = verified{At: time.Now(), Entries: report.Entries, Root: report.Root}
		}
		c.told(report, before.Entries)
	}
	if err := keepVerified(c.Policy.State, now); err != nil {
		c.Alarm("", notice.VerificationNotKept.Of(), err.Error())
	}
	result := foundSound
	if now.Unsound != "" {
		result = foundUnsound
	}
	c.journal.Note(ledger.Entry{
		Time: time.Now(), Kind: ledger.KindLedger, Actor: "airlock", Reason: "the whole ledger was verified", To: result,
		Detail: ledger.Detail(verifyDetail{report.Entries, report.Root, report.Heads, report.Outside, report.Grave, now.Unsound}),
	})
	if err := c.Trust(ctx); err != nil {
		c.Log.Error("the ledger is not trusted", "error", err)
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
func (c *Custody) audit(ctx context.Context, cancel context.CancelFunc) (proof.Report, error) {
	keys, err := Verifiers(c.Policy.State)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return proof.Report{}, err
	}
	outside, err := c.outside(ctx)
	if err != nil {
		return proof.Report{}, err
	}
	go pause.Every(ctx, time.Second, func() { // also while SQLite looks at its file
		if c.Busy() {
			cancel()
		}
	})
	began := time.Now()
	return c.journal.Verify(ctx, keys, outside, func(_, _ int64) {
		pause.For(ctx, verifyShare*time.Since(began))
		began = time.Now()
	})
}

// outside are the heads of this ledger that vaults hold and that fit; those that do not
// are told of by Trust.
func (c *Custody) outside(ctx context.Context) ([]proof.Head, error) {
	held, err := heldHeads(c.Policy.State)
	if err != nil {
		return nil, err
	}
	var fit []proof.Head
	for _, h := range held {
		head, err := proof.ReadHead([]byte(h.note))
		if err == nil && c.journal.Against(ctx, head) == nil {
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
func (c *Custody) told(r proof.Report, before int64) {
	if altered(r) != "" {
		return // then what it tells is worth little
	}
	for _, f := range r.Findings {
		if f.Grave && f.Seq > before {
			c.Alarm("", notice.LedgerTells.Of(), f.String())
			return
		}
	}
}
