// Package notice declares what people are called for: each alarm is a kind with a code that
// never changes, its severity, and in English and Japanese what is so, what to do, and when it
// is over. Whoever raises one names the kind and gives arguments; the reader's language is
// chosen where it is shown. Monitors may rely on codes, and on nothing in the texts.
package notice

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity is how soon a person has to look.
type Severity string

// The severities.
const (
	Warning  Severity = "warning"  // within the day
	Critical Severity = "critical" // at once
)

// Text is said in both languages; %s stands for an argument, in the same order in both.
type Text struct{ EN, JA string }

// In is the text in a language, "ja" or any other for English, with arguments, which pass
// through untouched.
func (t Text) In(language string, args ...string) string {
	format := t.EN
	if language == "ja" {
		format = t.JA
	}
	parts := strings.Split(format, "%s")
	var b strings.Builder
	for i, part := range parts {
		b.WriteString(part)
		if i < len(parts)-1 && i < len(args) {
			b.WriteString(args[i])
		}
	}
	return b.String()
}

// Kind is one thing that people are called for.
type Kind struct {
	Code     string // lower-case words joined by -
	Severity Severity
	What     Text // what is so; it follows the name of the door, system or vault
	Next     Text // what a person does; {door}, {system} and {vault} stand for the alarm's own: see Do
	Over     Text // when it ends by itself; of what merely happened, empty
}

// Do is what a person does about a door, a system or a vault, in a language. Commands name
// it; where its name is "", they say what it is.
func (k *Kind) Do(language, door, system, vault string) string {
	of := [3]string{"DOOR", "SYSTEM", "VAULT"}
	if language == "ja" {
		of = [3]string{"扉", "部門システム", "二次保管先"}
	}
	return strings.NewReplacer("{door}", cmp.Or(door, of[0]), "{system}", cmp.Or(system, of[1]), "{vault}", cmp.Or(vault, of[2])).Replace(k.Next.In(language))
}

// Ends says whether there is a cause that can be over. What merely happened is shown for a
// week.
func (k *Kind) Ends() bool { return k.Over.EN != "" }

// Notice is a kind with its arguments, as it is kept and sent.
type Notice struct {
	Code string   `json:"code,omitempty"` // absent in what an older airlock wrote
	Args []string `json:"args,omitempty"`
	What string   `json:"what"` // in English
}

// Of makes a notice. As many arguments are wanted as What has.
func (k *Kind) Of(args ...string) Notice {
	if want := strings.Count(k.What.EN, "%s"); want != len(args) {
		panic(fmt.Sprintf("notice %s wants %d arguments and got %d", k.Code, want, len(args)))
	}
	return Notice{k.Code, args, k.What.In("en", args...)}
}

// Is says whether the notice is one of a kind.
func (n Notice) Is(kinds ...*Kind) bool {
	return slices.ContainsFunc(kinds, func(k *Kind) bool { return n.Code == k.Code })
}

// In is what is so, in a language. What has a code that is not known here, or none, is as it
// was written.
func (n Notice) In(language string) string {
	if k := Find(n.Code); k != nil {
		return k.What.In(language, n.Args...)
	}
	return n.What
}

// Find gives the kind with a code; nil if there is none.
func Find(code string) *Kind { return kinds[code] }

// All are all kinds, by their codes.
func All() []*Kind {
	all := make([]*Kind, 0, len(kinds))
	for _, k := range kinds {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b *Kind) int { return strings.Compare(a.Code, b.Code) })
	return all
}

// kinds are those that declare was given, which is before the program begins.
var kinds = map[string]*Kind{}

func declare(k Kind) *Kind {
	if kinds[k.Code] != nil {
		panic("two notices have the code " + k.Code)
	}
	kinds[k.Code] = &k
	return &k
}
