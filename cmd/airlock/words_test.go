package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"airlock/orchestrator"
)

func TestLanguage(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{map[string]string{}, false},
		{map[string]string{"LANG": "ja_JP.UTF-8"}, true},
		{map[string]string{"LC_MESSAGES": "ja_JP.UTF-8", "LANG": "C"}, true},
		{map[string]string{"LC_ALL": "C", "LANG": "ja_JP.UTF-8"}, false},
		{map[string]string{"AIRLOCK_LANG": "ja", "LC_ALL": "C"}, true},
		{map[string]string{"AIRLOCK_LANG": "en", "LANG": "ja_JP.UTF-8"}, false},
	} {
		if got := language(func(name string) string { return c.env[name] }) != nil; got != c.want {
			t.Errorf("%v: Japanese: %v", c.env, got)
		}
	}
}

func TestWords(t *testing.T) {
	var english *words
	ja := newWords(japanese(), japaneseHeard())
	for _, c := range []struct{ english, japanese string }{
		{"a door is not proven shut: vault-door is open", "閉鎖を確認できない扉があります: vault-door is open"},
		{"a text that no catalogue has: 7", "a text that no catalogue has: 7"},
		{"window secondary", "開扉 secondary"},
		{"quiet hours until 17:30", "静粛時間（17:30 まで）"},
		{`usage: there is no command "stat"; did you mean status?; see: airlock --help`, `使い方の誤り: "stat" というコマンドはありません。もしかして status。参照: airlock --help`},
		{"the window is refused: opening the vault's door needs a reason: --reason TEXT", "開扉を拒否しました: 二次保管先の扉を開けるには理由が必要です: --reason 理由"},
	} {
		if got := ja.tell(c.english); got != c.japanese {
			t.Errorf("%q is %q, not %q", c.english, got, c.japanese)
		}
		if got := english.tell(c.english); got != c.english {
			t.Errorf("in English, %q is %q", c.english, got)
		}
	}
	if got, want := english.text("proven shut: %s", "vault-door"), "proven shut: vault-door"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := ja.text("proven shut: %s", "vault-door"), "閉鎖を確認: vault-door"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := ja.text("; the bytes need %.2f s on the wire at %s", 1.5, "1.0 Gbit/s"), "（1.0 Gbit/s の回線での正味 1.50 秒）"; got != want {
		t.Errorf("got %q, want %q: arguments in another order", got, want)
	}
	if got, want := ja.text("%s: %s", "{2}", "x"), "{2}: x"; got != want {
		t.Errorf("got %q, want %q: an argument is no format", got, want)
	}
}

// literals are the texts in this program's source, the catalogue left out; told are the
// formats among them that people are shown.
func literals(t *testing.T) (all, told map[string]bool) {
	t.Helper()
	all, told = map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "words_ja") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for n := range ast.Preorder(f) {
			switch n := n.(type) {
			case *ast.BasicLit:
				if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
					all[text] = true
				}
			case *ast.CallExpr:
				for _, text := range shown(n) {
					told[text] = true
				}
			}
		}
	}
	return all, told
}

// shown are the literal formats of a call that renders for people.
func shown(call *ast.CallExpr) []string {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	args := map[string][]int{"text": {0}, "print": {0}, "count": {1, 2}}[f.Sel.Name]
	var found []string
	for _, i := range args {
		if i >= len(call.Args) {
			continue
		}
		if lit, ok := call.Args[i].(*ast.BasicLit); ok {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				found = append(found, text)
			}
		}
	}
	return found
}

func TestCatalogueIsWholeAndCurrent(t *testing.T) {
	all, told := literals(t)
	words := regexp.MustCompile(`[A-Za-z]{2}`)
	ja := newWords(japanese(), nil)
	for text := range told {
		if _, ok := ja.said[text]; !ok && words.MatchString(verb.ReplaceAllString(text, "")) {
			t.Errorf("the catalogue lacks %q", text)
		}
	}
	elsewhere := map[string]bool{ // what others say in just these words
		"cut": true, "sound": true, "damaged": true, "opening": true, "open": true, "shutting": true, "unknown": true, "stuck": true,
		"Mon": true, "Tue": true, "Wed": true, "Thu": true, "Fri": true, "Sat": true, "Sun": true,
		"Generate the autocompletion script for the specified shell": true, "Help about any command": true,
	}
	for _, p := range japanese() {
		if !all[p.format] && !elsewhere[p.format] {
			t.Errorf("nobody says %q any more", p.format)
		}
	}
}

func TestCatalogueUsesEveryArgument(t *testing.T) {
	place := regexp.MustCompile(`\{(\d+)\}`)
	for _, p := range append(japanese(), japaneseHeard()...) {
		used := map[string]bool{}
		for _, m := range place.FindAllStringSubmatch(p.instead, -1) {
			used[m[1]] = true
		}
		n := len(verb.FindAllString(p.format, -1))
		for i := range n {
			if !used[strconv.Itoa(i+1)] {
				t.Errorf("%q does not use argument %d of %q", p.instead, i+1, p.format)
			}
		}
		if len(used) > n {
			t.Errorf("%q uses %d arguments, and %q has %d", p.instead, len(used), p.format, n)
		}
	}
}

