package house

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Update has a test write the defaults of the references of the policy file anew.
var update = flag.Bool("update", false, "write the defaults into the documents anew")

// documented calls each for the rows of a reference of the policy file: with the paths of
// the key that the row explains ("vaults.NAME.window.max_open"), and its cells, and returns
// the text with what each made of the cells. Headings name, in backticks, what the tables
// below them are about; a heading without any is about the top level. Only tables whose
// first column is that of the keys count.
func documented(text string, each func(paths, cells []string)) string {
	quoted := regexp.MustCompile("`([^`]+)`")
	about, keys := []string{""}, false
	var out strings.Builder
	for whole := range strings.Lines(text) {
		line := strings.TrimSpace(whole)
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		switch {
		case strings.HasPrefix(line, "#"):
			about = []string{""}
			if names := quoted.FindAllStringSubmatch(line, -1); names != nil {
				about = nil
				for _, name := range names {
					about = append(about, name[1]+".")
				}
			}
		case !strings.HasPrefix(line, "|"):
			keys = false
		case cells[0] == "key" || cells[0] == "キー":
			keys = true
		case keys:
			if key := quoted.FindStringSubmatch(cells[0]); key != nil {
				var paths []string
				for _, above := range about {
					paths = append(paths, above+key[1])
				}
				before := strings.Join(cells, " | ")
				each(paths, cells)
				whole = strings.Replace(whole, before, strings.Join(cells, " | "), 1)
			}
		}
		out.WriteString(whole)
	}
	return out.String()
}

// schema is as much of a JSON Schema as tells which keys there are.
type schema struct {
	Ref        string            `json:"$ref"`
	Properties map[string]schema `json:"properties"`
	Each       json.RawMessage   `json:"additionalProperties"` // a schema, or a boolean
	Defs       map[string]schema `json:"$defs"`
	Default    any               `json:"default"` // a text, a number, or a list of texts
}

// usual is the default as documents write it, "" if there is none.
func (s schema) usual() string {
	switch d := s.Default.(type) {
	case nil:
		return ""
	case []any:
		return "`" + strings.ReplaceAll(fmt.Sprintf("%q", d), "\" \"", "\", \"") + "`"
	case float64:
		return fmt.Sprintf("`%.0f`", d)
	default:
		return fmt.Sprintf("`%v`", d)
	}
}

// paths adds the keys below s, with their defaults. A secret is a value like others.
func (s schema) paths(defs map[string]schema, above string, into map[string]string) error {
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
		if name == "Secret" {
			return nil
		}
		s = defs[name]
	}
	if len(s.Each) > 0 && s.Each[0] == '{' {
		var each schema
		if err := json.Unmarshal(s.Each, &each); err != nil {
			return err
		}
		return each.paths(defs, above+"NAME.", into)
	}
	for key, below := range s.Properties {
		into[above+key] = below.usual()
		if err := below.paths(defs, above+key+".", into); err != nil {
			return err
		}
	}
	return nil
}

func TestPolicyReferencesAreWhole(t *testing.T) {
	wholeReference(t, "policies/airlock.schema.json", "vaults.NAME.window.max_open", "docs/policy.md", "docs/policy.ja.md")
	wholeReference(t, "policies/vault.schema.json", "clients.NAME.public_key", "docs/vault.md", "docs/vault.ja.md")
}

// wholeReference wants documents to explain the keys of a schema, of which one is known,
// and no others, and to name their defaults.
func wholeReference(t *testing.T, file, known string, documents ...string) {
	t.Helper()
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	var s schema
	if err := json.Unmarshal(read(file), &s); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	if err := s.paths(s.Defs, "", want); err != nil {
		t.Fatal(err)
	}
	if _, ok := want[known]; !ok {
		t.Fatalf("%s is not read as it is written: %v", file, slices.Sorted(maps.Keys(want)))
	}
	for _, name := range documents {
		got := map[string]bool{}
		text := documented(string(read(name)), func(paths, cells []string) {
			for _, path := range paths {
				got[path] = true
				usual, is := want[path]
				switch {
				case !is:
					t.Errorf("%s explains %s, which no policy file may have", name, path)
				case usual == "" || len(cells) < 3 || cells[2] == usual:
				case *update:
					cells[2] = usual
				default:
					t.Errorf("%s says that the default of %s is %s; it is %s (go test -update writes it anew)", name, path, cells[2], usual)
				}
			}
		})
		for _, key := range slices.Sorted(maps.Keys(want)) {
			if !got[key] {
				t.Errorf("%s does not explain %s", name, key)
			}
		}
		if *update {
			if err := os.WriteFile(filepath.Join(root(t), filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
