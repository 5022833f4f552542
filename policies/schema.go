package policies

import (
	"embed"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"airlock/policies/yamldoc"
)

//go:generate go test -run TestSchema -update

// declarations holds the types with the comments that become descriptions.
//
//go:embed gathering.go policy.go schedule.go secret.go url.go values.go vaulthost.go
var declarations embed.FS

// Schema is the JSON Schema (draft 2020-12) of the policy file, for editors: made from
// the types, kept as airlock.schema.json. It holds the form; references between
// parts, and what one key asks of another, only Parse checks.
func Schema() ([]byte, error) { return schema(&Policy{}, "airlock.yaml") }

// VaultSchema is the same of the policy file of a vault's host, kept as vault.schema.json.
func VaultSchema() ([]byte, error) { return schema(&VaultHost{}, "vault.yaml") }

func schema(of any, title string) ([]byte, error) {
	comments, err := goComments()
	if err != nil {
		return nil, err
	}
	r := jsonschema.Reflector{
		Anonymous:                  true,
		ExpandedStruct:             true,
		FieldNameTag:               "yaml",
		RequiredFromJSONSchemaTags: true,
		Mapper:                     leafSchema,
		LookupComment: func(t reflect.Type, field string) string {
			return strings.TrimSpace(comments[yamldoc.Join(t.Name(), field)] + bounds(t, field))
		},
	}
	s := r.Reflect(of)
	s.Title = title
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the policy file's schema: %w", err)
	}
	return append(out, '\n'), nil
}

// bounds says between what a text must lie that stands for a number; the schema of a text
// has no keys for that.
func bounds(t reflect.Type, field string) string {
	if field == "" {
		return ""
	}
	f, ok := t.FieldByName(field)
	if !ok || leafSchema(f.Type) == nil {
		return ""
	}
	least, most := yamldoc.Bounds(f)
	switch {
	case least == "" && most == "":
		return ""
	case least == "":
		return " (at most " + most + ")"
	case most == "":
		return " (at least " + least + ")"
	}
	return " (" + least + " to " + most + ")"
}

// leafSchema describes the types that read themselves from text; nil for all others.
func leafSchema(t reflect.Type) *jsonschema.Schema {
	text := func(pattern string, examples ...any) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Pattern: pattern, Examples: examples}
	}
	switch t {
	case reflect.TypeFor[Zone]():
		return text("", "Asia/Tokyo")
	case reflect.TypeFor[Duration]():
		return text(durationForm.String(), "45m", "26h", "1h30m", "7d")
	case reflect.TypeFor[Size]():
		return text(sizeForm.String(), "50GB", "8TB")
	case reflect.TypeFor[Percent]():
		return text(percentForm.String(), "50%")
	case reflect.TypeFor[Rate]():
		return text(rateForm.String(), "40MB/s", "300Mbit/s")
	case reflect.TypeFor[ClockRange]():
		return text(clockForm.String(), "08:30-17:30", "22:00-05:30")
	case reflect.TypeFor[Schedule]():
		return text(`^\s*(@[a-z]+( .+)?|\S+(\s+\S+){4})\s*$`, "30 2 * * *", "@hourly", "@every 4h")
	case reflect.TypeFor[URL]():
		return text("^(file|sftp|smb)://.+", "file:///mnt/nas/airlock", "sftp://user@host/path", "smb://user@host/share/path")
	}
	return nil
}

// JSONSchemaExtend says that a secret is one of two places.
func (Secret) JSONSchemaExtend(s *jsonschema.Schema) {
	s.Properties.Value("env").Pattern = usableEnv.String()
	s.OneOf = []*jsonschema.Schema{{Required: []string{"env"}}, {Required: []string{"file"}}}
}

// JSONSchemaExtend lets one address stand without a list.
func (Door) JSONSchemaExtend(s *jsonschema.Schema) {
	control := s.Properties.Value("control")
	control.Type, control.AnyOf = "", []*jsonschema.Schema{{Type: "string"}, {Type: "array", Items: &jsonschema.Schema{Type: "string"}}}
	control.Items = nil
}

// JSONSchemaExtend lets version be written as a number.
func (SNMP) JSONSchemaExtend(s *jsonschema.Schema) {
	version := s.Properties.Value("version")
	version.Type, version.Enum = "", []any{3, "3", "2c"}
}

// JSONSchemaExtend lets a port's texts be written as numbers, and wants one of them.
func (Port) JSONSchemaExtend(s *jsonschema.Schema) {
	one := uint64(1)
	s.MinProperties = &one
	for _, name := range []string{"name", "alias", "description"} {
		text := s.Properties.Value(name)
		text.Type, text.AnyOf = "", []*jsonschema.Schema{{Type: "string"}, {Type: "number"}}
	}
}

// JSONSchemaExtend says what names may be.
func (Guard) JSONSchemaExtend(s *jsonschema.Schema) {
	s.Properties.Value("switches").PropertyNames = &jsonschema.Schema{Pattern: usableName.String()}
}

// JSONSchemaExtend says what names may be.
func (VaultHost) JSONSchemaExtend(s *jsonschema.Schema) {
	s.Properties.Value("vault").Pattern = usableName.String()
	s.Properties.Value("clients").PropertyNames = &jsonschema.Schema{Pattern: usableName.String()}
}

// JSONSchemaExtend says what names may be.
func (Policy) JSONSchemaExtend(s *jsonschema.Schema) {
	s.Properties.Value("site").Pattern = usableName.String()
	one := uint64(1)
	s.Properties.Value("systems").MinProperties = &one
	for _, name := range []string{"switches", "doors", "vaults", "systems"} {
		s.Properties.Value(name).PropertyNames = &jsonschema.Schema{Pattern: usableName.String()}
	}
}

// goComments are the comments of the declared types and their fields, by Type and Type.Field.
func goComments() (map[string]string, error) {
	files, err := declarations.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("read the policy file's types: %w", err)
	}
	comments := make(map[string]string)
	for _, entry := range files {
		source, err := declarations.ReadFile(entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read the policy file's types: %w", err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), entry.Name(), source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("read the policy file's types: %w", err)
		}
		for _, d := range f.Decls {
			if types, ok := d.(*ast.GenDecl); ok && types.Tok == token.TYPE {
				typeComments(types, comments)
			}
		}
	}
	return comments, nil
}

func typeComments(types *ast.GenDecl, comments map[string]string) {
	for _, spec := range types.Specs {
		t, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		comments[t.Name.Name] = oneLine(types.Doc)
		structure, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range structure.Fields.List {
			for _, name := range f.Names {
				comments[yamldoc.Join(t.Name.Name, name.Name)] = strings.TrimSpace(oneLine(f.Doc) + " " + oneLine(f.Comment))
			}
		}
	}
}

func oneLine(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }
