// Package yamldoc reads YAML documents strictly into structs, and reports every mistake at
// once, each with line, column, the offending line and what to write instead. It knows
// nothing of what the documents are about: a Form says that.
//
// The types are the single source. The yaml tag names the key (",inline" takes the keys of an
// embedded struct, ",lone" lets one value stand for a list of one), the jsonschema tag holds
// what a value may be (required, enum, minimum, maximum, maxItems) and what it is where none
// is given (default, for a list once for each entry), and the example tag is what
// a mistake proposes to write. Bounds of a type that reads itself from text are written as
// such text.
//
// A byte-order mark and Windows or old Mac line ends are taken; anchors, aliases, merge
// keys, tags, directives and further documents are refused.
package yamldoc

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

// Form is what documents of one kind have in common.
type Form struct {
	Name  string         // what a person calls one: the policy file
	Empty string         // what to do with an empty one
	Types []reflect.Type // the structs that whole documents fill

	Names    *regexp.Regexp // the keys that maps take
	NamesFix string         // what such a key may be

	// Secret is the struct that says where a secret is kept. SecretFix says what to write
	// in a secret's place, below a key; CheckSecret reports what is wrong with a Secret.
	Secret      reflect.Type
	SecretFix   func(key string) string
	CheckSecret func(d *Doc, path string, secret any)

	// Whole are checks of structs, by type, each given a pointer to one that was read without a mistake.
	Whole map[reflect.Type]func(v any) error
	// Impossible says why a value is none of those that are possible, and then fix; "" where
	// there is no more to say. It may be nil.
	Impossible func(text, fix string) string
}

// Doc is a document while it is read and checked: what was found, and where each key stood.
type Doc struct {
	form   *Form
	file   string
	lines  [][]rune
	tokens token.Tokens
	at     map[string]place // by dotted path

	findings []finding
	masks    []span
	shown    map[string]bool // see shownKeys
	blind    bool            // the file's form is wrong, so that the meaning of no value is certain
}

func (f *Form) doc(file, text string) *Doc {
	d := &Doc{form: f, file: file, at: make(map[string]place)}
	for _, line := range strings.Split(text, "\n") {
		d.lines = append(d.lines, []rune(line))
	}
	return d
}

// Read fills into, a pointer to one of the form's Types, from a file, whose name is for
// messages, and has check report what no single value shows. The error is Mistakes, with
// everything that is wrong, in the order of the file; a mistake of YAML's own syntax hides
// the meaning of the rest and is reported alone. With an error, into is of no use.
func (f *Form) Read(file string, data []byte, into any, check func(*Doc)) error {
	text, err := f.sourceText(file, data)
	if err != nil {
		return err
	}
	d := f.doc(file, text)
	if d.fill(text, reflect.ValueOf(into).Elem()) {
		check(d)
	}
	return d.mistakes()
}

// sourceText is the file as UTF-8 with plain line ends.
func (f *Form) sourceText(file string, data []byte) (string, error) {
	refuse := func(text, what, fix string, at int) (string, error) {
		d := f.doc(file, strings.ToValidUTF8(text, "?"))
		before := text[:at]
		line := strings.Count(before, "\n") + 1
		column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
		d.addBlind(Spot{line, column}, what, fix)
		return "", d.mistakes()
	}
	if len(data) > sizeLimit {
		return refuse("", fmt.Sprintf("the file is larger than %d MiB", sizeLimit>>20), "name "+f.Name, 0)
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

// fill reads the file's keys into v, a struct. It says whether there are any.
func (d *Doc) fill(text string, v reflect.Value) bool {
	d.fullWidth()
	d.tokens = lexer.Tokenize(text)
	if !d.shallow() {
		return false
	}
	body, ok := d.document()
	if !ok {
		return false
	}
	d.at[""] = place{Spot{1, 1}, spotOf(body)}
	d.read("", body, v, field{})
	return true
}

var (
	wideIndent = regexp.MustCompile("^[ \t]*[\u3000\u00a0]")
	wideColon  = regexp.MustCompile(`^\s*[A-Za-z0-9_-]+\s*：`)
	wideBehind = regexp.MustCompile("^[ \t]*(?:- )?[A-Za-z0-9_-]+:[\u3000\u00a0]")
)

// fullWidth finds what a Japanese keyboard slips in, which YAML takes for letters.
func (d *Doc) fullWidth() {
	for i, line := range d.lines {
		text := string(line)
		if m := wideIndent.FindString(text); m != "" {
			d.addBlind(Spot{i + 1, utf8.RuneCountInString(m)}, "a full-width or no-break space in the indentation", "indent with half-width spaces")
		}
		if m := wideColon.FindString(text); m != "" {
			d.addBlind(Spot{i + 1, utf8.RuneCountInString(m)}, "a full-width colon", "write a half-width colon and a space: `key: value`")
		}
		if m := wideBehind.FindString(text); m != "" {
			d.addBlind(Spot{i + 1, utf8.RuneCountInString(m)}, "a full-width or no-break space behind the colon", "write a half-width space: `key: value`")
		}
	}
}

// shallow refuses nesting that would exhaust the parser's stack, which recurs.
func (d *Doc) shallow() bool {
	flow, row, line := 0, 0, 0
	for _, t := range d.tokens {
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
			d.addBlind(Spot{t.Position.Line, t.Position.Column}, "the file is nested too deeply", "write it as the examples are")
			return false
		}
	}
	return true
}

// document is the root of the one document; what YAML can and the file must not is
// reported.
func (d *Doc) document() (ast.Node, bool) {
	content, headed := false, false
	for _, t := range d.tokens {
		at := Spot{t.Position.Line, t.Position.Column}
		switch t.Type {
		case token.CommentType:
			continue
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			d.addBlind(at, "anchors, aliases and merge keys (& * <<) are not taken here", "write the values out; a text that begins with & or * goes in quotes")
		case token.TagType:
			d.addBlind(at, "tags (!) are not taken here", "leave the tag out; a text that begins with ! goes in quotes")
		case token.DirectiveType:
			d.addBlind(at, "directives (%) are not taken here", "leave the line out; a text that begins with % goes in quotes")
			return nil, false
		case token.DocumentHeaderType, token.DocumentEndType:
			if content || headed {
				d.addBlind(at, "a second document begins, or the first one ends, here", "leave the line out; "+d.form.Name+" is one document")
				return nil, false
			}
			headed = true
		}
		content = content || t.Type != token.DocumentHeaderType
	}
	f, err := parser.Parse(d.tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntax(err)
		return nil, false
	}
	for _, d := range f.Docs {
		if d.Body != nil {
			return d.Body, true
		}
	}
	d.Add(Spot{1, 1}, "the file is empty", d.form.Empty)
	return nil, false
}

func (d *Doc) syntax(err error) {
	var s *yaml.SyntaxError
	if !errors.As(err, &s) || s.Token == nil || s.Token.Position == nil {
		d.addBlind(Spot{1, 1}, "this is not YAML", "compare it with the examples")
		return
	}
	at := d.clamp(Spot{s.Token.Position.Line, s.Token.Position.Column})
	for _, f := range d.findings {
		if f.Line <= at.Line && strings.HasPrefix(f.what, "a full-width") {
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
	d.addBlind(at, "this is not YAML: "+strings.ReplaceAll(s.Message, "\t", `\t`), fix)
}
