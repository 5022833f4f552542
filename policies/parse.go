package policies

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	sizeLimit  = 1 << 20
	depthLimit = 32
)

// Parse reads a policy file; file is its name for messages. The error is Mistakes,
// with everything that is wrong, in the order of the file; a mistake of YAML's own
// syntax hides the meaning of the rest and is reported alone. With an error the
// Policy is nil.
//
// A byte-order mark and Windows or old Mac line ends are taken; anchors, aliases,
// merge keys, tags, directives and further documents are refused.
func Parse(file string, data []byte) (*Policy, error) {
	text, err := sourceText(file, data)
	if err != nil {
		return nil, err
	}
	r := &reader{report: newReport(file, text), at: make(map[string]place)}
	p := r.policy(text)
	if err := r.mistakes(); err != nil {
		return nil, err
	}
	return p, nil
}

// sourceText is the file as UTF-8 with plain line ends.
func sourceText(file string, data []byte) (string, error) {
	refuse := func(text, what, fix string, at int) (string, error) {
		r := newReport(file, strings.ToValidUTF8(text, "?"))
		before := text[:at]
		line := strings.Count(before, "\n") + 1
		column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
		r.addBlind(spot{line, column}, what, fix)
		return "", r.mistakes()
	}
	if len(data) > sizeLimit {
		return refuse("", fmt.Sprintf("the file is larger than %d MiB", sizeLimit>>20), "name the policy file", 0)
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return refuse("", "the file is in UTF-16", "save it as UTF-8", 0)
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	for i := 0; i < len(text); {
		c, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			return refuse(text, "the file is not in UTF-8", "save it as UTF-8 (it may be in Shift_JIS or another older encoding)", i)
		case c < ' ' && c != '\n' && c != '\t', c == 0x7f:
			return refuse(text, fmt.Sprintf("the control character %U", c), "remove it", i)
		}
		i += size
	}
	return text, nil
}

// policy reads what can be read; it is whole only if nothing was reported.
func (r *reader) policy(text string) *Policy {
	p := &Policy{}
	if r.fill(text, reflect.ValueOf(p).Elem()) {
		r.check(p)
		p.bind()
	}
	return p
}

// fill reads the file's keys into v, a struct. It says whether there are any.
func (r *reader) fill(text string, v reflect.Value) bool {
	r.fullWidth()
	r.tokens = lexer.Tokenize(text)
	if !r.shallow() {
		return false
	}
	body, ok := r.document()
	if !ok {
		return false
	}
	r.at[""] = place{spot{1, 1}, spotOf(body)}
	r.read("", body, v, field{})
	return true
}

var (
	wideIndent = regexp.MustCompile("^[ \t]*[\u3000\u00a0]")
	wideColon  = regexp.MustCompile(`^\s*[A-Za-z0-9_-]+\s*：`)
)

// fullWidth finds what a Japanese keyboard slips in, which YAML takes for letters.
func (r *reader) fullWidth() {
	for i, line := range r.lines {
		text := string(line)
		if m := wideIndent.FindString(text); m != "" {
			r.addBlind(spot{i + 1, utf8.RuneCountInString(m)}, "a full-width or no-break space in the indentation", "indent with half-width spaces")
		}
		if m := wideColon.FindString(text); m != "" {
			r.addBlind(spot{i + 1, utf8.RuneCountInString(m)}, "a full-width colon", "write a half-width colon and a space: `key: value`")
		}
	}
}

// shallow refuses nesting that would exhaust the parser's stack, which recurs.
func (r *reader) shallow() bool {
	flow, row, line := 0, 0, 0
	for _, t := range r.tokens {
		if t.Position.Line != line {
			row, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			row++
		}
		if flow > depthLimit || row > depthLimit {
			r.addBlind(spot{t.Position.Line, t.Position.Column}, "the file is nested too deeply", "write it as the examples are")
			return false
		}
	}
	return true
}

// document is the root of the one document; what YAML can and the policy file must
// not is reported.
func (r *reader) document() (ast.Node, bool) {
	content, headed := false, false
	for _, t := range r.tokens {
		at := spot{t.Position.Line, t.Position.Column}
		switch t.Type {
		case token.CommentType:
			continue
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			r.addBlind(at, "anchors, aliases and merge keys (& * <<) are not taken here", "write the values out; a text that begins with & or * goes in quotes")
		case token.TagType:
			r.addBlind(at, "tags (!) are not taken here", "leave the tag out; a text that begins with ! goes in quotes")
		case token.DirectiveType:
			r.addBlind(at, "directives (%) are not taken here", "leave the line out; a text that begins with % goes in quotes")
			return nil, false
		case token.DocumentHeaderType, token.DocumentEndType:
			if content || headed {
				r.addBlind(at, "a second document begins, or the first one ends, here", "leave the line out; a policy file is one document")
				return nil, false
			}
			headed = true
		}
		content = content || t.Type != token.DocumentHeaderType
	}
	f, err := parser.Parse(r.tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil, false
	}
	for _, d := range f.Docs {
		if d.Body != nil {
			return d.Body, true
		}
	}
	r.add(spot{1, 1}, "the file is empty", "write the policy; `airlock init` makes a commented file to begin with")
	return nil, false
}

func (r *reader) syntax(err error) {
	var s *yaml.SyntaxError
	if !errors.As(err, &s) || s.Token == nil || s.Token.Position == nil {
		r.addBlind(spot{1, 1}, "this is not YAML", "compare it with the examples")
		return
	}
	at := r.clamp(spot{s.Token.Position.Line, s.Token.Position.Column})
	for _, f := range r.findings {
		if f.line <= at.line && strings.HasPrefix(f.what, "a full-width") {
			return // the cause is reported already
		}
	}
	fix := "see that the line is indented as its neighbours are, and that quotes and brackets are closed"
	switch {
	case strings.Contains(s.Message, "tab "), strings.Contains(s.Message, "'\t'"):
		fix = "indent with spaces, never with tabs"
	case strings.Contains(s.Message, "reserved character"):
		fix = "put the value in quotes, such as \"@hourly\""
	case strings.Contains(s.Message, "mapping value is not allowed"):
		fix = "put a value that has a colon and a space in quotes; write one `key: value` a line"
	}
	r.addBlind(at, "this is not YAML: "+strings.ReplaceAll(s.Message, "\t", `\t`), fix)
}
