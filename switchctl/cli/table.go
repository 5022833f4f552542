package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"airlock/switchctl"
)

// fields is what the patterns of a table found of one interface, by the groups' names.
type fields map[string]string

// records cuts a command's output into interfaces.
func (t Table) records(output string) []fields {
	var all []fields
	for _, text := range t.split(output) {
		f := t.fields(text)
		if f["name"] != "" {
			all = append(all, f)
		}
	}
	return all
}

func (t Table) split(output string) []string {
	if !t.Record.given() {
		return strings.Split(output, "\n")
	}
	starts := t.Record.FindAllStringIndex(output, -1)
	var texts []string
	for i, start := range starts {
		end := len(output)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		texts = append(texts, output[start[0]:end])
	}
	return texts
}

func (t Table) fields(text string) fields {
	f := fields{}
	for _, pattern := range t.Match {
		groups := pattern.FindStringSubmatch(text)
		for i, name := range pattern.SubexpNames() {
			if groups == nil || name == "" || f[name] != "" {
				continue
			}
			f[name] = switchctl.Normalise([]byte(groups[i]))
		}
	}
	for name, word := range t.Absent {
		if f[name] == "" {
			f[name] = word
		}
	}
	return f
}

// merge adds what later tables say of the interfaces of the first one.
func merge(rows, more []fields) {
	for _, m := range more {
		for _, row := range rows {
			if row["name"] != m["name"] {
				continue
			}
			for k, v := range m {
				if row[k] == "" {
					row[k] = v
				}
			}
		}
	}
}

// entry is one interface with what a row has no column for.
type entry struct {
	row       switchctl.Row
	typed     string // the name as the switch gave it, for commands
	in, out   uint64
	octets    bool
	adminWord string
	operWord  string
}

var ifTypes = map[string]int{
	"ethernet": 6, "lag": 161, "vlan": 136, "loopback": 24, "tunnel": 131, "bridge": 209, "other": 1,
}

// entry understands the fields. A state that is none of the platform's words stays
// unread.
func (p *Platform) entry(f fields) (entry, error) {
	e := entry{typed: f["name"], adminWord: f["admin"], operWord: f["oper"]}
	e.row = switchctl.Row{Name: p.short(f["name"]), Alias: f["alias"], Description: f["description"], Type: p.ifType(f)}
	if e.row.Name != f["name"] && e.row.Description == "" {
		e.row.Description = f["name"]
	}
	if f["index"] != "" {
		index, err := strconv.ParseUint(f["index"], 10, 31)
		if err != nil {
			return e, fmt.Errorf("interface %q: its index %q is no number", f["name"], f["index"])
		}
		e.row.Index = int(index)
	}
	if mbits, err := strconv.ParseUint(f["mbits"], 10, 32); err == nil {
		e.row.Speed = mbits * 1e6
	}
	e.row.Admin, e.row.Oper = p.Admin.admin(f["admin"]), p.Oper.oper(f["oper"])
	var inErr, outErr error
	e.in, inErr = strconv.ParseUint(f["in_octets"], 10, 64)
	e.out, outErr = strconv.ParseUint(f["out_octets"], 10, 64)
	e.octets = inErr == nil && outErr == nil
	return e, nil
}

// short makes ifName of a long name: GigabitEthernet1/0/1 is Gi1/0/1.
func (p *Platform) short(name string) string { return rename(p.Short, name) }

func rename(beginnings []Short, name string) string {
	for _, s := range beginnings {
		rest, ok := strings.CutPrefix(name, s.From)
		if ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			return s.To + rest
		}
	}
	return name
}

func (p *Platform) ifType(f fields) int {
	for _, rule := range p.Types {
		of := rule.Of
		if of == "" {
			of = "name"
		}
		if rule.Like.MatchString(f[of]) {
			return ifTypes[rule.Is]
		}
	}
	return ifTypes["other"]
}

