package policies

import (
	"maps"
	"reflect"
	"regexp"
	"strings"
)

// hidden says which characters of a line are not shown (S13): what the walk
// marked, a password inside a URL, and, where the meaning of the values is not known,
// every value but those of keys that never hold a secret.
func (r *report) hidden(at spot) []bool {
	line := r.lines[at.line-1]
	hidden := make([]bool, len(line))
	margin := len(line) - len([]rune(strings.TrimLeft(string(line), " \t")))
	hide := func(from, to int) {
		for i := max(from, margin); i < min(to, len(line)); i++ {
			hidden[i] = true
		}
	}
	for _, m := range r.masks {
		if at.line < m.from.line || at.line > m.to.line {
			continue
		}
		from, to := 0, len(line)
		if at.line == m.from.line {
			from = m.from.column - 1
		}
		if at.line == m.to.line {
			to = m.to.column - 1
		}
		hide(from, to)
	}
	text := string(line)
	for _, m := range urlPassword.FindAllStringSubmatchIndex(text, -1) {
		hide(runes(text, m[2]), runes(text, m[3]))
	}
	if r.blind {
		hide(r.unsafeFrom(at.line-1), len(line))
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
func (r *report) unsafeFrom(index int) int {
	if r.insideUnsafe(index) {
		return 0
	}
	text := string(r.lines[index])
	keys := yamlKey.FindAllStringSubmatchIndex(text, -1)
	shown := r.shownKeys()
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
	return len(r.lines[index])
}

// lookBack bounds the search for the key that a line belongs to.
const lookBack = 1000

// insideUnsafe says whether a line carries on the value of a key above it that may
// hold a secret.
func (r *report) insideUnsafe(index int) bool {
	text := string(r.lines[index])
	indent := indentOf(text)
	keyed := yamlKey.FindStringIndex(strings.TrimLeft(text, " -"))
	orphan := keyed == nil || keyed[0] > 0 // its beginning belongs to a line above
	for i := index - 1; i >= 0 && (indent > 0 || orphan); i-- {
		if index-i > lookBack {
			return true
		}
		above := string(r.lines[i])
		keys := yamlKey.FindAllStringSubmatchIndex(above, -1)
		if len(keys) == 0 || indentOf(above) > indent || indentOf(above) == indent && !orphan {
			continue
		}
		last := keys[len(keys)-1]
		value := anchorAlone.ReplaceAllString(strings.TrimSpace(above[last[1]:]), "")
		if !r.shownKeys()[above[last[2]:last[3]]] && (orphan || value != "" && strings.Trim(value, "{[ ") != "") {
			return true
		}
		indent, orphan = indentOf(above), false
	}
	return false
}

func indentOf(s string) int { return len(s) - len(strings.TrimLeft(s, " ")) }

// shownKeys are the policy file's keys whose values are plain, and nowhere secret.
func (r *report) shownKeys() map[string]bool {
	if r.shown != nil {
		return r.shown
	}
	r.shown = make(map[string]bool)
	secret := make(map[string]bool)
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		for _, f := range fieldsOf(t) {
			switch {
			case f.typ == secretType:
				secret[f.name] = true
			case f.leaf():
				r.shown[f.name] = true
			default:
				visit(f.typ)
			}
		}
	}
	visit(reflect.TypeFor[Policy]())
	visit(reflect.TypeFor[VaultHost]())
	maps.DeleteFunc(r.shown, func(name string, _ bool) bool { return secret[name] })
	return r.shown
}
