package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// words puts what people read into their language. English is what the code says and
// what machines get; the nil words leave it as it is. A catalogue holds the rest, and
// whatever it lacks is shown in English.
//
// golang.org/x/text/message is not used: it groups the digits of every number, also of
// an ifIndex, and cannot translate what another process has rendered already.
type words struct {
	said  map[string]string // by format
	heard []pattern
}

// phrase is one entry of a catalogue: a format of fmt, and what to say instead. There,
// {1} stands for what the first verb makes of the first argument, and so on.
type phrase struct{ format, instead string }

// pattern is a phrase by which a rendered text is known again.
type pattern struct {
	*regexp.Regexp
	instead string
	named   bool   // it begins with a name, which is no sentence
	names   []bool // which of its parts are names, and stay as they are
}

// beforeName is what stands before the name of a system, door, vault or switch.
var beforeName = regexp.MustCompile(`(^|[ (])(system|door|vault|switch|gather|window|restore|snapshots of|accept|command) $`)

var verb = regexp.MustCompile(`%[-+# 0-9.]*[a-z]`)

// language chooses the words: AIRLOCK_LANG, or what the locale says.
func language(getenv func(string) string) *words {
	for _, name := range []string{"AIRLOCK_LANG", "LC_ALL", "LC_MESSAGES", "LANG"} {
		if value := getenv(name); value != "" {
			if strings.HasPrefix(value, "ja") {
				return newWords(japanese(), japaneseHeard())
			}
			return nil
		}
	}
	return nil
}

func newWords(said, heard []phrase) *words {
	w := &words{said: map[string]string{}}
	for _, p := range said {
		w.said[p.format] = p.instead
	}
	for _, p := range heard {
		parts := verb.Split(p.format, -1)
		names := make([]bool, len(parts)-1)
		for i, part := range parts {
			if i < len(names) {
				names[i] = beforeName.MatchString(part)
			}
			parts[i] = regexp.QuoteMeta(part)
		}
		w.heard = append(w.heard, pattern{regexp.MustCompile(`(?s)^` + strings.Join(parts, `(.*?)`) + `$`), p.instead, strings.HasPrefix(p.format, "%s "), names})
	}
	return w
}

// language is that of the words, as packages below know it.
func (w *words) language() string {
	if w == nil {
		return "en"
	}
	return "ja"
}

// text renders a format of this program.
func (w *words) text(format string, args ...any) string {
	if w != nil {
		if instead, ok := w.said[format]; ok {
			var rendered []string
			for i, v := range verb.FindAllString(format, -1) {
				rendered = append(rendered, fmt.Sprintf(v, args[i]))
			}
			return fill(instead, rendered)
		}
	}
	return fmt.Sprintf(format, args...)
}

// tell puts a text that was rendered elsewhere, by the executor perhaps.
func (w *words) tell(text string) string {
	if w == nil {
		return text
	}
	if instead, ok := w.said[text]; ok {
		return instead
	}
	for _, p := range w.heard {
		if found := p.FindStringSubmatch(text); found != nil && !(p.named && strings.ContainsAny(found[1], ";:")) {
			for i, part := range found[1:] {
				if !p.names[i] {
					found[i+1] = w.tell(part)
				}
			}
			return fill(p.instead, found[1:])
		}
	}
	if one, other, joined := strings.Cut(text, "; "); joined { // two errors that know nothing of one another
		return w.tell(one) + "; " + w.tell(other)
	}
	return text
}

// help puts the help of a command and of those below it.
func (w *words) help(c *cobra.Command) {
	if w == nil {
		return
	}
	if !c.HasParent() {
		template := strings.Split(c.UsageTemplate(), "\n")
		for i, line := range template {
			for _, heading := range []string{"Usage:", "Examples:", "Available Commands:", "Additional Commands:", "Global Flags:", "Flags:"} {
				if head, rest, ok := strings.Cut(line, heading); ok {
					line = head + w.tell(heading) + rest
					break
				}
			}
			template[i] = line
		}
		c.SetUsageTemplate(strings.Join(template, "\n"))
		c.InitDefaultHelpCmd()
		c.InitDefaultCompletionCmd()
		c.InitDefaultVersionFlag()
	}
	c.InitDefaultHelpFlag()
	c.Short, c.Long = w.tell(c.Short), w.tell(c.Long)
	for _, g := range c.Groups() {
		g.Title = w.tell(g.Title)
	}
	for _, flags := range []*pflag.FlagSet{c.PersistentFlags(), c.LocalFlags()} {
		flags.VisitAll(func(f *pflag.Flag) { f.Usage = w.tell(f.Usage) })
	}
	for _, below := range c.Commands() {
		w.help(below)
	}
}

func fill(text string, args []string) string {
	pairs := make([]string, 0, 2*len(args))
	for i, arg := range args {
		pairs = append(pairs, "{"+strconv.Itoa(i+1)+"}", arg)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
