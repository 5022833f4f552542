package proof

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// maxFound bounds what heads are looked for in, in bytes: a generation's manifest has some
// hundred for each blob.
const maxFound = 256 << 20

// headPattern is a head's note as it may stand in another text: its lines indented, or ended as
// Windows does.
var headPattern = regexp.MustCompile(`[ \t]*airlock/[^\n]+\n[ \t]*[0-9]+[ \t]*\n[ \t]*[A-Za-z0-9+/]{43}=[ \t]*\n[ \t]*\n(?:[ \t]*— [^\n]+\n?)+`)

// FindHeads reads the heads, signed by one of the keys, that something holds which was kept
// outside the ledger: a head itself, what /v1/ledger/head or /v1/status answered, the manifest
// of a generation, the receipt of a vault's host, a report's page. An error says what is
// there instead.
func FindHeads(data []byte, keys ...note.Verifier) ([]Head, error) {
	if len(data) > maxFound {
		return nil, fmt.Errorf("%d bytes are more than anything has that holds a head of a ledger", len(data))
	}
	var heads []Head
	var foreign error
	for _, signed := range notesIn(string(data)) {
		h, err := OpenHead([]byte(signed), keys...)
		switch {
		case err != nil:
			foreign = err
		case !slices.ContainsFunc(heads, func(o Head) bool { return o.Size == h.Size && o.Root == h.Root }):
			heads = append(heads, h)
		}
	}
	var unverified *note.UnverifiedNoteError
	switch {
	case len(heads) > 0:
		return heads, nil
	case errors.As(foreign, &unverified):
		return nil, fmt.Errorf("it holds a head that is signed by %s, and not by the key given", signers(unverified.Note.UnverifiedSigs))
	case foreign != nil:
		return nil, foreign
	}
	return nil, errors.New("there is no head of a ledger in it: give what /v1/ledger/head or /v1/status answered, a generation's manifest, a receipt of a vault's host, or an earlier report")
}

// notesIn finds what looks like a head's note in a text: as it stands, in JSON's strings, in
// the JSON of a receipt, and in a page.
func notesIn(text string) []string {
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
	var all []string
	var value any
	body := text
	if receipt, ok := strings.CutPrefix(text, "airlock receipt\n"); ok {
		body, _, _ = strings.Cut(receipt, "\n")
	}
	switch {
	case json.Unmarshal([]byte(body), &value) == nil:
		all = stringsIn(value, nil)
	case strings.Contains(text, "<html"):
		all = []string{html.UnescapeString(text)}
	default:
		all = []string{text + "\n"}
	}
	var notes []string
	for _, s := range all {
		for _, found := range headPattern.FindAllString(s, -1) {
			var b strings.Builder
			for line := range strings.Lines(found) {
				b.WriteString(strings.TrimSpace(line) + "\n")
			}
			notes = append(notes, b.String())
		}
	}
	return notes
}

// stringsIn are the strings of a JSON value, however deep.
func stringsIn(value any, all []string) []string {
	switch v := value.(type) {
	case string:
		return append(all, v)
	case []any:
		for _, e := range v {
			all = stringsIn(e, all)
		}
	case map[string]any:
		for _, e := range v {
			all = stringsIn(e, all)
		}
	}
	return all
}

// signers name who signed, as public keys begin.
func signers(sigs []note.Signature) string {
	var names []string
	for _, s := range sigs {
		names = append(names, fmt.Sprintf("%s+%08x", s.Name, s.Hash))
	}
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}
