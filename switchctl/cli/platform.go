package cli

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/scrapli/scrapligo/driver/network"
)

// Platform is what one kind of switch shows and wants typed, as a file says it. In
// commands, and in patterns about one port, {port} stands for the port's name as the
// switch lists it; the dead man's switch has more such words (see DeadMan). Patterns are
// Go's regular expressions, over text without carriage returns, escape sequences and
// prompts.
type Platform struct {
	Platform string `yaml:"platform"` // the file's name without .yaml
	Title    string `yaml:"title"`

	// The modes of the console, in the form of scrapligo's own platform definitions.
	Levels network.PrivilegeLevels `yaml:"privilege-levels"`
	Level  string                  `yaml:"default-desired-privilege-level"` // where everything begins and ends

	LoginSuffix string    `yaml:"login-suffix"` // appended to the user's name (RouterOS: "+ct511w")
	Return      string    `yaml:"return"`       // what the Enter key sends; default "\n"
	Prepare     []string  `yaml:"prepare"`      // typed after the login: no pager, no log lines; may be refused
	Leave       string    `yaml:"leave"`        // typed before the login is ended
	Noise       []Pattern `yaml:"noise"`        // how log lines begin that may come at any place; they are taken out to their line's end
	Dialogs     []Dialog  `yaml:"dialogs"`      // questions that may come at any place

	Refused  []Pattern `yaml:"refused"`  // lines by which a command is refused
	Warnings []Pattern `yaml:"warnings"` // lines that look like it and are not

	PortName Pattern    `yaml:"port-name"` // what {port} may be; default: one word of letters, digits and . _ / : + -
	List     []Table    `yaml:"list"`      // every interface; the first command says which there are, later ones add to them
	Types    []TypeRule `yaml:"types"`     // what kind of interface it is; the first that fits counts, none is not physical
	Long     []Short    `yaml:"long"`      // how the name that commands want is made of the one that a table prints
	Short    []Short    `yaml:"short"`     // how ifName is made of a name that only the long form was given of
	Admin    States     `yaml:"admin"`
	Oper     States     `yaml:"oper"`

	Open    []string `yaml:"open"`
	Shut    []string `yaml:"shut"`
	Abandon []string `yaml:"abandon"` // typed after a refusal, before going back to Level

	Saved   *Saved   `yaml:"saved"`
	DeadMan *DeadMan `yaml:"dead-man"`
}

// Table is a command and how the interfaces are read from what it prints. The groups of
// the patterns name the fields: name (ifName), alias (what an administrator typed),
// description (ifDescr), index (ifIndex), admin, oper, mbits, in_octets, out_octets; any
// other group is there for TypeRule. The first group that matched something counts.
type Table struct {
	Command string    `yaml:"command"`
	One     string    `yaml:"one"`    // the command for one port, which prints the same of it; none: it is picked from the list
	Record  Pattern   `yaml:"record"` // where a record of several lines begins; none: each line is one
	Match   []Pattern `yaml:"match"`
	// Absent gives fields that no pattern matched: a word that is printed only
	// where it applies.
	Absent map[string]string `yaml:"absent"`
}

// TypeRule gives an ifType to interfaces of which a field is like a pattern.
type TypeRule struct {
	Of   string  `yaml:"of"` // a group's name; default name
	Like Pattern `yaml:"like"`
	Is   string  `yaml:"is"` // ethernet, lag, vlan, loopback, tunnel, bridge, other
}

// Short is how a name begins, before its number, and what stands for that.
type Short struct {
	From string `yaml:"from"`
	To   string `yaml:"to"`
}

// States says which words mean what. A word that fits none was not understood, and is
// an error where a state is wanted.
type States struct {
	Up         Pattern `yaml:"up"`
	Down       Pattern `yaml:"down"`
	Testing    Pattern `yaml:"testing"`
	Dormant    Pattern `yaml:"dormant"`
	NotPresent Pattern `yaml:"not-present"`
	LowerDown  Pattern `yaml:"lower-layer-down"`
}

