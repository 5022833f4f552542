package policies

import (
	"encoding"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

var (
	secretType = reflect.TypeFor[Secret]()
	textType   = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// field is a key that a struct of the policy takes.
type field struct {
	name             string
	index            []int
	typ              reflect.Type
	required         bool
	enum             []string
	minimum, maximum int64 // of an int
	example          string
}

// leaf says that the value is one scalar or a list of them, and no secret.
func (f field) leaf() bool {
	t := f.typ
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return reflect.PointerTo(t).Implements(textType) || t.Kind() != reflect.Struct && t.Kind() != reflect.Map && t.Kind() != reflect.Pointer
}

// fieldsOf lists a struct's keys, those of embedded structs among them.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || !f.IsExported() {
			continue
		}
		x := field{name: name, index: f.Index, typ: f.Type, example: f.Tag.Get("example")}
		for _, rule := range strings.Split(f.Tag.Get("jsonschema"), ",") {
			key, value, _ := strings.Cut(rule, "=")
			n, _ := strconv.ParseInt(value, 10, 64) // a test reads every tag
			switch key {
			case "required":
				x.required = true
			case "enum":
				x.enum = append(x.enum, value)
			case "minimum":
				x.minimum = n
			case "maximum", "maxItems":
				x.maximum = n
			}
		}
		fields = append(fields, x)
	}
	return fields
}

func fieldNamed[T any](name string) field {
	fields := fieldsOf(reflect.TypeFor[T]())
	return fields[slices.IndexFunc(fields, func(f field) bool { return f.name == name })]
}

// reader fills a Policy from a syntax tree and remembers where each key stood.
type reader struct {
	*report
	tokens token.Tokens
	at     map[string]place // by dotted path
}

// place is where a key and its value stand.
type place struct{ key, value spot }

func spotOf(n ast.Node) spot {
	if n == nil || n.GetToken() == nil {
		return spot{1, 1}
	}
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return spotOf(m.Values[0].Key) // a block mapping's own token is its first colon
	}
	p := n.GetToken().Position
	return spot{p.Line, p.Column}
}

// key is what a person calls the value at a path.
func key(path string) string {
	if path == "" {
		return "the policy file"
	}
	return path[strings.LastIndexByte(path, '.')+1:]
}

// plain takes off anchors and tags, which the reader of the tokens has reported.
// An alias is nothing.
func plain(n ast.Node) ast.Node {
	for {
		switch x := n.(type) {
		case *ast.AnchorNode:
			n = x.Value
		case *ast.TagNode:
			n = x.Value
		case *ast.AliasNode:
			return nil
		default:
			return n
		}
	}
}

// read fills v from n; f says what its key takes.
func (r *reader) read(path string, n ast.Node, v reflect.Value, f field) {
	if n = plain(n); n == nil {
		return
	}
	if _, null := n.(*ast.NullNode); null {
		r.add(r.at[path].key, key(path)+" has no value", r.exampleOf(path, f)+orLeaveOut(f))
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch {
	case v.Type() == secretType:
		r.readSecret(path, n, v, f)
	case v.Addr().Type().Implements(textType):
		if text, ok := r.text(path, n, f); ok {
			r.refused(path, spotOf(n), v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)))
		}
	case v.Kind() == reflect.Struct:
		r.readStruct(path, n, v, f)
	case v.Kind() == reflect.Map:
		r.readMap(path, n, v, f)
	case v.Kind() == reflect.Slice:
		r.readList(path, n, v, f)
	default:
		r.readScalar(path, n, v, f)
	}
}

// exampleOf says what to write for the value at a path.
func (r *reader) exampleOf(path string, f field) string {
	if f.example == "" || path == "" {
		return "write keys and their values below it, indented"
	}
	return fmt.Sprintf("write, for example, `%s: %s`", key(path), f.example)
}

func orLeaveOut(f field) string {
	if f.required {
		return ""
	}
	return ", or leave the key out"
}

func (r *reader) refused(path string, at spot, err error) {
	var no *refusal
	switch {
	case errors.As(err, &no):
		r.add(at, key(path)+": "+no.what, no.fix)
	case err != nil:
		r.add(at, key(path)+": "+err.Error(), "write another value")
	}
}

