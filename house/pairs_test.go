package house

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each document that there is in two languages says the same in both: as many headings of the
// same depth, below each as many paragraphs with a bold beginning, list items and table rows,
// and the same commands. A sentence may lag all the same; a command that does is found.
func TestPairsOfDocumentsSayTheSame(t *testing.T) {
	pairs, err := filepath.Glob("../docs/*.ja.md")
	if err != nil || len(pairs) < 5 {
		t.Fatalf("documents in Japanese: %v, %v", pairs, err)
	}
	for _, japanese := range append(pairs, "../README.ja.md") {
		english := strings.TrimSuffix(japanese, ".ja.md") + ".md"
		a, err := os.ReadFile(english)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(japanese)
		if err != nil {
			t.Fatal(err)
		}
		for _, lag := range lags(string(a), string(b)) {
			t.Errorf("%s: %s", japanese, lag)
		}
	}
}

func TestLagsAreFound(t *testing.T) {
	const english = "# A\n\nRun `airlock window\nVAULT --reason TEXT`.\n\n## B\n\n- one\n- two, by `airlock audit archive`\n"
	for japanese, want := range map[string]string{
		"# あ\n\n`airlock window 保管先 --reason 理由`\n\n## い\n\n- 一\n- `airlock audit archive` で二\n": "",
		"# あ\n\n`airlock window`\n\n## い\n\n- 一\n- `airlock audit archive` で二\n":                 "lacks the command: airlock window --reason",
		"# あ\n\n`airlock window --reason 理由`\n\n## い\n\n- 一\n- 二\n":                              "lacks the command: airlock audit archive",
		"# あ\n\n`airlock window --reason 理由`\n\n## い\n\n- `airlock audit archive` で二\n":          "1 items, not 2",
		"# あ\n\n`airlock window --reason 理由`\n":                                                  "headings",
	} {
		got := strings.Join(lags(english, japanese), "; ")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: %q, not %q", japanese, got, want)
		}
	}
}

// part is what stands below one heading.
type part struct {
	heading  string
	depth    int
	items    int
	commands map[string]bool
}

// lags says in which the two differ.
func lags(english, japanese string) (all []string) {
	a, b := partsOf(english), partsOf(japanese)
	if len(a) != len(b) {
		return []string{fmt.Sprintf("%d headings, not %d", len(b), len(a))}
	}
	for i := range a {
		differ := func(format string, args ...any) {
			all = append(all, fmt.Sprintf("below %q ", a[i].heading)+fmt.Sprintf(format, args...))
		}
		if a[i].depth != b[i].depth {
			differ("(%s) the depth differs", b[i].heading)
		}
		if a[i].items != b[i].items {
			differ("there are %d items, not %d", b[i].items, a[i].items)
		}
		for _, c := range slices.Sorted(maps.Keys(a[i].commands)) {
			if !b[i].commands[c] {
				differ("it lacks the command: %s", c)
			}
		}
		for _, c := range slices.Sorted(maps.Keys(b[i].commands)) {
			if !a[i].commands[c] {
				differ("only it has the command: %s", c)
			}
		}
	}
	return all
}

var (
	headingLine = regexp.MustCompile(`(?m)^(#+) (.*)$`)
	itemLine    = regexp.MustCompile(`(?m)^ *(?:\||- |\d+\. |\*\*)`)
	fenced      = regexp.MustCompile("(?ms)^```.*?^```$")
	codeSpan    = regexp.MustCompile("`([^`]+)`")
	indented    = regexp.MustCompile(`(?m)^(?: {4}|\t)(?:sudo )?((?:airlock|kopia)[- ].*?)(?: +#.*)?$`)
)

func partsOf(text string) []part {
	text = fenced.ReplaceAllStringFunc(text, func(block string) string { // as if it were indented
		lines := strings.Split(block, "\n")
		return "    " + strings.Join(lines[1:len(lines)-1], "\n    ")
	})
	at := headingLine.FindAllStringSubmatchIndex(text, -1)
	all := make([]part, 0, len(at))
	for i, h := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		below := text[h[1]:end]
		p := part{heading: text[h[4]:h[5]], depth: h[3] - h[2], items: len(itemLine.FindAllString(below, -1)), commands: map[string]bool{}}
		for _, found := range append(indented.FindAllStringSubmatch(below, -1), codeSpan.FindAllStringSubmatch(below, -1)...) {
			if c := commandIn(found[1]); c != "" {
				p.commands[c] = true
			}
		}
		all = append(all, p)
	}
	return all
}

var (
	commandWord = regexp.MustCompile(`^(?:--?)?[a-z][a-z-]*$`)
	reasons     = regexp.MustCompile(`"[^"]*"|'[^']*'`)
)

// commandIn is a command without what stands for something else in it, such as NAME and 名前;
// "" for what is none.
func commandIn(text string) string {
	words := strings.Fields(reasons.ReplaceAllString(text, ""))
	if len(words) < 2 || words[0] != "airlock" && words[0] != "airlock-audit" && words[0] != "kopia" {
		return ""
	}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return !commandWord.MatchString(w) }), " ")
}
