package proof

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// night writes entries at seconds after noon.
type night struct{ entries []Entry }

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

func (n *night) write(seconds float64, e Entry, detail string, args ...any) {
	e.Version, e.Seq, e.Time = 2, int64(len(n.entries)+1), at(seconds)
	if detail != "" {
		e.Detail = json.RawMessage(fmt.Sprintf(detail, args...))
	}
	n.entries = append(n.entries, e)
}

func (n *night) begin(seconds float64, id string) {
	n.write(seconds, Entry{Kind: KindWindow, Actor: "user kita", Reason: "by request", Vault: "v", Window: id, To: "copying"}, "")
}

func (n *night) door(seconds float64, actor, id, from, to, detail string, args ...any) {
	n.write(seconds, Entry{Kind: KindDoor, Actor: actor, Door: "d", Vault: "v", Window: id, From: from, To: to}, detail, args...)
}

func (n *night) end(seconds float64, id, result, detail string, args ...any) {
	n.write(seconds, Entry{Kind: KindWindow, Actor: "start-up", Vault: "v", Window: id, From: "copying", To: result}, detail, args...)
}

func (n *night) patrol(seconds float64, to, detail string, args ...any) {
	n.write(seconds, Entry{Kind: KindPatrol, Actor: "patrol", Door: "d", Vault: "v", To: to}, detail, args...)
}

const (
	isUp   = `{"reading":{"admin":1,"oper":1}}`
	isDown = `{"reading":{"admin":2,"oper":2}}`
)

func stamp(seconds float64) string { return at(seconds).Format(time.RFC3339Nano) }