// What others say is known by their words, so each of these must still stand in their
// source. %s stands for whatever they put there.
func TestHeardWordsAreStillSaid(t *testing.T) {
	var source strings.Builder
	for _, dir := range []string{
		"../../orchestrator", "../../orchestrator/doors", "../../orchestrator/custody", "../../guard", "../../lease", "../../console", "../../switchctl", "../../ledger", "../../ledger/proof", "../../repository", "../../collectors", "../../mount", "../../sshconn", "../../vault", "../../vault/server", "../../policies", ".",
	} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "words_ja") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(text)
		}
	}
	for _, p := range japaneseHeard() {
		if p.format == "help for %s" || p.format == "version for %s" { // cobra's
			continue
		}
		for _, part := range verb.Split(strings.NewReplacer(";", "%s", ":", "%s", "(", "%s", " is ", "%s", " in ", "%s", " of ", "%s", "no snapshot", "%s").Replace(p.format), -1) {
			if part = strings.Trim(part, " :,\""); !strings.Contains(source.String(), part) {
				t.Errorf("nobody says %q of %q any more", part, p.format)
			}
		}
	}
}

// What an audit can find, a person can read in Japanese.
func TestFindingsAreTranslated(t *testing.T) {
	ja := newWords(japanese(), japaneseHeard())
	n := 0
	for _, file := range []string{"../../ledger/proof/audit.go", "../../ledger/proof/story.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for node := range ast.Preorder(f) {
			call, ok := node.(*ast.CallExpr)
			if !ok || len(call.Args) < 4 {
				continue
			}
			name, _ := call.Fun.(*ast.SelectorExpr)
			format, _ := call.Args[3].(*ast.BasicLit)
			if name == nil || name.Sel.Name != "found" || format == nil {
				continue
			}
			text, err := strconv.Unquote(format.Value)
			if err != nil {
				t.Fatal(err)
			}
			n++
			said := verb.ReplaceAllString(text, "7")
			if told := ja.tell("entry 3: door: " + said); strings.Contains(told, "entry") || said != "7" && said != "77" && strings.HasSuffix(told, said) {
				t.Errorf("%q is told as %q", text, told)
			}
		}
	}
	if n < 30 {
		t.Errorf("found only %d texts", n)
	}
}

func TestAmount(t *testing.T) {
	var english *words
	for _, c := range []struct {
		p    orchestrator.Progress
		took time.Duration
		want string
	}{
		{orchestrator.Progress{Stage: "reading", Bytes: 50e6, TotalBytes: 200e6, Files: 3, TotalFiles: 12}, 5 * time.Second, "reading, 3 of 12, 50.0 MB of 200.0 MB, 10.0 MB/s, 15s left"},
		{orchestrator.Progress{Stage: "reading", Bytes: 50e6, Files: 3, Failed: 2}, 500 * time.Millisecond, "reading, 3, 50.0 MB, 2 not read"},
		{orchestrator.Progress{Stage: "reading", Bytes: 50e6, TotalBytes: 40e6, Files: 3, TotalFiles: 2}, 5 * time.Second, "reading, 3, 50.0 MB, 10.0 MB/s"},
		{orchestrator.Progress{Stage: "opening the door"}, time.Second, "opening the door"},
		{orchestrator.Progress{Stage: "opening the door"}, 12 * time.Second, "opening the door, 12s"},
		{orchestrator.Progress{Stage: "done", Bytes: 50e6, Files: 3}, time.Hour, "done, 3, 50.0 MB"},
	} {
		if got := english.amount(c.p, c.took); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	ja := newWords(japanese(), japaneseHeard())
	p := orchestrator.Progress{Stage: "reading", Bytes: 50e6, TotalBytes: 200e6}
	if got, want := ja.amount(p, 5*time.Second), "読み取り中, 50.0 MB / 200.0 MB, 10.0 MB/s, 残り 15s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Errors that were joined are told one by one, and a name in front is no sentence.
func TestJoinedErrorsAreToldOneByOne(t *testing.T) {
	ja := newWords(japanese(), japaneseHeard())
	for text, want := range map[string]string{
		"departments-door rests open, and was shut by user root on 2026-12-01 05:19":                                       "普段開いている departments-door は、2026-12-01 05:19 に user root が閉じました",
		"accounting: the source is gone: no route; departments-door rests open, and was found shut":                        "accounting: the source is gone: no route; 普段開いている departments-door が閉じています",
		"the source is gone: no route to host; departments-door rests open, and was shut by user root on 2026-12-01 05:19": "取得元に届きません: no route to host; 普段開いている departments-door は、2026-12-01 05:19 に user root が閉じました",
	} {
		if got := ja.tell(text); got != want {
			t.Errorf("%q is told as %q, want %q", text, got, want)
		}
	}
}

// What a hospital calls its systems and doors stays as it is, whatever airlock means by the
// same word.
func TestNamesAreNoWords(t *testing.T) {
	ja := newWords(japanese(), japaneseHeard())
	for _, name := range []string{"verify", "door", "shut", "open", "heal", "stuck", "upkeep", "扉"} {
		for text, want := range map[string]string{
			"gather " + name:  "収集 " + name,
			"window " + name:  "開扉 " + name,
			"restore " + name: "復元 " + name,
			"system " + name + " is not in the policy file; it has imaging": "部門システム " + name + " は設定ファイルにありません。あるのは imaging",
			"the guard has not looked at door " + name + " for 3s":          "扉 " + name + " を 3s のあいだ見ていません",
		} {
			if got := ja.tell(text); got != want {
				t.Errorf("%q: %q, want %q", text, got, want)
			}
		}
	}
}

// A door that is not proven shut is never called by a word that says that it is shut.
func TestShuttingIsNotShut(t *testing.T) {
	ja := newWords(japanese(), japaneseHeard())
	for state, never := range map[string][]string{"shutting": {"閉鎖中", "閉鎖済", "閉じました"}, "opening": {"開扉中", "開放中"}} {
		said := ja.tell(state)
		if said == state || said == ja.tell("shut") || said == ja.tell("open") {
			t.Errorf("%s: %s", state, said)
		}
		for _, word := range never {
			if strings.Contains(said, word) {
				t.Errorf("%s: %s says %s", state, said, word)
			}
		}
	}
}
