package yamldoc

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"airlock/spelling"
)

var textType = reflect.TypeFor[encoding.TextUnmarshaler]()

// field is a key that a struct takes.
type field struct {
	name             string
	index            []int
	typ              reflect.Type
	required         bool
	enum             []string
	minimum, maximum int64  // of an int
	entries          int    // of a list at the most; 0 is any number
	least, most      string // of a type that reads itself from text
	usual            string // the value where none is given, of a list one a line; "" for the zero value
	example          string
	lone             bool // a list that one value may stand for
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
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || !f.IsExported() {
			continue
		}
		x := field{name: name, index: f.Index, typ: f.Type, example: f.Tag.Get("example"), lone: options == "lone"}
		x.rules(f.Tag.Get("jsonschema"))
		fields = append(fields, x)
	}
	return fields
}

// rules takes in what a jsonschema tag says.
func (f *field) rules(tag string) {
	for _, rule := range strings.Split(tag, ",") {
		key, value, _ := strings.Cut(rule, "=")
		n, _ := strconv.ParseInt(value, 10, 64) // of a text 0, which nobody asks for
		switch key {
		case "required":
			f.required = true
		case "enum":
			f.enum = append(f.enum, value)
		case "minimum":
			f.minimum, f.least = n, value
		case "maximum":
			f.maximum, f.most = n, value
		case "maxItems":
			f.entries = int(n)
		case "default":
			f.usual = strings.TrimPrefix(f.usual+"\n"+value, "\n")
		}
	}
}

// Bounds are between what a struct's field must lie, as its tag has it; "" is no bound.
func Bounds(f reflect.StructField) (least, most string) {
	var x field
	x.rules(f.Tag.Get("jsonschema"))
	return x.least, x.most
}

// place is where a key and its value stand.
type place struct{ key, value Spot }

func spotOf(n ast.Node) Spot {
	if n == nil || n.GetToken() == nil {
		return Spot{1, 1}
	}
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return spotOf(m.Values[0].Key) // a block mapping's own token is its first colon
	}
	p := n.GetToken().Position
	return Spot{p.Line, p.Column}
}