// text is a scalar's text. Numbers count as written, so that a port may be called 10.
func (r *reader) text(path string, n ast.Node, f field) (string, bool) {
	switch x := n.(type) {
	case *ast.StringNode:
		return x.Value, true
	case *ast.LiteralNode:
		return strings.TrimSuffix(x.Value.Value, "\n"), true
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	case *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		r.add(spotOf(n), key(path)+" takes a text, and this is not one", "put it in quotes: "+strconv.Quote(n.GetToken().Value))
		return "", false
	}
	r.wrongShape(path, n, single, f)
	return "", false
}

// wrongShape reports a value of another kind than its key takes. It is shown only
// where both are plain: who knows what a mapping in a text's place holds.
func (r *reader) wrongShape(path string, n ast.Node, wants string, f field) {
	what := key(path) + " takes " + wants
	if shape := shapeOf(n); shape != single || wants == mapping {
		r.mask(n)
		what += ", not " + shape
	}
	r.add(spotOf(n), what, r.exampleOf(path, f))
}

const (
	single  = "a single value"
	mapping = "keys with values"
	listing = "a list"
)

func shapeOf(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return mapping
	case *ast.SequenceNode:
		return listing
	}
	return single
}

// mask hides a node's text.
func (r *reader) mask(n ast.Node) {
	next, _ := r.behind(n)
	r.masks = append(r.masks, span{spotOf(n), next})
}

// maskLine hides a node's text and, in a flow mapping, the rest of its line: what
// follows a secret behind a comma may be a part of it.
func (r *reader) maskLine(n ast.Node) {
	next, flow := r.behind(n)
	if flow {
		next = spot{next.line + 1, 1}
	}
	r.masks = append(r.masks, span{spotOf(n), next})
}

// behind is where the token behind a node stands, and whether it is one of a flow
// collection. Comments are passed over: one may speak of the secret before it.
func (r *reader) behind(n ast.Node) (next spot, flow bool) {
	var last lastToken
	ast.Walk(&last, n)
	i, _ := slices.BinarySearchFunc(r.tokens, last.at, func(t *token.Token, s spot) int {
		if s.before(spot{t.Position.Line, t.Position.Column}) {
			return 1
		}
		return -1
	})
	for _, t := range r.tokens[i:] {
		switch t.Type {
		case token.CommentType:
			continue
		case token.CollectEntryType, token.MappingEndType, token.SequenceEndType:
			flow = true
		}
		return spot{t.Position.Line, t.Position.Column}, flow
	}
	return spot{len(r.lines) + 1, 1}, false
}

// lastToken finds the last place that a node's tokens have.
type lastToken struct{ at spot }

// Visit is called by ast.Walk for each node below the one that is measured.
func (l *lastToken) Visit(n ast.Node) ast.Visitor {
	see := func(t *token.Token) {
		if t != nil {
			if at := (spot{t.Position.Line, t.Position.Column}); l.at.before(at) {
				l.at = at
			}
		}
	}
	see(n.GetToken())
	switch x := n.(type) {
	case *ast.MappingNode:
		see(x.End)
	case *ast.SequenceNode:
		see(x.End)
	}
	return l
}

func (r *reader) readScalar(path string, n ast.Node, v reflect.Value, f field) {
	at := spotOf(n)
	switch v.Kind() {
	case reflect.String:
		text, ok := r.text(path, n, f)
		switch {
		case !ok:
		case text == "":
			r.add(at, key(path)+" is empty", r.exampleOf(path, f)+orLeaveOut(f))
		case len(f.enum) > 0 && !slices.Contains(f.enum, text):
			r.add(at, fmt.Sprintf("%s: %q is not possible", key(path), text), notPossible(text, f.enum))
		default:
			v.SetString(text)
		}
	case reflect.Bool:
		x, ok := n.(*ast.BoolNode)
		if !ok {
			r.wrongShape(path, n, "true or false", f)
			return
		}
		v.SetBool(x.Value)
	case reflect.Int:
		r.readInt(path, n, v, f)
	}
}

