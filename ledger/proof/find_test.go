package proof

import (
	"encoding/json"
	"html"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"airlock/ledger/proof/notetest"
)

// Every place of which the documents say that it keeps a head gives it back.
func TestFindHeads(t *testing.T) {
	signer, verifier := notetest.Keys(t, "kita-hospital")
	_, other := notetest.Keys(t, "other-hospital")
	head, err := SignHead(42, Hash{7}, signer)
	if err != nil {
		t.Fatal(err)
	}
	asJSON := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	host, _ := notetest.Keys(t, "vault")
	receipt, err := note.Sign(&note.Note{Text: "airlock receipt\n" + asJSON(map[string]any{"generation": 2, "ledger": head.Note}) + "\n"}, host)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a note":                   head.Note,
		"without its last newline": strings.TrimRight(head.Note, "\n"),
		"indented":                 "  " + strings.ReplaceAll(head.Note, "\n", "\n  "),
		"by Notepad":               "\ufeff" + strings.ReplaceAll(head.Note, "\n", "\r\n"),
		"in a mail":                "Dear auditor,\n\n> see below\n\n" + head.Note + "\nRegards\n",
		"/v1/ledger/head":          asJSON(map[string]any{"head": head, "note": head.Note}),
		"/v1/status":               asJSON(map[string]any{"ledger": map[string]any{"head": head.Note, "entries": 42}}),
		"a manifest":               asJSON(map[string]any{"number": 2, "ledger": head.Note, "blobs": []any{map[string]any{"name": "p1"}}}),
		"a receipt":                string(receipt),
		"a report":                 "<!DOCTYPE html>\n<html><pre>" + html.EscapeString(head.Note) + "</pre></html>",
	} {
		heads, err := FindHeads([]byte(text), verifier)
		if err != nil || len(heads) != 1 || heads[0].Size != 42 || heads[0].Root != head.Root {
			t.Errorf("%s: %+v, %v", name, heads, err)
		}
		if _, err := FindHeads([]byte(text), other); err == nil || !strings.Contains(err.Error(), "signed by kita-hospital+") {
			t.Errorf("%s, by another key: %v", name, err)
		}
	}
	for _, text := range []string{"", "[]", "root:x:0:0", strings.Replace(head.Note, "42", "forty", 1), strings.Repeat("[", 1<<16)} {
		if heads, err := FindHeads([]byte(text), verifier); err == nil {
			t.Errorf("%.20q: %+v", text, heads)
		}
	}
	forged := strings.Replace(head.Note, "\n42\n", "\n43\n", 1)
	if heads, err := FindHeads([]byte(forged), verifier); err == nil {
		t.Errorf("a head that was changed: %+v", heads)
	}
}