// Dialog is a question that the switch asks unbidden, at the end of its output. It is
// answered, or ends the session with a message that says what a person has to do.
type Dialog struct {
	When   Pattern `yaml:"when"`
	Answer string  `yaml:"answer"`
	Fail   string  `yaml:"fail"`
}

// Saved says how to learn what the port will be after a power cut (S8).
type Saved struct {
	Command string  `yaml:"command"`
	Section Pattern `yaml:"section"` // with {port}: the line that begins the port's part; none: all of it is about the port
	Shut    Pattern `yaml:"shut"`    // with {port}: the line in it that proves the port shut
	// Save is what a person types, once the port is shut, to have it saved so; nothing
	// where every change is.
	Save []string `yaml:"save"`
}

// Pattern is a regular expression of a platform file; the zero Pattern was not given.
type Pattern struct{ *regexp.Regexp }

// UnmarshalYAML compiles, and says where in the file it cannot.
func (p *Pattern) UnmarshalYAML(n ast.Node) error {
	text, ok := n.(ast.ScalarNode)
	if !ok {
		return at(n, errors.New("a pattern must be text"))
	}
	source, ok := text.GetValue().(string)
	if !ok {
		return at(n, fmt.Errorf("a pattern must be text in quotes, not %v", text.GetValue()))
	}
	compiled, err := regexp.Compile(placeholder.ReplaceAllString(source, `\{$1\}`))
	if err != nil {
		return at(n, err)
	}
	p.Regexp = compiled
	return nil
}

func at(n ast.Node, err error) error {
	position := n.GetToken().Position
	return &misplaced{position.Line, position.Column, err}
}

type misplaced struct {
	line, column int
	err          error
}

func (m *misplaced) Error() string { return fmt.Sprintf("%d:%d: %v", m.line, m.column, m.err) }
func (m *misplaced) Unwrap() error { return m.err }

func (p Pattern) given() bool { return p.Regexp != nil }

func (p Pattern) is(text string) bool { return p.given() && p.MatchString(text) }

// with is p with the words in braces filled in, as text and not as patterns.
func (p Pattern) with(w words) (Pattern, error) {
	if !p.given() {
		return p, nil
	}
	var pairs []string
	for word, text := range w {
		pairs = append(pairs, `\{`+word+`\}`, regexp.QuoteMeta(text))
	}
	filled, err := regexp.Compile(strings.NewReplacer(pairs...).Replace(p.String()))
	return Pattern{filled}, err
}

//go:embed platforms/*.yaml
var builtIn embed.FS

// Platforms lists the platforms that are built in.
func Platforms() []string {
	files, err := fs.Glob(builtIn, "platforms/*.yaml")
	if err != nil {
		return nil // only a malformed pattern is an error of Glob
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".yaml"))
	}
	return names
}

// Load reads a platform, from folder where it has a file of that name, or from those
// built in. folder may be empty.
func Load(folder, name string) (*Platform, error) {
	if !plainName.MatchString(name) {
		return nil, fmt.Errorf("platform %q: a platform's name is made of small letters, digits and _; there are %s", name, strings.Join(Platforms(), ", "))
	}
	if folder != "" {
		file := filepath.Join(folder, name+".yaml")
		text, err := os.ReadFile(file)
		if err == nil {
			return parse(file, name, text)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("platform %s: %w", name, err)
		}
	}
	text, err := builtIn.ReadFile("platforms/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("platform %q is not known: write one of %s, or describe it in a file of your own (docs/platforms.md)", name, strings.Join(Platforms(), ", "))
	}
	return parse(name+".yaml", name, text)
}

var plainName = regexp.MustCompile(`^[a-z0-9_]+$`)