// notPossible names what is, and for old cryptography why it is not.
func notPossible(text string, enum []string) string {
	fix := "write one of " + strings.Join(enum, ", ")
	switch strings.ToUpper(text) {
	case "MD5":
		return "MD5 is broken; " + fix + ", and set the switch's user to the same"
	case "DES", "3DES":
		return "DES is broken; " + fix + ", and set the switch's user to the same"
	case "1", "2", "V1":
		return "SNMP before 3 sends its password in clear; " + fix + " (2c only with insecure: true)"
	}
	if near := nearest(text, enum); near != "" {
		return fmt.Sprintf("write %s; possible are %s", near, strings.Join(enum, ", "))
	}
	return fix
}

func (r *reader) readInt(path string, n ast.Node, v reflect.Value, f field) {
	if _, ok := n.(*ast.IntegerNode); !ok {
		r.wrongShape(path, n, "a whole number", f)
		return
	}
	i, err := strconv.ParseInt(n.GetToken().Value, 10, 64)
	if err != nil || i < f.minimum || i > f.maximum {
		r.add(spotOf(n), fmt.Sprintf("%s: %s is not a whole number from %d to %d", key(path), n.GetToken().Value, f.minimum, f.maximum), r.exampleOf(path, f))
		return
	}
	v.SetInt(i)
}

func (r *reader) readList(path string, n ast.Node, v reflect.Value, f field) {
	list, ok := n.(*ast.SequenceNode)
	if !ok && v.Type() == reflect.TypeFor[Addresses]() {
		list, ok = &ast.SequenceNode{Values: []ast.Node{n}}, true // one may stand alone
	}
	if !ok {
		r.wrongShape(path, n, listing, f)
		return
	}
	if f.maximum > 0 && int64(len(list.Values)) > f.maximum {
		r.add(spotOf(n), fmt.Sprintf("%s has more than %d entries", key(path), f.maximum), "join some of them")
		return
	}
	for i, entry := range list.Values {
		element := reflect.New(v.Type().Elem()).Elem()
		at := fmt.Sprintf("%s.%d", path, i)
		r.at[at] = place{spotOf(entry), spotOf(entry)}
		before := len(r.findings)
		r.read(at, entry, element, f)
		for j := before; j < len(r.findings); j++ { // an entry has no key but its list's
			r.findings[j].what = key(path) + strings.TrimPrefix(r.findings[j].what, key(at))
		}
		v.Set(reflect.Append(v, element))
	}
}

// pairs visits the keys of a mapping, reporting those that are no plain text or stand
// twice; visit gets first = false for the latter, whose values are read for their
// mistakes alone.
//
// It returns whether all keys are known now: false where n is no mapping, or where a
// merge key, which the reader of the tokens has reported, would bring more.
func (r *reader) pairs(path string, n ast.Node, f field, visit func(name string, value *ast.MappingValueNode, first bool)) (whole bool) {
	m, ok := n.(ast.MapNode)
	if !ok {
		r.wrongShape(path, n, mapping, f)
		return false
	}
	whole = true
	seen := make(map[string]int)
	for it := m.MapRange(); it.Next(); {
		kv := it.KeyValue()
		if kv.Key.IsMergeKey() {
			whole = false
			continue
		}
		k, ok := plainKey(kv.Key)
		if !ok {
			r.mask(kv.Key)
			r.mask(kv.Value)
			r.add(spotOf(kv.Key), "this key is not a plain word", "write `key: value`")
			continue
		}
		at := spotOf(kv.Key)
		line, twice := seen[k]
		if twice {
			r.add(at, fmt.Sprintf("the key %q stands here a second time", k), fmt.Sprintf("keep one of the two; the first is on line %d", line))
		} else {
			seen[k] = at.line
			r.at[join(path, k)] = place{at, spotOf(kv.Value)}
		}
		visit(k, kv, !twice)
	}
	return whole
}

