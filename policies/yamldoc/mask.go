package yamldoc

import (
	"maps"
	"reflect"
	"regexp"
	"strings"
)

// hidden says which characters of a line are not shown (S13): what the walk
// marked, a password inside a URL, and, where the meaning of the values is not known,
// every value but those of keys that never hold a secret.
func (d *Doc) hidden(at Spot) []bool {
	line := d.lines[at.Line-1]
	hidden := make([]bool, len(line))
	margin := len(line) - len([]rune(strings.TrimLeft(string(line), " \t")))
	hide := func(from, to int) {
		for i := max(from, margin); i < min(to, len(line)); i++ {
			hidden[i] = true
		}
	}
	for _, m := range d.masks {
		if at.Line < m.from.Line || at.Line > m.to.Line {
			continue
		}
		from, to := 0, len(line)
		if at.Line == m.from.Line {
			from = m.from.Column - 1
		}
		if at.Line == m.to.Line {
			to = m.to.Column - 1
		}
		hide(from, to)
	}
	text := string(line)
	for _, m := range urlPassword.FindAllStringSubmatchIndex(text, -1) {
		hide(runes(text, m[2]), runes(text, m[3]))
	}
	if d.blind {
		hide(d.unsafeFrom(at.Line-1), len(line))
	}
	return hidden
}

var (
	urlPassword = regexp.MustCompile(`://[^/@\s]*?:(.*)@`)
	yamlKey     = regexp.MustCompile(`(?:^|[\s{,\[])["']?([^\s"'{}\[\],:#]+)["']?\s*:(?:\s|$)`)
)

// anchorAlone is what may stand behind a key whose values are on the lines below.
var anchorAlone = regexp.MustCompile(`^[&!]\S*$`)

func runes(s string, bytes int) int { return len([]rune(s[:bytes])) }

// unsafeFrom is the first character of a line that may belong to a secret, judged by
// the letters alone: values are shown only behind keys of shownKeys.
func (d *Doc) unsafeFrom(index int) int {
	if d.insideUnsafe(index) {
		return 0
	}
	text := string(d.lines[index])
	keys := yamlKey.FindAllStringSubmatchIndex(text, -1)
	shown := d.shownKeys()
	for i, k := range keys {
		end := len(text)
		if i+1 < len(keys) {
			end = keys[i+1][2]
		}
		value := strings.TrimSpace(text[k[1]:end])
		if value != "" && !shown[text[k[2]:k[3]]] && strings.Trim(value, `{["' `) != "" {
			return runes(text, k[1])
		}
	}
	return len(d.lines[index])
}

// lookBack bounds the search for the key that a line belongs to.
const lookBack = 1000

// insideUnsafe says whether a line carries on the value of a key above it that may
// hold a secret.
func (d *Doc) insideUnsafe(index int) bool {
	text := string(d.lines[index])
	indent := indentOf(text)
	keyed := yamlKey.FindStringIndex(strings.TrimLeft(text, " -"))
	orphan := keyed == nil || keyed[0] > 0 // its beginning belongs to a line above
	for i := index - 1; i >= 0 && (indent > 0 || orphan); i-- {
		if index-i > lookBack {
			return true
		}
		above := string(d.lines[i])
		keys := yamlKey.FindAllStringSubmatchIndex(above, -1)
		if len(keys) == 0 || indentOf(above) > indent || indentOf(above) == indent && !orphan {
			continue
		}
		last := keys[len(keys)-1]
		value := anchorAlone.ReplaceAllString(strings.TrimSpace(above[last[1]:]), "")
		if !d.shownKeys()[above[last[2]:last[3]]] && (orphan || value != "" && strings.Trim(value, "{[ ") != "") {
			return true
		}
		indent, orphan = indentOf(above), false
	}
	return false
}

func indentOf(s string) int { return len(s) - len(strings.TrimLeft(s, " ")) }

// shownKeys are the keys of the form's types whose values are plain, and nowhere secret.
func (d *Doc) shownKeys() map[string]bool {
	if d.shown != nil {
		return d.shown
	}
	d.shown = make(map[string]bool)
	secret := make(map[string]bool)
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		for _, f := range fieldsOf(t) {
			switch {
			case f.typ == d.form.Secret:
				secret[f.name] = true
			case f.leaf():
				d.shown[f.name] = true
			default:
				visit(f.typ)
			}
		}
	}
	for _, t := range d.form.Types {
		visit(t)
	}
	maps.DeleteFunc(d.shown, func(name string, _ bool) bool { return secret[name] })
	return d.shown
}