// What is told of openings is what the entries tell: nothing more, and never less.
func TestOpenings(t *testing.T) {
	for name, c := range map[string]struct {
		write func(n, guard *night)
		want  string
	}{
		"a good window": {func(n, _ *night) {
			n.begin(0, "w")
			n.door(1, "user kita", "w", "shut", "opening", "")
			n.door(1.1, "user kita", "w", "opening", "open", isUp)
			n.door(4, "user kita", "w", "open", "shutting", isUp)
			n.door(5, "user kita", "w", "shutting", "shut", `{"exposure_seconds":3.25}`)
			n.end(5.1, "w", "done", `{"opened_at":%q,"exposure_seconds":3.25}`, stamp(1.05))
		}, "1.05–4.30 user kita/by request"},
		"the command never left": {func(n, _ *night) {
			n.begin(0, "w")
			n.door(1, "user kita", "w", "shut", "opening", "")
			n.door(2, "user kita", "w", "opening", "shutting", "")
			n.door(3, "user kita", "w", "shutting", "shut", isDown)
			n.end(3.1, "w", "failed", `{}`)
		}, ""},
		"S14: killed, found open by the next start": {func(n, _ *night) {
			n.begin(0, "w")
			n.door(1, "user kita", "w", "shut", "opening", "")
			n.door(1.1, "user kita", "w", "opening", "open", isUp)
			n.write(60, Entry{Kind: KindStart, Actor: "user root"}, "")
			n.door(60.1, "start-up", "", "unknown", "shutting", isUp)
			n.door(61, "start-up", "", "shutting", "shut", isDown)
			n.end(61.1, "w", "cut", `{"opened_at":%q,"exposure_seconds":60,"exposure_at_most":true,"shut_by":"start-up"}`, stamp(1))
		}, "1.00–61.00 at most, shut by start-up, user kita/by request"},
		"S14: killed, shut by the guard": {func(n, guard *night) {
			n.begin(0, "w")
			n.door(1, "user kita", "w", "shut", "opening", "")
			guard.door(14, "guard", "", "open", "shutting", "")
			guard.door(15, "guard", "", "shutting", "shut", "")
			n.write(60, Entry{Kind: KindStart, Actor: "user root"}, "")
			n.door(60.1, "start-up", "", "unknown", "shut", isDown)
		}, "1.00–15.00 at most, shut by guard, user kita/by request"},
		"and the executor wrote down what the guard saw": {func(n, _ *night) {
			n.begin(0, "w")
			n.door(1, "user kita", "w", "shut", "opening", "")
			n.write(60, Entry{Kind: KindStart, Actor: "user root"}, "")
			n.door(60.1, "start-up", "", "unknown", "shut", isDown)
			n.end(60.2, "w", "cut", `{"opened_at":%q,"exposure_seconds":14,"exposure_at_most":true,"shut_by":"guard"}`, stamp(1))
		}, "1.00–15.00 at most, shut by guard, user kita/by request"},
		"S3: the next start was before the guard's proof, and what it wrote down is what all tell": {func(n, guard *night) {
			n.begin(0, "w")
			n.door(1, "user kita", "w", "shut", "opening", "")
			n.write(4, Entry{Kind: KindStart, Actor: "user root"}, "")
			n.door(4.1, "start-up", "", "unknown", "shutting", isUp)
			guard.door(4.2, "guard", "", "open", "shutting", "")
			guard.door(6, "guard", "", "shutting", "shut", "")
			n.door(6.1, "start-up", "", "shutting", "shut", isDown)
			n.end(6.2, "w", "cut", `{"opened_at":%q,"exposure_seconds":5.2,"exposure_at_most":true,"shut_by":"start-up"}`, stamp(1))
		}, "1.00–6.20 at most, shut by start-up, user kita/by request"},
		"S14: the guard ended the second of two that were near each other": {func(n, guard *night) {
			n.begin(0, "w")
			n.door(1, "user kita", "w", "shut", "opening", "")
			n.door(2, "user kita", "w", "opening", "shutting", "")
			n.door(3, "user kita", "w", "shutting", "shut", `{"exposure_seconds":2}`)
			n.end(3.1, "w", "done", `{"opened_at":%q,"exposure_seconds":2}`, stamp(1))
			n.begin(3.5, "x")
			n.door(4, "user kita", "x", "shut", "opening", "")
			guard.door(7, "guard", "", "open", "shutting", "")
			guard.door(7.5, "guard", "", "shutting", "shut", "")
		}, "1.00–3.00 user kita/by request4.00–7.50 at most, shut by guard, user kita/by request"},
		"nobody came back": {func(n, _ *night) {
			n.begin(0, "w")
			n.door(1, "user kita", "w", "shut", "opening", "")
			n.door(1.1, "user kita", "w", "opening", "open", isUp)
		}, "1.00– at most, user kita/by request"},
		"stuck, and shut at last": {func(n, _ *night) {
			n.begin(0, "w")
			n.door(1, "user kita", "w", "shut", "opening", "")
			n.door(4, "user kita", "w", "opening", "shutting", "")
			n.door(64, "user kita", "w", "shutting", "stuck", "")
			n.end(64.1, "w", "failed", `{"opened_at":%q,"exposure_seconds":63}`, stamp(1))
			n.door(90, "patrol", "", "stuck", "shut", `{"exposure_seconds":89}`)
		}, "1.00–90.00 user kita/by request"},
		"S7: opened by another hand, seen open": {func(n, _ *night) {
			n.patrol(50, "opened", `{"shut_seen":%q,"now":{"admin":1,"oper":1}}`, stamp(20))
			n.door(50, "patrol", "", "shut", "shutting", isUp)
			n.door(51, "patrol", "", "shutting", "shut", isDown)
			n.patrol(51, "shut", `{"shut_seen":%q,"open_at_most_seconds":31}`, stamp(20))
		}, "20.00–51.00 at most, unexplained, patrol/"},
		"and the door's entry came first": {func(n, _ *night) {
			n.door(50, "start-up", "", "unknown", "shutting", isUp)
			n.patrol(50, "opened", `{"shut_seen":%q,"now":{"admin":1,"oper":1}}`, stamp(20))
			n.door(51, "start-up", "", "shutting", "shut", isDown)
		}, "20.00–51.00 at most, unexplained, start-up/"},
		"S3: read as down, and what stands behind it answers": {func(n, _ *night) {
			n.patrol(50, "opened", `{"shut_seen":%q,"now":{"admin":2,"oper":2},"probe":"answers"}`, stamp(20))
			n.door(50, "patrol", "", "shut", "shutting", `{"reading":{"admin":2,"oper":2},"probe":"answers"}`)
			n.door(51, "patrol", "", "shutting", "shut", isDown)
			n.patrol(51, "shut", `{"shut_seen":%q,"open_at_most_seconds":31}`, stamp(20))
		}, "20.00–51.00 at most, unexplained, patrol/"},
		"and shut again before anybody looked": {func(n, _ *night) {
			n.patrol(50, "opened", `{"shut_seen":%q,"changed":%q,"now":{"admin":2,"oper":2}}`, stamp(20), stamp(33))
			n.door(50, "patrol", "", "shut", "shutting", isDown)
			n.door(51, "patrol", "", "shutting", "shut", isDown)
		}, "20.00–33.00 at most, unexplained, patrol/"},
		"the guard alone": {func(_, guard *night) {
			guard.door(14, "guard", "", "open", "shutting", `{"shut_seen":%q}`, stamp(9))
			guard.door(15, "guard", "", "shutting", "shut", "")
		}, "9.00–15.00 at most, unexplained, shut by guard, guard/"},
		"an inner door is no opening": {func(n, _ *night) {
			n.door(1, "user kita", "w", "shut", "opening", `{"side":"inner"}`)
			n.door(2, "user kita", "w", "opening", "open", `{"side":"inner"}`)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var n, guard night
			c.write(&n, &guard)
			var o Openings
			for i := range n.entries {
				o.Take(&n.entries[i])
			}
			got := ""
			for _, o := range WithGuard(o.End(), guard.entries) {
				got += tell(o)
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func tell(o Opening) string {
	text := fmt.Sprintf("%.2f–", o.From.Sub(noon).Seconds())
	if o.Over() {
		text += fmt.Sprintf("%.2f", o.To.Sub(noon).Seconds())
	}
	if o.AtMost {
		text += " at most,"
	}
	if o.Unexplained {
		text += " unexplained,"
	}
	if o.ShutBy != "" && o.ShutBy != o.Actor || o.Guard {
		text += " shut by " + o.ShutBy + ","
	}
	return text + " " + o.Actor + "/" + o.Reason
}

// S3: a door that nobody has proven shut counts as open up to when the ledger was read, or
// its export made, however old the newest entry is.
func TestStillOpenCountsUpToTheReading(t *testing.T) {
	var n night
	n.begin(0, "w")
	n.door(1, "user kita", "w", "shut", "opening", "")
	n.door(2, "user kita", "w", "opening", "open", isUp)
	for name, until := range map[string]time.Time{"read at once": {}, "read later": at(78)} {
		a := NewAudit(nil)
		a.Until(until)
		for i := range n.entries {
			e := n.entries[i]
			e.Recorded = e.Time
			item := Item{entry: e, evidence: evidenceOf(&e)}
			a.entry(&item)
		}
		want := later(at(2), until).Sub(at(1))
		if r := a.End(); r.Openings != 1 || r.Bounded != 1 || r.Exposure != want || r.Longest != want {
			t.Errorf("%s: %d openings, %d bounded, open for %s, the longest %s; want %s", name, r.Openings, r.Bounded, r.Exposure, r.Longest, want)
		}
	}
}

// A hostile export cannot have the sum run over.
func TestExposureDoesNotRunOver(t *testing.T) {
	a := NewAudit(nil)
	for range 3 {
		a.opened(Opening{From: at(0), To: at(0).AddDate(1000, 0, 0), AtMost: true})
	}
	if r := a.End(); r.Exposure != r.Longest || r.Longest <= 0 {
		t.Errorf("open for %s, the longest %s", r.Exposure, r.Longest)
	}
}
