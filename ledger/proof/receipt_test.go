package proof

import (
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"airlock/ledger/proof/notetest"
)

// The receipt in a window's record is held to the pinned key, and to the generation.
func TestReceipts(t *testing.T) {
	own := notetest.New(t, "vault-host")
	host, pinned, other := own.Signer, own.Public, notetest.New(t, "vault-host").Public
	sign := func(text string) string {
		signed, err := note.Sign(&note.Note{Text: text}, host)
		if err != nil {
			t.Fatal(err)
		}
		return string(signed)
	}
	good := sign("airlock receipt\n" + `{"generation":7,"generation_sha256":"ab"}` + "\n")
	for name, c := range map[string]struct {
		generation int
		note, key  string
		want       string
	}{
		"as it should be":    {7, good, pinned, ""},
		"none":               {7, "", "", ""},
		"another generation": {8, good, pinned, "another generation"},
		"changed":            {7, strings.Replace(good, `"ab"`, `"ac"`, 1), pinned, "does not hold"},
		"another key":        {7, good, other, "does not hold"},
		"no key":             {7, good, "nonsense", "is none"},
		"something else":     {7, sign("airlock/kitano\n7\nx\n"), pinned, "something else"},
	} {
		detail, err := json.Marshal(map[string]any{
			"held": 5, "generation": c.generation, "generation_sha256": "ab", "receipt_note": c.note, "receipt_key": c.key,
			"exposure_seconds": 2.5,
		})
		if err != nil {
			t.Fatal(err)
		}
		entries := tale(t, wholeNight)
		for i := range entries {
			if e := &entries[i]; e.Kind == KindWindow && e.From != "" {
				e.Detail = detail
			}
		}
		report := judge(t, entries)
		if c.want == "" {
			vouched := c.note != ""
			if !report.Sound() || (report.Receipts == 1) != vouched || vouched && report.Vouchers[0] != pinned {
				t.Errorf("%s: %+v", name, report)
			}
			continue
		}
		if report.Sound() || !strings.Contains(report.Findings[0].Text, c.want) || report.Receipts != 0 {
			t.Errorf("%s: %v, want %q", name, report.Findings, c.want)
		}
	}
}
