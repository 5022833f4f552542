package cliswitch

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"airlock/switchctl"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Password is what every account has, unless Accept says otherwise.
const Password = "password"

// Switch is a running switch. Its mischief may be changed at any time.
type Switch struct {
	Address    string
	KnownHosts string // file that pins its key
	User       string
	Door       string
	Expect     map[string][]string // what is to be typed for "shut", "open", "arm" …

	listener net.Listener
	config   *ssh.ServerConfig
	running  sync.WaitGroup

	mu       sync.Mutex
	scene    *scene
	timers   []*Timer
	sent     []string
	mischief Mischief
	password string
	conns    map[net.Conn]bool
	stopping bool
}

// Mischief is what consoles do to those who read them.
type Mischief struct {
	Silent bool   // takes what is typed and answers nothing
	Log    string // a line that is spliced onto every prompt
	Bytes  bool   // sends every byte for itself
	// Early is what a slow login script shows before the shell, which then reads what was
	// typed meanwhile: each text after the first once a line was typed.
	Early  []string
	First  string // a question after the login, before the first prompt; any line answers it
	Refuse string // a command that it does not know any more
	Page   int    // turns pages of so many lines, whatever it was told
}

// Start plays the file until the test ends.
func Start(t testing.TB, file string) *Switch {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	scene, err := parse(data)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Switch{
		Address: listener.Addr().String(), KnownHosts: filepath.Join(t.TempDir(), "known_hosts"),
		User: scene.user, Door: scene.ports[scene.doorAt].Name, Expect: scene.expect,
		listener: listener, scene: scene, password: Password, conns: map[net.Conn]bool{},
	}
	pinned := knownhosts.Line([]string{s.Address}, key.PublicKey()) + "\n"
	if err := os.WriteFile(s.KnownHosts, []byte(pinned), 0o600); err != nil {
		t.Fatal(err)
	}
	s.config = s.accounts(key)
	s.running.Go(s.accept)
	t.Cleanup(s.stop)
	return s
}

// accounts take the password by keyboard-interactive alone, as many switches do.
func (s *Switch) accounts(key ssh.Signer) *ssh.ServerConfig {
	c := &ssh.ServerConfig{
		KeyboardInteractiveCallback: func(c ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			answers, err := ask("", "", []string{"Password: "}, []bool{false})
			if err != nil || len(answers) != 1 || !s.accepts(answers[0]) || c.User() != s.User {
				return nil, errors.New("wrong")
			}
			return nil, nil
		},
	}
	c.AddHostKey(key)
	return c
}

// Accept gives every account another password, and the switch another enable password.
func (s *Switch) Accept(password, enable string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.password, s.scene.enable = password, enable
}

func (s *Switch) enables(password string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return password == s.scene.enable
}

func (s *Switch) accepts(password string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return password == s.password
}

func (s *Switch) stop() {
	s.listener.Close()
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	s.HangUp()
	s.running.Wait()
}

// HangUp ends every login from the switch's side, as an idle timeout does.
func (s *Switch) HangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

// Be sets the mischief from now on.
func (s *Switch) Be(m Mischief) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mischief = m
}

func (s *Switch) now() Mischief {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mischief
}

// Sent returns the lines that were typed since it was last asked, empty ones left out.
func (s *Switch) Sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return sent
}

func (s *Switch) door() *Port { return s.scene.ports[s.scene.doorAt] }

// Admin is the truth about a port.
func (s *Switch) Admin(name string) (switchctl.Admin, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.scene.ports {
		switch {
		case p.Name != name:
		case p.Up:
			return switchctl.AdminUp, nil
		default:
			return switchctl.AdminDown, nil
		}
	}
	return switchctl.AdminUnknown, fmt.Errorf("no port %s", name)
}

// DoorName is what the door is called now.
func (s *Switch) DoorName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.door().Name
}

// RenameDoor gives the door another name.
func (s *Switch) RenameDoor(to string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.door().Name = to
	return nil
}

// Pass lets so much time pass on the switch at once. Timers that were to fire meanwhile
// have shut their ports when it returns.
func (s *Switch) Pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scene.clock = s.scene.clock.Add(d)
	s.timers = slices.DeleteFunc(s.timers, func(t *Timer) bool {
		if t.At.After(s.scene.clock) {
			return false
		}
		t.Port.Up = false
		return true
	})
}

// Timers tells when each timer that runs will shut its port.
func (s *Switch) Timers() map[string]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := map[string]time.Time{}
	for _, t := range s.timers {
		at[t.Port.Name] = t.At
	}
	return at
}

// Now is what the switch's own clock says.
func (s *Switch) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scene.clock
}

func (s *Switch) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[conn] = true
		stopping := s.stopping
		s.mu.Unlock()
		if stopping {
			conn.Close()
			return
		}
		s.running.Go(func() {
			s.serve(conn)
			conn.Close()
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
		})
	}
}

func (s *Switch) serve(conn net.Conn) {
	_, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, asked, err := c.Accept()
		if err != nil {
			return
		}
		if !shell(asked) {
			return
		}
		l := &login{Switch: s, to: channel, mode: s.scene.start, paging: s.scene.pager != ""}
		l.run()
		conn.Close()
	}
}

// shell waits until a shell is asked for, or the client leaves.
func shell(asked <-chan *ssh.Request) bool {
	for r := range asked {
		r.Reply(r.Type == "pty-req" || r.Type == "shell", nil)
		if r.Type == "shell" {
			go ssh.DiscardRequests(asked)
			return true
		}
	}
	return false
}