// parse is strict: an unknown key, a pattern that is none, or a gap is an error that
// names file and line.
func parse(file, name string, text []byte) (*Platform, error) {
	p := &Platform{}
	if err := yaml.UnmarshalWithOptions(text, p, yaml.Strict()); err != nil {
		var where *misplaced
		if errors.As(err, &where) {
			return nil, fmt.Errorf("platform file %s:%w", file, where)
		}
		return nil, fmt.Errorf("platform file %s:%s", file, position(err))
	}
	if err := p.check(name); err != nil {
		return nil, fmt.Errorf("platform file %s: %w", file, err)
	}
	if p.Return == "" {
		p.Return = "\n"
	}
	return p, nil
}

// position turns goccy's "[3:1] what" into "3:1: what", without colours.
func position(err error) string {
	return regexp.MustCompile(`^\[(\d+:\d+)\] `).ReplaceAllString(yaml.FormatError(err, false, true), "$1: ")
}

func (p *Platform) check(name string) error {
	var wrong []error
	must := func(ok bool, say string) {
		if !ok {
			wrong = append(wrong, errors.New(say))
		}
	}
	must(p.Platform == name, "platform: must be "+name+", as the file is called")
	must(p.Levels[p.Level] != nil, "default-desired-privilege-level: must be one of privilege-levels")
	for key, level := range p.Levels {
		wrong = append(wrong, checkLevel(key, level, p.Levels))
	}
	must(len(p.List) > 0, "list: is missing; without it no port is found")
	for _, t := range p.List {
		must(t.Command != "" && hasGroup(t.Match, "name"), "list: each needs a command, and a match with a group (?P<name>…)")
	}
	must(len(p.Open) > 0 && strings.Contains(strings.Join(p.Open, "\n"), "{port}"), "open: needs commands, one of them with {port}")
	must(len(p.Shut) > 0 && strings.Contains(strings.Join(p.Shut, "\n"), "{port}"), "shut: needs commands, one of them with {port}")
	must(len(p.Refused) > 0, "refused: is missing; a refused command would look like one that was carried out")
	must(p.Admin.Up.given() && p.Admin.Down.given(), "admin: needs up and down")
	must(p.Oper.Up.given() && p.Oper.Down.given(), "oper: needs up and down")
	for _, rule := range p.Types {
		must(ifTypes[rule.Is] != 0 && rule.Like.given(), fmt.Sprintf("types: %q needs like, and to be one of ethernet, lag, vlan, loopback, tunnel, bridge, other", rule.Is))
	}
	for _, d := range p.Dialogs {
		must(d.When.given() && (d.Answer == "") != (d.Fail == ""), "dialogs: each needs when, and either answer or fail")
	}
	for _, template := range slices.Concat(p.Open, p.Shut) {
		must(knows(template, "port"), fmt.Sprintf("%q: {port} is the only word in braces that open and shut know", template))
	}
	if s := p.Saved; s != nil {
		must(s.Command != "" && s.Shut.given(), "saved: needs command and shut")
	}
	if p.DeadMan != nil {
		wrong = append(wrong, p.DeadMan.check())
	}
	return errors.Join(wrong...)
}

// checkLevel looks at what scrapligo would panic over.
func checkLevel(key string, level *network.PrivilegeLevel, levels network.PrivilegeLevels) error {
	if level == nil || level.Name != key || level.Pattern == "" {
		return fmt.Errorf("privilege-levels: %s needs a pattern, and name: %s", key, key)
	}
	if level.PreviousPriv != "" && levels[level.PreviousPriv] == nil {
		return fmt.Errorf("privilege-levels: %s: previous-priv %q is no level", key, level.PreviousPriv)
	}
	for _, pattern := range []string{level.Pattern, level.EscalatePrompt} {
		if _, err := regexp.Compile(pattern); err != nil {
			return fmt.Errorf("privilege-levels: %s: %w", key, err)
		}
	}
	return nil
}

func hasGroup(patterns []Pattern, name string) bool {
	return slices.ContainsFunc(patterns, func(p Pattern) bool { return p.given() && p.SubexpIndex(name) >= 0 })
}
