package house

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documented are the keys that a reference of the policy file explains, as paths
// ("vaults.NAME.window.max_open"). Its headings name, in backticks, what the tables
// below them are about; a heading without any is about the top level. Only tables
// whose first column is that of the keys count.
func documented(text string) map[string]bool {
	found := map[string]bool{}
	quoted := regexp.MustCompile("`([^`]+)`")
	about, keys := []string{""}, false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		first, _, _ := strings.Cut(strings.Trim(line, "| "), " | ")
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
		case first == "key" || first == "キー":
			keys = true
		case keys:
			if key := quoted.FindStringSubmatch(first); key != nil {
				for _, above := range about {
					found[above+key[1]] = true
				}
			}
		}
	}
	return found
}

// schema is as much of a JSON Schema as tells which keys there are.
type schema struct {
	Ref        string            `json:"$ref"`
	Properties map[string]schema `json:"properties"`
	Each       json.RawMessage   `json:"additionalProperties"` // a schema, or a boolean
	Defs       map[string]schema `json:"$defs"`
}

// paths adds the keys below s. A secret is a value like others.
func (s schema) paths(defs map[string]schema, above string, into map[string]bool) error {
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
		into[above+key] = true
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
// and no others.
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
	want := map[string]bool{}
	if err := s.paths(s.Defs, "", want); err != nil {
		t.Fatal(err)
	}
	if !want[known] {
		t.Fatalf("%s is not read as it is written: %v", file, slices.Sorted(maps.Keys(want)))
	}
	for _, name := range documents {
		got := documented(string(read(name)))
		for _, key := range slices.Sorted(maps.Keys(want)) {
			if !got[key] {
				t.Errorf("%s does not explain %s", name, key)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(got)) {
			if !want[key] {
				t.Errorf("%s explains %s, which no policy file may have", name, key)
			}
		}
	}
}
