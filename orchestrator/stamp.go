package orchestrator

import (
	"context"
	"net/http"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/ledger/stamp"
	"airlock/ledger/stamp/ask"
	"airlock/notice"
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

// stampHeads has the ledger's newest head time-stamped regularly, until ctx ends.
func (s *Site) stampHeads(ctx context.Context, p policies.Timestamps) {
	last, due, told := s.begun, s.begun, false
	if all, err := s.journal.Stamps(ctx); err == nil && len(all) > 0 {
		last = all[len(all)-1].At
		due = last.Add(time.Duration(p.Every))
	}
	for ctx.Err() == nil {
		// The wall clock may be set, and a machine may sleep.
		if left := time.Until(due); left > 0 && left <= time.Duration(p.Every) {
			pause(ctx, min(left, time.Minute))
			continue
		}
		at, err := s.stampHead(ctx, p)
		switch {
		case err == nil:
			last, told, due = at, false, time.Now().Add(time.Duration(p.Every))
			continue
		case ctx.Err() != nil:
			return
		}
		s.options.Log.Warn("the ledger's head was not time-stamped; trying again in an hour", "error", err)
		if !told && time.Since(last) > 2*time.Duration(p.Every) {
			told = true
			s.alarm(Alarm{At: time.Now(), Notice: notice.NotStamped.Of(last.In(s.policy.Timezone.Location).Format("2006-01-02 15:04")), Why: err.Error()})
		}
		due = time.Now().Add(min(stampRetry, time.Duration(p.Every)))
	}
}

// stampHead has the ledger as it stands stamped, and keeps the token.
func (s *Site) stampHead(ctx context.Context, p policies.Timestamps) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, stampWithin)
	defer cancel()
	roots, err := stamp.Authorities(p.CA)
	if err != nil {
		return time.Time{}, err
	}
	head, err := s.journal.Checkpoint(ctx)
	if err != nil {
		return time.Time{}, err
	}
	token, at, err := ask.Authority(ctx, http.DefaultClient, p.URL, head, roots)
	if err != nil {
		return time.Time{}, err
	}
	if err := s.journal.KeepStamp(ctx, ledger.Stamp{Head: head, At: at, Token: token}); err != nil {
		return time.Time{}, err
	}
	s.journal.Note(ledger.Entry{
		Time: time.Now(), Kind: ledger.KindLedger, Actor: "airlock", Reason: "the ledger's head was time-stamped", To: stamped,
		Detail: detail(stampDetail{at, head.Size, head.Root}),
	})
	return at, nil
}
