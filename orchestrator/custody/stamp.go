package custody

import (
	"context"
	"net/http"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/ledger/stamp"
	"airlock/ledger/stamp/ask"
	"airlock/notice"
	"airlock/pause"
	"airlock/policies"
)

const (
	stampWithin = time.Minute // how long an authority may take
	stampRetry  = time.Hour   // after it was asked in vain
)

// stamped is what an entry of kind ledger is about (To) after which a head has a
// time-stamp. The entry tells of a token that somebody took away.
const stamped = "stamped"

type stampDetail struct {
	At   time.Time  `json:"at"` // as the authority says
	Size int64      `json:"size"`
	Root proof.Hash `json:"root"`
}

// Stamp has the ledger's newest head time-stamped as often as p says, until ctx ends.
func (c *Custody) Stamp(ctx context.Context, p policies.Timestamps) {
	last, due, told := c.Begun, c.Begun, false
	if all, err := c.journal.Stamps(ctx); err == nil && len(all) > 0 {
		last = all[len(all)-1].At
		due = last.Add(time.Duration(p.Every))
	}
	for ctx.Err() == nil {
		// The wall clock may be set, and a machine may sleep.
		if left := time.Until(due); left > 0 && left <= time.Duration(p.Every) {
			pause.For(ctx, min(left, time.Minute))
			continue
		}
		at, err := c.stampHead(ctx, p)
		switch {
		case err == nil:
			last, told, due = at, false, time.Now().Add(time.Duration(p.Every))
			continue
		case ctx.Err() != nil:
			return
		}
		c.Log.Warn("the ledger's head was not time-stamped; trying again in an hour", "error", err)
		if !told && time.Since(last) > 2*time.Duration(p.Every) {
			told = true
			c.Alarm("", notice.NotStamped.Of(last.In(c.Policy.Timezone.Location).Format("2006-01-02 15:04")), err.Error())
		}
		due = time.Now().Add(min(stampRetry, time.Duration(p.Every)))
	}
}

// stampHead has the ledger as it stands stamped, and keeps the token.
func (c *Custody) stampHead(ctx context.Context, p policies.Timestamps) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, stampWithin)
	defer cancel()
	roots, err := stamp.Authorities(p.CA)
	if err != nil {
		return time.Time{}, err
	}
	head, err := c.journal.Checkpoint(ctx)
	if err != nil {
		return time.Time{}, err
	}
	token, at, err := ask.Authority(ctx, http.DefaultClient, p.URL, head, roots)
	if err != nil {
		return time.Time{}, err
	}
	if err := c.journal.KeepStamp(ctx, ledger.Stamp{Head: head, At: at, Token: token}); err != nil {
		return time.Time{}, err
	}
	c.journal.Note(ledger.Entry{
		Time: time.Now(), Kind: ledger.KindLedger, Actor: "airlock", Reason: "the ledger's head was time-stamped", To: stamped,
		Detail: ledger.Detail(stampDetail{at, head.Size, head.Root}),
	})
	return at, nil
}