// login is one user at the console.
type login struct {
	*Switch
	to     ssh.Channel
	mode   string
	paging bool
	port   *Port
	word   string
	timer  *Timer // is being made
	hidden bool   // what is typed is not echoed
	ahead  []string
}

// Ports and Port are for the screens.
func (l *login) Ports() []*Port { return l.scene.ports }

// Port is the one that is meant.
func (l *login) Port() *Port { return l.port }

// Word is the one that a command named.
func (l *login) Word() string { return l.word }

// Clock is what the switch's own clock says.
func (l *login) Clock() time.Time { return l.scene.clock }

// Timers are those that run.
func (l *login) Timers() []*Timer { return l.timers }

func (l *login) run() {
	for _, b := range l.scene.banner {
		l.say(b + "\n")
	}
	if !l.early() {
		return
	}
	if q := l.now().First; q != "" {
		l.say(q)
		if _, err := l.read(); err != nil {
			return
		}
		l.say("\n")
	}
	for {
		l.prompt()
		command, err := l.line()
		if err != nil {
			return
		}
		l.say("\n")
		if command == "" {
			continue
		}
		l.Switch.mu.Lock()
		l.sent = append(l.sent, command)
		l.Switch.mu.Unlock()
		if !l.obey(command) {
			return
		}
	}
}

// early shows what comes before the shell, and reports whether the login goes on.
func (l *login) early() bool {
	for i, text := range l.now().Early {
		if i > 0 {
			line, err := l.read()
			if err != nil {
				return false
			}
			l.say("\n")
			l.ahead = append(l.ahead, line)
		}
		l.say(text)
	}
	return true
}

// line is what is typed at a prompt, or was before there was one.
func (l *login) line() (string, error) {
	if len(l.ahead) == 0 {
		return l.read()
	}
	line := l.ahead[0]
	l.ahead = l.ahead[1:]
	l.say(line)
	return line, nil
}

// Prompt is what the switch shows after the login.
func (s *Switch) Prompt() string {
	return strings.ReplaceAll(s.scene.prompts[s.scene.start], `\n`, "\n")
}

func (l *login) prompt() {
	l.say(strings.ReplaceAll(l.scene.prompts[l.mode], `\n`, "\n"))
	if log := l.now().Log; log != "" {
		l.say(log + "\n")
	}
}

func (l *login) say(text string) {
	m := l.now()
	if m.Silent {
		return
	}
	text = strings.ReplaceAll(text, "\n", "\r\n")
	if !m.Bytes {
		io.WriteString(l.to, text) // an error ends the next read
		return
	}
	for i := range len(text) {
		io.WriteString(l.to, text[i:i+1])
	}
}

// read takes one line, with echo.
func (l *login) read() (string, error) {
	var line []byte
	b := make([]byte, 1)
	for {
		if _, err := l.to.Read(b); err != nil {
			return "", err
		}
		if b[0] == '\n' || b[0] == '\r' {
			return strings.TrimSpace(string(line)), nil
		}
		line = append(line, b[0])
		if !l.hidden {
			l.say(string(b))
		}
	}
}

// obey does a command, and reports whether the login goes on.
func (l *login) obey(command string) bool {
	l.Switch.mu.Lock()
	screen, port, word, known := l.scene.find(l.mode, command)
	l.Switch.mu.Unlock()
	if !known || command == l.now().Refuse {
		l.say(l.scene.unknown + "\n")
		return true
	}
	if port != nil {
		l.port = port
	}
	l.word = word
	for _, d := range screen.directives {
		if done, stay := l.direct(d[0], d[1]); done {
			return stay
		}
	}
	var text bytes.Buffer
	l.Switch.mu.Lock()
	err := screen.text.Execute(&text, l)
	l.Switch.mu.Unlock()
	if err != nil {
		l.say("the screen is broken: " + err.Error() + "\n")
		return true
	}
	return l.page(text.String()) == nil
}

// direct follows one directive; done says that the command ends here.
func (l *login) direct(name, argument string) (done, stay bool) {
	if name == "@ask" {
		l.say(argument + " ")
		l.hidden = true
		answer, err := l.read()
		l.hidden = false
		l.say("\n")
		return err != nil || !l.enables(answer), err == nil
	}
	if name == "@confirm" {
		l.say(argument + " ")
		answer, err := l.read()
		l.say("\n")
		return err != nil || answer != "y", err == nil
	}
	l.Switch.mu.Lock()
	defer l.Switch.mu.Unlock()
	switch up := argument == "up"; name {
	case "@go":
		l.mode = argument
	case "@set":
		l.port.Up = up
	case "@stage":
		l.port.staged = &up
	case "@commit", "@discard":
		for _, p := range l.scene.ports {
			if p.staged != nil && name == "@commit" {
				p.Up = *p.staged
			}
			p.staged = nil
		}
	case "@nopager":
		l.paging = false
	case "@bye":
		return true, false
	default:
		l.time(name, argument)
	}
	return false, true
}

// page shows text as a terminal of 22 lines does, and wipes the pager out again.
func (l *login) page(text string) error {
	lines, paging := 22, l.paging
	if m := l.now(); m.Page > 0 {
		lines, paging = m.Page, true
	}
	for n := 0; text != ""; n++ {
		line, rest, _ := strings.Cut(text, "\n")
		if paging && n > 0 && n%lines == 0 {
			l.say(l.scene.pager)
			key := make([]byte, 1)
			if _, err := l.to.Read(key); err != nil {
				return err
			}
			if key[0] == 'a' {
				paging = false // all that is left
			}
			l.say("\r" + strings.Repeat(" ", len(l.scene.pager)) + "\r")
		}
		l.say(line + "\n")
		text = rest
	}
	return nil
}
