package yamldoc_test

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"airlock/policies/yamldoc"
)

// span reads itself from text.
type span time.Duration

func (s *span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return yamldoc.Refusal("this is no span", "write 5s")
	}
	*s = span(d)
	return nil
}

type pond struct {
	Name  string           `yaml:"name" jsonschema:"required" example:"kita"`
	Fish  int              `yaml:"fish" jsonschema:"minimum=1,maximum=9,default=3"`
	Every span             `yaml:"every" jsonschema:"default=5s,minimum=1s,maximum=1h" example:"5s"`
	Kinds []string         `yaml:"kinds,lone" jsonschema:"default=carp,default=eel"`
	Shore shore            `yaml:"shore"`
	Boats map[string]*boat `yaml:"boats"`
	Key   key              `yaml:"key"`
}

type shore struct {
	Length span `yaml:"length" jsonschema:"default=2m,minimum=1m"`
}

type boat struct {
	Seats int `yaml:"seats" jsonschema:"minimum=1,maximum=4,default=2"`
}

type key struct {
	Under string `yaml:"under"`
}

var form = &yamldoc.Form{
	Name: "the pond's file", Empty: "write a pond", Types: []reflect.Type{reflect.TypeFor[pond]()},
	Names: regexp.MustCompile(`^[a-z]+$`), NamesFix: "use letters",
	Secret:      reflect.TypeFor[key](),
	SecretFix:   func(key string) string { return "say what it lies under: " + key + ": {under: STONE}" },
	CheckSecret: func(*yamldoc.Doc, string, any) {},
}

func read(text string) (pond, error) {
	var p pond
	err := form.Read("pond.yaml", []byte(text), &p, func(d *yamldoc.Doc) {
		if d.Given("fish") && p.Name == "empty" {
			d.Add(d.Value("fish"), "an empty pond has fish", "leave fish out")
		}
	})
	return p, err
}

// What is not given has its default, below a struct that is not given too, and never
// below an entry of a map that is not there.
func TestDefaults(t *testing.T) {
	p, err := read("name: kita\nboats:\n  red: {}\n  blue: {seats: 4}\n")
	want := pond{Name: "kita", Fish: 3, Every: span(5 * time.Second), Kinds: []string{"carp", "eel"}, Shore: shore{span(2 * time.Minute)},
		Boats: map[string]*boat{"red": {2}, "blue": {4}}}
	if err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("read %+v, %v", p, err)
	}
}

func TestLone(t *testing.T) {
	for _, text := range []string{"name: kita\nkinds: carp\n", "name: kita\nkinds: [carp]\n"} {
		if p, err := read(text); err != nil || !reflect.DeepEqual(p.Kinds, []string{"carp"}) {
			t.Errorf("%q: %v, %v", text, p.Kinds, err)
		}
	}
}

// Every mistake is told, where it is and with what to write, and no secret (S13).
func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"name: kita\nevery: 2h\n":                "pond.yaml:2:8: every is not between 1s and 1h",
		"name: kita\nshore: {length: 5s}\n":      "pond.yaml:2:17: length is less than 1m",
		"name: kita\nfish: 10\n":                 "pond.yaml:2:7: fish: 10 is not a whole number from 1 to 9",
		"fish: 2\n":                              "pond.yaml:1:1: name is missing",
		"name: kita\nfishy: 2\n":                 "fix: write fish",
		"name: kita\nboats: {RED: {}}\n":         `the name "RED" is not usable`,
		"name: kita\nkey: hunter2\n":             "key holds the secret itself",
		"name: empty\nfish: 2\n":                 "pond.yaml:2:7: an empty pond has fish",
		"name: kita\nevery: soon\n":              "every: this is no span",
		"":                                       "fix: write a pond",
		"name: kita\n---\nname: minami\n":        "the pond's file is one document",
		"name: kita\nname: minami\n":             `the key "name" stands here a second time`,
		"name: &a kita\n":                        "anchors",
		"name： kita\n":                           "a full-width colon",
		strings.Repeat("[", 100):                 "nested too deeply",
		"name: kita\nkey: {under: [hunter2, 3]}": "under takes a single value, not a list",
	} {
		_, err := read(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
