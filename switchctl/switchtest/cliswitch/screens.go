// Package cliswitch is a switch that has nothing but a command line, by real SSH on
// loopback. What it shows is written in a file, so that a platform's screens are data as
// the platform itself is; what is typed there changes its ports.
//
// The file is a txtar archive. Its comment sets the scene, a line each:
//
//	user: airlock                  the account, whose password is "password"
//	start: exec                    the mode after the login
//	prompt exec: sw>               what each mode shows
//	banner: Welcome                shown before the first prompt; may be repeated
//	enable: secret                 the answer to @ask
//	unknown: % Invalid input       what a command says that no screen has
//	pager: --More--                shown after each 22 lines, until @nopager
//	port: Gi1/0/1 up Gi|1001|…     a port: name, state, and words for the screens
//	door: Gi1/0/1                  the port that tests shut
//	clock: 2026-11-22 23:50:10     what its own clock says at first; only Pass moves it
//	line: 'enter'                  what ends a line; default "\n"
//
// Each file is a command and what comes of it: "-- MODE: COMMAND --", where * is any mode,
// {port} in the command any port, which is then the one that is meant, {tail} how any
// port's name ends, likewise, and {word} any one word. The text is a Go template over the login (.Ports, .Port, .Word, .Clock, .Timers);
// its first lines may be
//
//	@go MODE            another mode from now on
//	@ask PROMPT         asks for the enable password, and goes on only with the right one
//	@confirm QUESTION   asks, and goes on only with "y"
//	@set up, @set down  the port is it at once
//	@stage up, …        the port will be it at @commit, unless @discard comes first
//	@timer [NAME]       a timer is begun, called so or {word}, and what follows is about it:
//	@shuts              it will shut the port
//	@at                 at the time of day {word}, hh:mm
//	@in 1m              after {word} times so long
//	@arm                it runs
//	@disarm [NAME]      the timer of that name, or {word}, is no more
//	@nopager            no more paging in this login
//	@bye                ends the login
//
// Files without a mode hold what a driver is expected to type: "shut", "open", and, where
// the switch has a timer, "arm" and "disarm".
package cliswitch

import (
	"bufio"
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// Port is a port as the screens show it.
type Port struct {
	Name   string
	Up     bool
	Words  []string // what else its line in the file says, cut at "|"
	staged *bool
}

// Word is one of Words, or nothing.
func (p *Port) Word(i int) string {
	if i >= len(p.Words) {
		return ""
	}
	return p.Words[i]
}

// Say is one of two texts, by the port's state.
func (p *Port) Say(up, down string) string {
	if p.Up {
		return up
	}
	return down
}

type scene struct {
	start   string
	user    string
	enable  string
	unknown string
	pager   string
	door    string
	doorAt  int // index of it in ports
	clock   time.Time
	banner  []string
	prompts map[string]string
	ports   []*Port
	screens []screen
	expect  map[string][]string
}

type screen struct {
	mode       string
	command    *regexp.Regexp
	directives [][2]string
	text       *template.Template
}

func parse(data []byte) (*scene, error) {
	archive := txtar.Parse(data)
	s := &scene{user: "airlock", prompts: map[string]string{}, expect: map[string][]string{}}
	lines := bufio.NewScanner(bytes.NewReader(archive.Comment))
	for lines.Scan() {
		if err := s.set(lines.Text()); err != nil {
			return nil, err
		}
	}
	s.doorAt = slices.IndexFunc(s.ports, func(p *Port) bool { return p.Name == s.door })
	if s.doorAt < 0 {
		return nil, fmt.Errorf("door %q is no port", s.door)
	}
	for _, f := range archive.Files {
		mode, command, ok := strings.Cut(f.Name, ": ")
		if !ok {
			s.expect[f.Name] = strings.Split(strings.TrimSpace(string(f.Data)), "\n")
			continue
		}
		one, err := newScreen(mode, command, string(f.Data))
		if err != nil {
			return nil, fmt.Errorf("screen %q: %w", f.Name, err)
		}
		s.screens = append(s.screens, one)
	}
	return s, nil
}

func (s *scene) set(line string) error {
	key, value, ok := strings.Cut(line, ": ")
	if !ok || strings.HasPrefix(line, "#") {
		return nil
	}
	switch key, mode, _ := strings.Cut(key, " "); key {
	case "user":
		s.user = value
	case "start":
		s.start = value
	case "prompt":
		s.prompts[mode] = value
	case "banner":
		s.banner = append(s.banner, value)
	case "enable":
		s.enable = value
	case "unknown":
		s.unknown = value
	case "pager":
		s.pager = value
	case "door":
		s.door = value
	case "clock":
		var err error
		s.clock, err = time.Parse(time.DateTime, value)
		return err
	case "port":
		name, rest, _ := strings.Cut(value, " ")
		state, words, _ := strings.Cut(rest, " ")
		if state != "up" && state != "down" {
			return fmt.Errorf("%q: a port is up or down", line)
		}
		s.ports = append(s.ports, &Port{Name: name, Up: state == "up", Words: strings.Split(words, "|")})
	default:
		return fmt.Errorf("%q: unknown key", line)
	}
	return nil
}

func newScreen(mode, command, text string) (screen, error) {
	pattern := strings.NewReplacer(`\{port\}`, `(?P<port>[^\s"]+)`, `\{tail\}`, `(?P<tail>\d+(?:/\d+)+)`, `\{word\}`, `(?P<word>\S+)`).Replace(regexp.QuoteMeta(command))
	s := screen{mode: mode, command: regexp.MustCompile("^" + pattern + "$")}
	for strings.HasPrefix(text, "@") {
		line, rest, _ := strings.Cut(text, "\n")
		name, argument, _ := strings.Cut(line, " ")
		s.directives = append(s.directives, [2]string{name, argument})
		text = rest
	}
	var err error
	s.text, err = template.New(command).Parse(text)
	return s, err
}

// find is the screen of a command, and the port and the word that it names.
func (s *scene) find(mode, command string) (one screen, port *Port, word string, ok bool) {
	for _, one := range s.screens {
		groups := one.command.FindStringSubmatch(command)
		if groups == nil || one.mode != "*" && one.mode != mode {
			continue
		}
		if at := one.command.SubexpIndex("word"); at >= 0 {
			word = groups[at]
		}
		at, tail := one.command.SubexpIndex("port"), one.command.SubexpIndex("tail")
		if at < 0 && tail < 0 {
			return one, nil, word, true
		}
		for _, p := range s.ports {
			if at >= 0 && p.Name == groups[at] || tail >= 0 && strings.TrimLeft(p.Name, letters) == groups[tail] {
				return one, p, word, true
			}
		}
	}
	return screen{}, nil, "", false
}

const letters = "abcdefghijklmnopqrstuvwxyz"
