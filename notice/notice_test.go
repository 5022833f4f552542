package notice

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var update = flag.Bool("update", false, "write docs/alarms.md and docs/alarms.ja.md anew")

// Each kind has a code that monitors can rely on, and says in both languages what is so and
// what to do.
func TestKindsAreWhole(t *testing.T) {
	code := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	japanese := func(s string) bool {
		return strings.ContainsFunc(s, func(r rune) bool { return unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han) })
	}
	for _, k := range All() {
		if !code.MatchString(k.Code) || k.Severity != Warning && k.Severity != Critical {
			t.Errorf("%q, %q", k.Code, k.Severity)
		}
		for _, text := range []Text{k.What, k.Next, k.Over} {
			if text == (Text{}) && !k.Ends() {
				continue
			}
			if text.EN == "" || !japanese(text.JA) || japanese(text.EN) || strings.Count(text.EN, "%s") != strings.Count(text.JA, "%s") {
				t.Errorf("%s: %q, %q", k.Code, text.EN, text.JA)
			}
		}
		if strings.Contains(k.Next.EN+k.Over.EN, "%s") {
			t.Errorf("%s: only What has arguments", k.Code)
		}
		if Find(k.Code) != k {
			t.Errorf("%s is not found by its code", k.Code)
		}
	}
}

// What people and machines are called passes through untouched, in both languages.
func TestArgumentsPassThrough(t *testing.T) {
	for _, k := range All() {
		for _, name := range []string{"verify", "door", "shut", "扉", "%s", "{1}", "a\x1b[31m", ""} {
			args := make([]string, strings.Count(k.What.EN, "%s"))
			for i := range args {
				args[i] = name
			}
			n := k.Of(args...)
			for _, language := range []string{"en", "ja"} {
				format := map[string]string{"en": k.What.EN, "ja": k.What.JA}[language]
				if got, want := n.In(language), strings.ReplaceAll(format, "%s", name); got != want {
					t.Errorf("%s in %s: %q, want %q", k.Code, language, got, want)
				}
			}
			if !n.Is(Defect, k) || k != Defect && n.Is(Defect) {
				t.Errorf("%s is not told from others", k.Code)
			}
		}
	}
}

// What to do names what the alarm is of.
func TestCommandsNameTheirSystem(t *testing.T) {
	for language, want := range map[string]string{"en": "airlock gather verify", "ja": "airlock gather verify"} {
		if got := NotGathered.Do(language, "", "verify", ""); !strings.Contains(got, want) {
			t.Errorf("%s: %q", language, got)
		}
	}
	if got := NotGathered.Do("en", "", "", ""); !strings.Contains(got, "airlock gather SYSTEM") {
		t.Errorf("of none: %q", got)
	}
	for _, k := range All() {
		for _, text := range []string{k.Do("en", "d", "s", "v"), k.Do("ja", "d", "s", "v"), k.What.EN} {
			if strings.ContainsAny(text, "{}") {
				t.Errorf("%s: %q", k.Code, text)
			}
		}
	}
}

// What another airlock wrote, with a code that is not known here or with none, is shown as it
// stands.
func TestUnknownNotice(t *testing.T) {
	for _, n := range []Notice{{What: "something"}, {Code: "of-later", Args: []string{"x"}, What: "something"}} {
		if n.In("ja") != "something" || n.In("en") != "something" {
			t.Errorf("%+v: %q", n, n.In("ja"))
		}
	}
}

// docs/alarms.md and docs/alarms.ja.md list every kind; -update writes them anew.
func TestDocumentsListAll(t *testing.T) {
	for _, d := range []struct {
		file, language string
		head           string
		severities     map[Severity]string
		event          string
	}{
		{"alarms.md", "en", headEN, map[Severity]string{Warning: "warning", Critical: "critical"}, "a week"},
		{"alarms.ja.md", "ja", headJA, map[Severity]string{Warning: "警告", Critical: "重大"}, "1 週間後"},
	} {
		var b strings.Builder
		b.WriteString(d.head)
		for _, k := range All() {
			over := d.event
			if k.Ends() {
				over = k.Over.In(d.language)
			}
			what := strings.ReplaceAll(k.What.In(d.language, "…"), "|", "\\|")
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.Code, d.severities[k.Severity], what, k.Do(d.language, "", "", ""), over)
		}
		file := filepath.Join("..", "docs", d.file)
		if *update {
			if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(file)
		if err != nil || string(have) != b.String() {
			t.Errorf("%s is not what the kinds say (%v): go test ./notice -update writes it anew", file, err)
		}
	}
}

const headEN = `# Alarms

Whatever airlock calls people for has a code that never changes. It stands beside the text in the ledger's entries of kind
` + "`alarm`" + `, in ` + "`airlock status --json`" + ` and ` + "`/v1/status`" + ` (` + "`alarms[].code`, `args`" + `); monitors may rely on it, and on nothing in the texts.
This page is made from the program: [日本語](alarms.ja.md).

*Critical* cannot wait, *warning* can wait until the morning. An alarm with a cause ends when that is over, and an entry
of kind ` + "`alarm`" + ` to ` + "`over`" + ` says so; of what merely happened it is told for a week, and by Nagios for a day. What the guard
calls for has the same codes, with ` + "`by: guard`" + `.

| code | severity | what is so | what to do | over when |
| --- | --- | --- | --- | --- |
`

const headJA = `# 警報

airlock が人を呼ぶことがらには、変わることのない符号があります。台帳の ` + "`alarm`" + ` の記録、` + "`airlock status --json`" + `、` + "`/v1/status`" + ` の
文のとなり（` + "`alarms[].code`、`args`" + `）にあります。監視にはこの符号を使い、文そのものに頼らないでください。このページはプログラムから作られます: [English](alarms.md)。

*重大*は待てないこと、*警告*は朝まで待てることです。原因のある警報は、原因がなくなると終わり、台帳に ` + "`over`" + ` の記録が残ります。起きただけのことは
1 週間（Nagios では 1 日）示します。見張りの警報も符号は同じで、` + "`by: guard`" + ` が付きます。

| 符号 | 重さ | 何が起きているか | すること | 終わるとき |
| --- | --- | --- | --- | --- |
`