// plainKey is a key's text. A word without a colon in a flow mapping is none: it may
// be what followed a comma in a secret.
func plainKey(k ast.MapKeyNode) (string, bool) {
	if next := k.GetToken().Next; next == nil || next.Type != token.MappingValueType {
		return "", false
	}
	switch k.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return k.GetToken().Value, true
	}
	return "", false
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (r *reader) readStruct(path string, n ast.Node, v reflect.Value, outer field) {
	before := len(r.findings)
	fields := fieldsOf(v.Type())
	given := make(map[string]bool)
	whole := r.pairs(path, n, outer, func(name string, kv *ast.MappingValueNode, first bool) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if i < 0 {
			r.unknownKey(path, name, kv, fields)
			return
		}
		given[name] = true
		target := v.FieldByIndex(fields[i].index)
		if !first {
			target = reflect.New(target.Type()).Elem()
		}
		r.read(join(path, name), kv.Value, target, fields[i])
	})
	if !whole {
		return
	}
	for _, f := range fields {
		if f.required && !given[f.name] {
			r.add(r.keySpot(path), strings.TrimPrefix(path+": ", ": ")+f.name+" is missing", r.exampleOf(join(path, f.name), f))
		}
	}
	if all, ok := v.Addr().Interface().(interface{ valid() error }); ok && len(r.findings) == before {
		r.refused(path, r.keySpot(path), all.valid())
	}
}

// keySpot is where the key at a path stands, the file's beginning for the root.
func (r *reader) keySpot(path string) spot {
	if p, ok := r.at[path]; ok {
		return p.key
	}
	return spot{1, 1}
}

// unknownKey hides the value: the key may be a misspelt password.
func (r *reader) unknownKey(path, name string, kv *ast.MappingValueNode, fields []field) {
	r.maskLine(kv.Value)
	var known []string
	for _, f := range fields {
		known = append(known, f.name)
	}
	where := ""
	if path != "" {
		where = " in " + path
	}
	fix := "remove it; known here are " + strings.Join(known, ", ")
	if near := nearest(name, known); near != "" {
		fix = "write " + near
	}
	r.add(spotOf(kv.Key), fmt.Sprintf("unknown key %q%s", name, where), fix)
}

var usableName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

const nameFix = "use up to 64 letters a-z and A-Z, digits, - and _, beginning with a letter or digit; a system's title may be in any language"

func (r *reader) readMap(path string, n ast.Node, v reflect.Value, f field) {
	v.Set(reflect.MakeMap(v.Type()))
	r.pairs(path, n, f, func(name string, kv *ast.MappingValueNode, first bool) {
		if !usableName.MatchString(name) {
			r.add(spotOf(kv.Key), fmt.Sprintf("the name %q is not usable", name), nameFix)
		}
		element := reflect.New(v.Type().Elem()).Elem()
		r.read(join(path, name), kv.Value, element, field{typ: v.Type().Elem()})
		if first && !element.IsNil() {
			v.SetMapIndex(reflect.ValueOf(name), element)
		}
	})
}

var usableEnv = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// readSecret takes {env: NAME} or {file: PATH}. Whatever else stands there may be the
// secret itself, and is not shown.
func (r *reader) readSecret(path string, n ast.Node, v reflect.Value, f field) {
	if _, ok := n.(ast.MapNode); !ok {
		r.maskLine(n)
		r.add(spotOf(n), key(path)+" holds the secret itself", fmt.Sprintf(
			"put the secret into a file that only its owner may read (chmod 600) and name the file: `%s: {file: /etc/airlock/secrets/NAME}`, or name an environment variable: `%s: {env: NAME}`", key(path), key(path)))
		return
	}
	before := len(r.findings)
	r.readStruct(path, n, v, f)
	s := v.Interface().(Secret)
	at := spotOf(n)
	switch {
	case len(r.findings) > before:
	case s.Env != "" && s.File != "":
		r.add(at, key(path)+" names two places", "keep one of env and file")
	case s == Secret{}:
		r.add(at, key(path)+" names no place", r.exampleOf(path, f))
	case s.Env != "" && !usableEnv.MatchString(s.Env):
		r.add(r.at[join(path, "env")].value, "env takes the name of an environment variable", "write its name, of letters, digits and _; the secret itself does not belong here")
	case s.File != "" && !filepath.IsAbs(s.File):
		r.add(r.at[join(path, "file")].value, "file takes an absolute path", "write the path from the root, such as /etc/airlock/secrets/NAME; the secret itself does not belong here")
	}
	if len(r.findings) > before {
		r.maskLine(n)
		v.SetZero()
	}
}
