//go:build linux

package openings

import (
	"fmt"
	"math"
	"time"

	"airlock/ledger"
)

// compare holds all that is told at the end against each other and the sampler, and logs it
// as docs/safety.md has it.
func (h *hospital) compare(all []*trial) {
	h.t.Helper()
	list := h.list()
	page, rows := h.report()
	verified, byVerify := h.verify()
	audited, byAuditor := h.auditor()
	status := sum{off: 0.001 * float64(len(all)+1)}
	sampled := status
	h.t.Log("| # | killed | the port was up | told by all |")
	h.t.Log("| --- | --- | --- | --- |")
	for i, one := range all {
		status.take(one.told)
		if least := one.up.least().Seconds(); least > 0 {
			sampled.take(told{opened: true, seconds: least})
		}
		h.t.Logf("| %d | %s | %s | %s |", i+1, one, one.up, one.heard())
		h.truth(i+1, one)
		if one.window == "" {
			continue
		}
		if is := rows[h.endOf(one.window)]; !is.like(one.told) {
			h.t.Errorf("trial %d, %s: audit report tells %s, and the status told %s", i+1, one, is, one.told)
		}
		if is := list[one.window]; !is.accounts(one.told) {
			h.t.Errorf("trial %d, %s: audit list tells %s, and the status told %s", i+1, one, is, one.told)
		}
		for who, is := range map[string]bounds{"audit verify": byVerify, "airlock-audit": byAuditor} {
			if most, bound := is[h.openingOf(one.window)]; bound != one.told.atMost || bound && math.Abs(most-one.told.seconds) > exact {
				h.t.Errorf("trial %d, %s: %s names a bound of %.3f s (%t), and the status told %s", i+1, one, who, most, bound, one.told)
			}
		}
	}
	h.t.Log("| told by | openings | bounded | unexplained | in all | longest |")
	h.t.Log("| --- | --- | --- | --- | --- | --- |")
	h.t.Logf("| the sampler | %d | | | %.3f s | %.3f s |", sampled.openings, sampled.all, sampled.longest)
	h.t.Logf("| status, /metrics and Nagios, added up | %s |", status)
	h.t.Logf("| audit list, of both ledgers | %s |", listed(list))
	h.agree("audit report", page, status)
	h.agree("audit verify", verified, status)
	h.agree("airlock-audit", audited, status)
	if status.bounded == 0 {
		h.t.Error("no executor died in an opening, so that nothing was tried")
	}
}

// agree wants a teller's sums to be those of the status.
func (h *hospital) agree(who string, is, status sum) {
	h.t.Helper()
	h.t.Logf("| %s | %s |", who, is)
	if !is.like(status) {
		h.t.Errorf("%s tells %s, and the status told %s", who, is, status)
	}
}

// take adds an opening.
func (s *sum) take(t told) {
	if !t.opened {
		return
	}
	s.openings++
	if t.atMost {
		s.bounded++
	}
	s.all, s.longest = s.all+t.seconds, max(s.longest, t.seconds)
}

// accounts reports whether what two ledgers list is what was told. Where the guard proved the
// door shut only after the next start had read its ledger, the two of them know better.
func (t told) accounts(u told) bool {
	return t.like(u) || t.opened && t.atMost && u.atMost && u.shutBy == "start-up" && t.seconds < u.seconds
}

func listed(list map[string]told) sum {
	s := sum{off: exact * float64(len(list)+1)}
	for _, t := range list {
		s.take(t)
	}
	return s
}

// truth holds what is told of a trial against what was seen of the port.
func (h *hospital) truth(number int, one *trial) {
	h.t.Helper()
	least := one.up.least()
	fail := func(format string, args ...any) {
		h.t.Errorf("S3: trial %d, %s: the port was up from %s for %s, and %s is told: %s", number, one, one.up.from.Format(time.RFC3339Nano), least, one.told, fmt.Sprintf(format, args...))
	}
	is := one.told
	if !is.opened {
		if least > 0 {
			fail("nobody tells of it")
		}
		return
	}
	if longest := one.end.Sub(one.began).Seconds(); is.seconds > longest {
		fail("the whole trial took %.3f s", longest)
	}
	if least <= 0 { // the intent was durable, and no command left
		return
	}
	off := time.Duration(within * float64(time.Second))
	switch {
	case is.from.After(one.up.from.Add(off)):
		fail("since %s", is.from.Format(time.RFC3339Nano))
	case is.to.Before(one.up.to.Add(-off)):
		fail("up to %s", is.to.Format(time.RFC3339Nano))
	case !one.killed.IsZero() && one.killed.Before(one.up.to) && !is.atMost:
		fail("as measured, by an executor that was gone")
	}
}

// endOf is the entry that ends a window, openingOf the one by which it opened its door; 0
// for none.
func (h *hospital) endOf(window string) int64 {
	h.t.Helper()
	for _, e := range h.read(h.ledger(), ledger.Filter{Kind: ledger.KindWindow, Window: window}) {
		if e.From != "" {
			return e.Seq
		}
	}
	return 0
}

func (h *hospital) openingOf(window string) int64 {
	h.t.Helper()
	for _, e := range h.read(h.ledger(), ledger.Filter{Kind: ledger.KindDoor, Door: door, Window: window}) {
		if e.To == "opening" {
			return e.Seq
		}
	}
	return 0
}

func (s span) String() string {
	if s.least() <= 0 {
		return "never"
	}
	return fmt.Sprintf("%.3f s", s.least().Seconds())
}

// heard is what is told of the trial, in words.
func (t *trial) heard() string {
	switch {
	case t.window == "":
		return "no window had begun"
	case t.told.atMost && t.told.shutBy != "":
		return t.told.String() + ", shut by " + t.told.shutBy
	}
	return t.told.String()
}
