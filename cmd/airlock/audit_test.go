package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/ledger"
)

// tokyo is the zone of the tests, whatever the machine's.
func tokyo(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// writeLedger makes a ledger of these entries.
func writeLedger(t *testing.T, entries ...ledger.Entry) *ledger.Reader {
	t.Helper()
	l, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, e := range entries {
		if _, err := l.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	return &l.Reader
}

func TestCSV(t *testing.T) {
	at := time.Date(2026, 11, 20, 17, 30, 0, 123e6, time.UTC)
	r := writeLedger(t,
		ledger.Entry{Time: at, Kind: ledger.KindDoor, Actor: "schedule", Reason: "定例、\"夜間\"", Door: "vault-door", Vault: "secondary", Window: "w1", From: "shut", To: "opening", Detail: json.RawMessage(`{"by":"core"}`)},
		ledger.Entry{Time: at, Kind: ledger.KindGather, Actor: "=HYPERLINK(\"http://x\")", Reason: "＋1", System: "-2"},
		ledger.Entry{Time: at, Kind: ledger.KindAlarm, Actor: "airlock", Reason: " @SUM(A1)", Detail: json.RawMessage(`{"text":"` + strings.Repeat("x", longestCell) + `"}`)},
	)
	var out bytes.Buffer
	a := &app{out: &out, words: newWords(japanese(), japaneseHeard())}
	if err := a.listCSV(t.Context(), r, ledger.Filter{}, tokyo(t)); err != nil {
		t.Fatal(err)
	}
	text, marked := strings.CutPrefix(out.String(), "\ufeff")
	if !marked {
		t.Error("without a byte order mark Excel reads Japanese as Shift_JIS")
	}
	if strings.Count(text, "\n") != 4 || strings.Count(text, "\r\n") != 4 {
		t.Errorf("lines do not end in CRLF: %q", text)
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		row, column int
		want        string
	}{
		{0, 0, "番号"}, {0, 3, "遅延"}, {0, 13, "詳細"},
		{1, 0, "1"}, {1, 1, "2026-11-21 02:30:00.123"}, {1, 5, "vault-door"}, {1, 6, "shut"}, {1, 7, "opening"}, {1, 12, "定例、\"夜間\""}, {1, 13, `{"by":"core"}`},
		{2, 11, `'=HYPERLINK("http://x")`}, {2, 12, "'＋1"}, {2, 8, "'-2"},
		{3, 12, "' @SUM(A1)"}, {3, 13, "32778 バイト。audit list --json で表示できます"},
	} {
		if got := rows[c.row][c.column]; got != c.want {
			t.Errorf("row %d, column %d: got %q, want %q", c.row, c.column, got, c.want)
		}
	}
}

func TestTimesAsPeopleWriteThem(t *testing.T) {
	zone := tokyo(t)
	for _, c := range []struct {
		text        string
		since, till string
	}{
		{"2026-11-21", "2026-11-21T00:00:00+09:00", "2026-11-21T23:59:59.999999999+09:00"},
		{"2026-11-21 22:15", "2026-11-21T22:15:00+09:00", "2026-11-21T22:15:00+09:00"},
		{"2026-11-21T22:15:00Z", "2026-11-21T22:15:00Z", "2026-11-21T22:15:00Z"},
	} {
		since, err := parseSince(c.text, zone)
		if got := since.Format(time.RFC3339Nano); err != nil || got != c.since {
			t.Errorf("since %s: got %s, %v; want %s", c.text, got, err, c.since)
		}
		until, err := parseTime(c.text, zone)
		if got := until.Format(time.RFC3339Nano); err != nil || got != c.till {
			t.Errorf("until %s: got %s, %v; want %s", c.text, got, err, c.till)
		}
	}
	if since, err := parseSince("", zone); err != nil || !since.IsZero() {
		t.Errorf("nothing was written: got %v, %v", since, err)
	}
}