// Name is what a person calls the value at a path: its key.
func (d *Doc) Name(path string) string {
	if path == "" {
		return d.form.Name
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
func (d *Doc) read(path string, n ast.Node, v reflect.Value, f field) {
	if n = plain(n); n == nil {
		return
	}
	if _, null := n.(*ast.NullNode); null {
		d.Add(d.at[path].key, d.Name(path)+" has no value", d.exampleOf(path, f)+orLeaveOut(f))
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch {
	case v.Type() == d.form.Secret:
		d.readSecret(path, n, v, f)
	case v.Addr().Type().Implements(textType):
		if text, ok := d.text(path, n, f); ok {
			d.Refuse(path, spotOf(n), readText(v, text))
			d.bound(path, spotOf(n), v, f)
		}
	case v.Kind() == reflect.Struct:
		d.readStruct(path, n, v, f)
	case v.Kind() == reflect.Map:
		d.readMap(path, n, v, f)
	case v.Kind() == reflect.Slice:
		d.readList(path, n, v, f)
	default:
		d.readScalar(path, n, v, f)
	}
}

// Example proposes what to write for the value at a path, which a field of type of has.
func (d *Doc) Example(path string, of reflect.Type) string {
	fields := fieldsOf(of)
	return d.exampleOf(path, fields[slices.IndexFunc(fields, func(f field) bool { return f.name == d.Name(path) })])
}

func (d *Doc) exampleOf(path string, f field) string {
	if f.example == "" || path == "" {
		return "write keys and their values below it, indented"
	}
	return fmt.Sprintf("write, for example, `%s: %s`", d.Name(path), f.example)
}

func orLeaveOut(f field) string {
	if f.required {
		return ""
	}
	return ", or leave the key out"
}

// Refusal is the error of a value that is not taken: why, and what to write instead.
// Neither may hold a secret. UnmarshalText of what a document holds returns no other.
func Refusal(what, fix string) error { return &refusal{what, fix} }

type refusal struct{ what, fix string }

func (r *refusal) Error() string { return r.what + "; " + r.fix }

// Refuse reports what was wrong with the value at a path, unless err is nil.
func (d *Doc) Refuse(path string, at Spot, err error) {
	var no *refusal
	switch {
	case errors.As(err, &no):
		d.Add(at, d.Name(path)+": "+no.what, no.fix)
	case err != nil:
		d.Add(at, d.Name(path)+": "+err.Error(), "write another value")
	}
}

// text is a scalar's text. Numbers count as written, so that a port may be called 10.
func (d *Doc) text(path string, n ast.Node, f field) (string, bool) {
	switch x := n.(type) {
	case *ast.StringNode:
		return x.Value, true
	case *ast.LiteralNode:
		return strings.TrimSuffix(x.Value.Value, "\n"), true
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	case *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		d.Add(spotOf(n), d.Name(path)+" takes a text, and this is not one", "put it in quotes: "+strconv.Quote(n.GetToken().Value))
		return "", false
	}
	d.wrongShape(path, n, single, f)
	return "", false
}

// wrongShape reports a value of another kind than its key takes. It is shown only
// where both are plain: who knows what a mapping in a text's place holds.
func (d *Doc) wrongShape(path string, n ast.Node, wants string, f field) {
	what := d.Name(path) + " takes " + wants
	if shape := shapeOf(n); shape != single || wants == mapping {
		d.mask(n)
		what += ", not " + shape
	}
	d.Add(spotOf(n), what, d.exampleOf(path, f))
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
func (d *Doc) mask(n ast.Node) {
	next, _ := d.behind(n)
	d.masks = append(d.masks, span{spotOf(n), next})
}

// maskLine hides a node's text and, in a flow mapping, the rest of its line: what
// follows a secret behind a comma may be a part of it.
func (d *Doc) maskLine(n ast.Node) {
	next, flow := d.behind(n)
	if flow {
		next = Spot{next.Line + 1, 1}
	}
	d.masks = append(d.masks, span{spotOf(n), next})
}

// behind is where the token behind a node stands, and whether it is one of a flow
// collection. Comments are passed over: one may speak of the secret before it.
func (d *Doc) behind(n ast.Node) (next Spot, flow bool) {
	var last lastToken
	ast.Walk(&last, n)
	i, _ := slices.BinarySearchFunc(d.tokens, last.at, func(t *token.Token, s Spot) int {
		if s.Before(Spot{t.Position.Line, t.Position.Column}) {
			return 1
		}
		return -1
	})
	for _, t := range d.tokens[i:] {
		switch t.Type {
		case token.CommentType:
			continue
		case token.CollectEntryType, token.MappingEndType, token.SequenceEndType:
			flow = true
		}
		return Spot{t.Position.Line, t.Position.Column}, flow
	}
	return Spot{len(d.lines) + 1, 1}, false
}

// lastToken finds the last place that a node's tokens have.
type lastToken struct{ at Spot }

// Visit is called by ast.Walk for each node below the one that is measured.
func (l *lastToken) Visit(n ast.Node) ast.Visitor {
	see := func(t *token.Token) {
		if t != nil {
			if at := (Spot{t.Position.Line, t.Position.Column}); l.at.Before(at) {
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

func (d *Doc) readScalar(path string, n ast.Node, v reflect.Value, f field) {
	at := spotOf(n)
	switch v.Kind() {
	case reflect.String:
		text, ok := d.text(path, n, f)
		switch {
		case !ok:
		case text == "":
			d.Add(at, d.Name(path)+" is empty", d.exampleOf(path, f)+orLeaveOut(f))
		case len(f.enum) > 0 && !slices.Contains(f.enum, text):
			d.Add(at, fmt.Sprintf("%s: %q is not possible", d.Name(path), text), d.notPossible(text, f.enum))
		default:
			v.SetString(text)
		}
	case reflect.Bool:
		x, ok := n.(*ast.BoolNode)
		if !ok {
			d.wrongShape(path, n, "true or false", f)
			return
		}
		v.SetBool(x.Value)
	case reflect.Int:
		d.readInt(path, n, v, f)
	}
}

// notPossible names what is possible, and why a value is not where the form knows that.
func (d *Doc) notPossible(text string, enum []string) string {
	fix := "write one of " + strings.Join(enum, ", ")
	if d.form.Impossible != nil {
		if why := d.form.Impossible(text, fix); why != "" {
			return why
		}
	}
	if near := spelling.Nearest(text, enum); near != "" {
		return fmt.Sprintf("write %s; possible are %s", near, strings.Join(enum, ", "))
	}
	return fix
}

func (d *Doc) readInt(path string, n ast.Node, v reflect.Value, f field) {
	if _, ok := n.(*ast.IntegerNode); !ok {
		d.wrongShape(path, n, "a whole number", f)
		return
	}
	i, err := strconv.ParseInt(n.GetToken().Value, 10, 64)
	if err != nil || i < f.minimum || i > f.maximum {
		d.Add(spotOf(n), fmt.Sprintf("%s: %s is not a whole number from %d to %d", d.Name(path), n.GetToken().Value, f.minimum, f.maximum), d.exampleOf(path, f))
		return
	}
	v.SetInt(i)
}

func (d *Doc) readList(path string, n ast.Node, v reflect.Value, f field) {
	list, ok := n.(*ast.SequenceNode)
	if !ok && f.lone {
		list, ok = &ast.SequenceNode{Values: []ast.Node{n}}, true // one may stand alone
	}
	if !ok {
		d.wrongShape(path, n, listing, f)
		return
	}
	if f.entries > 0 && len(list.Values) > f.entries {
		d.Add(spotOf(n), fmt.Sprintf("%s has more than %d entries", d.Name(path), f.entries), "join some of them")
		return
	}
	for i, entry := range list.Values {
		element := reflect.New(v.Type().Elem()).Elem()
		at := fmt.Sprintf("%s.%d", path, i)
		d.at[at] = place{spotOf(entry), spotOf(entry)}
		before := len(d.findings)
		d.read(at, entry, element, f)
		for j := before; j < len(d.findings); j++ { // an entry has no key but its list's
			d.findings[j].what = d.Name(path) + strings.TrimPrefix(d.findings[j].what, d.Name(at))
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
func (d *Doc) pairs(path string, n ast.Node, f field, visit func(name string, value *ast.MappingValueNode, first bool)) (whole bool) {
	m, ok := n.(ast.MapNode)
	if !ok {
		d.wrongShape(path, n, mapping, f)
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
			d.mask(kv.Key)
			d.mask(kv.Value)
			d.Add(spotOf(kv.Key), "this key is not a plain word", "write `key: value`")
			continue
		}
		at := spotOf(kv.Key)
		line, twice := seen[k]
		if twice {
			d.Add(at, fmt.Sprintf("the key %q stands here a second time", k), fmt.Sprintf("keep one of the two; the first is on line %d", line))
		} else {
			seen[k] = at.Line
			d.at[Join(path, k)] = place{at, spotOf(kv.Value)}
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

// Join is the path of a value below another, "" being the document.
func Join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (d *Doc) readStruct(path string, n ast.Node, v reflect.Value, outer field) {
	before := len(d.findings)
	fields := fieldsOf(v.Type())
	given := make(map[string]bool)
	whole := d.pairs(path, n, outer, func(name string, kv *ast.MappingValueNode, first bool) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if i < 0 {
			d.unknownKey(path, name, kv, fields)
			return
		}
		given[name] = true
		target := v.FieldByIndex(fields[i].index)
		if !first {
			target = reflect.New(target.Type()).Elem()
		}
		d.read(Join(path, name), kv.Value, target, fields[i])
	})
	if !whole {
		return
	}
	for _, f := range fields {
		if given[f.name] {
			continue
		}
		usual(v.FieldByIndex(f.index), f)
		if f.required {
			d.Add(d.Key(path), strings.TrimPrefix(path+": ", ": ")+f.name+" is missing", d.exampleOf(Join(path, f.name), f))
		}
	}
	if whole := d.form.Whole[v.Type()]; whole != nil && len(d.findings) == before {
		d.Refuse(path, d.Key(path), whole(v.Addr().Interface()))
	}
}

// Key is where the key at a path stands, the file's beginning for the root.
func (d *Doc) Key(path string) Spot {
	if p, ok := d.at[path]; ok {
		return p.key
	}
	return Spot{1, 1}
}

// unknownKey hides the value: the key may be a misspelt password.
func (d *Doc) unknownKey(path, name string, kv *ast.MappingValueNode, fields []field) {
	d.maskLine(kv.Value)
	var known []string
	for _, f := range fields {
		known = append(known, f.name)
	}
	where := ""
	if path != "" {
		where = " in " + path
	}
	fix := "remove it; known here are " + strings.Join(known, ", ")
	if near := spelling.Nearest(name, known); near != "" {
		fix = "write " + near
	}
	d.Add(spotOf(kv.Key), fmt.Sprintf("unknown key %q%s", name, where), fix)
}

func (d *Doc) readMap(path string, n ast.Node, v reflect.Value, f field) {
	v.Set(reflect.MakeMap(v.Type()))
	d.pairs(path, n, f, func(name string, kv *ast.MappingValueNode, first bool) {
		d.CheckName(spotOf(kv.Key), name)
		element := reflect.New(v.Type().Elem()).Elem()
		d.read(Join(path, name), kv.Value, element, field{typ: v.Type().Elem()})
		if first && !element.IsNil() {
			v.SetMapIndex(reflect.ValueOf(name), element)
		}
	})
}

// readSecret takes the keys that name a secret's place. Whatever else stands there may be
// the secret itself, and is not shown (S13).
func (d *Doc) readSecret(path string, n ast.Node, v reflect.Value, f field) {
	if _, ok := n.(ast.MapNode); !ok {
		d.maskLine(n)
		d.Add(spotOf(n), d.Name(path)+" holds the secret itself", d.form.SecretFix(d.Name(path)))
		return
	}
	before := len(d.findings)
	d.readStruct(path, n, v, f)
	if len(d.findings) == before {
		d.form.CheckSecret(d, path, v.Interface())
	}
	if len(d.findings) > before {
		d.maskLine(n)
		v.SetZero()
	}
}

// Given reports whether the document has a value at a path.
func (d *Doc) Given(path string) bool { _, ok := d.at[path]; return ok }

// Value is where the value at a path stands, its parent's key where it is missing.
func (d *Doc) Value(path string) Spot {
	if p, ok := d.at[path]; ok {
		return p.value
	}
	return d.Key(path[:max(0, strings.LastIndexByte(path, '.'))])
}

// Hide keeps what stands at a path, to the end of its line, out of every excerpt.
func (d *Doc) Hide(path string) {
	from := d.Value(path)
	d.masks = append(d.masks, span{from, Spot{from.Line + 1, 1}})
}

// CheckName reports a name that the form does not take.
func (d *Doc) CheckName(at Spot, name string) {
	if !d.form.Names.MatchString(name) {
		d.Add(at, fmt.Sprintf("the name %q is not usable", name), d.form.NamesFix)
	}
}

func readText(v reflect.Value, text string) error {
	return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
}

// usual fills in what holds where a key is not given, and below it.
func usual(v reflect.Value, f field) {
	switch {
	case f.usual != "" && v.Addr().Type().Implements(textType):
		must(readText(v, f.usual))
	case f.usual != "" && v.Kind() == reflect.String:
		v.SetString(f.usual)
	case f.usual != "" && v.Kind() == reflect.Int:
		n, err := strconv.ParseInt(f.usual, 10, 64)
		must(err)
		v.SetInt(n)
	case f.usual != "":
		v.Set(reflect.ValueOf(strings.Split(f.usual, "\n")))
	case v.Kind() == reflect.Struct && !v.Addr().Type().Implements(textType):
		for _, below := range fieldsOf(v.Type()) {
			usual(v.FieldByIndex(below.index), below)
		}
	}
}

// must holds for what stands in a tag of ours, all of which a test reads.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// bound reports a value, read from text, that is outside of its bounds.
func (d *Doc) bound(path string, at Spot, v reflect.Value, f field) {
	if f.least == "" && f.most == "" || v.IsZero() { // the zero value is no value
		return
	}
	outside := func(bound string, way int) bool {
		if bound == "" {
			return false
		}
		b := reflect.New(v.Type()).Elem()
		must(readText(b, bound))
		return way*cmp.Compare(v.Int(), b.Int()) > 0
	}
	if !outside(f.least, -1) && !outside(f.most, 1) {
		return
	}
	what := fmt.Sprintf("%s is not between %s and %s", d.Name(path), f.least, f.most)
	switch {
	case f.most == "":
		what = fmt.Sprintf("%s is less than %s", d.Name(path), f.least)
	case f.least == "":
		what = fmt.Sprintf("%s is more than %s", d.Name(path), f.most)
	}
	if f.usual != "" {
		d.Add(at, what, fmt.Sprintf("write %s, or leave the key out", f.usual))
		return
	}
	d.Add(at, what, d.exampleOf(path, f))
}
