package house

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestDependenciesAreExplained(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	var modules []string // whose rows there are
	for _, row := range regexp.MustCompile(`(?m)^\| ([a-z0-9.-]+\.[a-z]+/[^ |]+)`).FindAllSubmatch(text, -1) {
		modules = append(modules, string(row[1]))
	}
	foreign := 0
	for _, p := range list(t) {
		for _, i := range p.Imports {
			if host, _, _ := strings.Cut(i, "/"); !strings.Contains(host, ".") {
				continue // the standard library's, or ours
			}
			foreign++
			if !slices.ContainsFunc(modules, func(m string) bool { return strings.HasPrefix(i+"/", m+"/") }) {
				t.Errorf("%s imports %s, whose module has no row in docs/dependencies.md", p.ImportPath, i)
			}
		}
	}
	if foreign == 0 {
		t.Error("go list shows no import of a module of others'")
	}
}