func (s States) admin(word string) switchctl.Admin {
	switch {
	case s.Down.is(word):
		return switchctl.AdminDown
	case s.Up.is(word):
		return switchctl.AdminUp
	case s.Testing.is(word):
		return switchctl.AdminTesting
	}
	return switchctl.AdminUnknown
}

func (s States) oper(word string) switchctl.Oper {
	switch {
	case s.NotPresent.is(word):
		return switchctl.OperNotPresent
	case s.LowerDown.is(word):
		return switchctl.OperLowerLayerDown
	case s.Dormant.is(word):
		return switchctl.OperDormant
	case s.Testing.is(word):
		return switchctl.OperTesting
	case s.Down.is(word):
		return switchctl.OperDown
	case s.Up.is(word):
		return switchctl.OperUp
	}
	return switchctl.OperNotRead
}

// refusal is the lines by which the switch refused a command, or "".
func (p *Platform) refusal(output string) string {
	var words []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if anyIs(p.Refused, line) && !anyIs(p.Warnings, line) {
			words = append(words, line)
		}
	}
	return strings.Join(words, " / ")
}

func anyIs(patterns []Pattern, line string) bool {
	for _, p := range patterns {
		if p.is(line) {
			return true
		}
	}
	return false
}

// proves looks into a saved configuration, in which a port that is not shut has no line
// about it.
func (s *Saved) proves(output string, w words) (bool, error) {
	shut, err := s.Shut.with(w)
	if err != nil {
		return false, err
	}
	lines, err := sections(output, s.Section, w)
	return slices.ContainsFunc(lines, shut.is), err
}

// sections is the lines of output that stand in the parts which begin with a line like
// begin, that line included; all lines where begin is not given. A part goes on as long
// as its lines are indented.
func sections(output string, begin Pattern, w words) ([]string, error) {
	begin, err := begin.with(w)
	if err != nil {
		return nil, err
	}
	var inside []string
	in := !begin.given()
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, " \r\n")
		if begin.given() && (line == "" || line[0] != ' ') {
			in = begin.is(line)
		}
		if in {
			inside = append(inside, line)
		}
	}
	return inside, nil
}

// words are what stands for the words in braces of commands and patterns.
type words map[string]string

// placeholder is a word in braces that templates may have.
var placeholder = regexp.MustCompile(`\{(port|plain|slot|seconds|minutes|hh|mm|time)\}`)

// knows tells whether template has no other words in braces than these.
func knows(template string, these ...string) bool {
	for _, word := range placeholder.FindAllStringSubmatch(template, -1) {
		if !slices.Contains(these, word[1]) {
			return false
		}
	}
	return true
}

func (w words) fill(template string) string {
	return placeholder.ReplaceAllStringFunc(template, func(word string) string { return w[word[1:len(word)-1]] })
}

var (
	oneWord   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/:+-]*$`)
	neverName = regexp.MustCompile("[\\x00-\\x1f\\x7f-\\x{10ffff}\"'`;|&$?!<>\\\\]")
)

func (w words) fillAll(templates []string) []string {
	var commands []string
	for _, t := range templates {
		commands = append(commands, w.fill(t))
	}
	return commands
}

// naming is the words for a port, or refuses a name that could be more than one: it came
// from the switch, but texts there may have been typed by anybody.
func (p *Platform) naming(port string) (words, error) {
	allowed := oneWord
	if p.PortName.given() {
		allowed = p.PortName.Regexp
	}
	if !allowed.MatchString(port) || neverName.MatchString(port) {
		return nil, fmt.Errorf("port %q: its name could be taken for more than a name by the command line; nothing was sent; use driver snmp for it, or give the port a plain name", port)
	}
	return words{"port": port}, nil
}

// command fills a port's name into a template.
func (p *Platform) command(template, port string) (string, error) {
	if !strings.Contains(template, "{port}") {
		return template, nil
	}
	w, err := p.naming(port)
	return w.fill(template), err
}
