package syslog

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/ledger/proof/notetest"

	"github.com/leodido/go-syslog/v4/rfc5424"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"
)

func TestMessage(t *testing.T) {
	e := ledger.Entry{
		Seq: 42, Time: time.Date(2026, 11, 21, 2, 30, 0, 123456789, time.FixedZone("JST", 9*3600)), Kind: ledger.KindDoor,
		Actor: "schedule", Reason: `定例 "夜間" [30 2 * * *]`, Door: "vault-door", Vault: "secondary", Window: "w1", From: "shut", To: "opening",
		Detail: json.RawMessage(`{"by":"core"}`), Late: true,
	}
	got, err := speaker{"kita-hospital", "backup1", 16}.message(e)
	const want = `<133>1 2026-11-20T17:30:00.123456Z backup1 airlock - door ` +
		`[airlock@32473 actor="schedule" door="vault-door" from="shut" kind="door" late="true" seq="42" site="kita-hospital" to="opening" vault="secondary" window="w1"]` +
		" \ufeffdoor: door vault-door, vault secondary: shut → opening: 定例 \"夜間\" [30 2 * * *] (schedule)"
	if err != nil || got != want {
		t.Errorf("got  %q, %v\nwant %q", got, err, want)
	}
}

// From what a SIEM keeps of a head, the signed note is put together again.
func TestHeadMessage(t *testing.T) {
	keys := notetest.New(t, "kita-hospital")
	key, public := keys.Signer, keys.Public
	head, err := proof.SignHead(42, proof.Hash{7}, key)
	if err != nil {
		t.Fatal(err)
	}
	line, err := speaker{"kita-hospital", "backup1", 16}.head(head)
	if err != nil {
		t.Fatal(err)
	}
	m, err := rfc5424.NewParser().Parse([]byte(line))
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	p := (*m.(*rfc5424.SyslogMessage).StructuredData)[elementID]
	again := p["origin"] + "\n" + p["size"] + "\n" + p["root"] + "\n\n" + p["signature"] + "\n"
	verifier, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := proof.OpenHead([]byte(again), verifier); err != nil || got != head {
		t.Errorf("%q gives %q, %v", line, again, err)
	}
}

func TestSeverity(t *testing.T) {
	for _, c := range []struct {
		kind ledger.Kind
		to   string
		want uint8
	}{
		{ledger.KindAlarm, "", critical}, {ledger.KindDoor, "stuck", critical}, {ledger.KindPatrol, "opened", critical},
		{ledger.KindDoor, "open", notice}, {ledger.KindDoor, "unknown", failure}, {ledger.KindPatrol, "unreadable", failure},
		{ledger.KindWindow, "done", informal}, {ledger.KindWindow, "cut", failure}, {ledger.KindGather, "in part", warning},
		{ledger.KindLock, "", warning}, {ledger.KindStart, "", notice},
	} {
		if got := severity(ledger.Entry{Kind: c.kind, To: c.to}); got != c.want {
			t.Errorf("%s to %q: got %d, want %d", c.kind, c.to, got, c.want)
		}
	}
}

// Whatever a ledger takes comes back whole from a parser.
func TestMessagesParse(t *testing.T) {
	text := rapid.StringOf(rapid.OneOf(rapid.RuneFrom([]rune(`"]\[= @漢é—`)), rapid.RuneFrom([]rune("abc 0"))))
	rapid.Check(t, func(t *rapid.T) {
		e := ledger.Entry{Seq: rapid.Int64Range(1, 1<<62).Draw(t, "seq"), Time: time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "time"), 0),
			Kind: ledger.KindAlarm, Actor: text.Draw(t, "actor"), Door: text.Draw(t, "door"), Reason: text.Draw(t, "reason")}
		line, err := speaker{host: "h", facility: 23}.message(e)
		if err != nil {
			t.Fatal(err)
		}
		m, err := rfc5424.NewParser().Parse([]byte(line))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		got := m.(*rfc5424.SyslogMessage)
		params := (*got.StructuredData)[elementID]
		if params["actor"] != e.Actor || params["door"] != e.Door {
			t.Errorf("%q: got %q", line, params)
		}
		if !strings.HasPrefix(*got.Message, "\ufeff") || !strings.Contains(*got.Message, e.Reason) {
			t.Errorf("message %q", *got.Message)
		}
	})
}
