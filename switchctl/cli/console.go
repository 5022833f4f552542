package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"airlock/sshconn"
	"airlock/switchctl"

	"github.com/scrapli/scrapligo/driver/network"
	"github.com/scrapli/scrapligo/driver/opoptions"
	"github.com/scrapli/scrapligo/driver/options"
	"github.com/scrapli/scrapligo/transport"
	"github.com/scrapli/scrapligo/util"
	"golang.org/x/crypto/ssh"
)

// The terminal is wide, so that no command's echo is wrapped.
const (
	terminalWidth  = 511
	terminalHeight = 255
)

// console is one login. One call at a time uses it; abort may come from anywhere.
type console struct {
	platform *Platform
	driver   *network.Driver
	line     *line
	changing bool   // a command that may change something was sent
	hostKey  string // the fingerprint of the switch's
	prompt   string // the first that was certain to be one
}

// open logs in and goes to the platform's level. ctx bounds that.
func open(ctx context.Context, c Config, p *Platform) (*console, error) {
	conf, hostKey := c.ssh(p.LoginSuffix), ""
	conf.Met = func(key ssh.PublicKey) { hostKey = ssh.FingerprintSHA256(key) }
	client, err := sshconn.Dial(ctx, conf)
	if err != nil {
		return nil, trust(err)
	}
	stop := context.AfterFunc(ctx, func() { client.Close() }) // whoever waits is told so by an error
	defer stop()
	l, err := newLine(ctx, client, c, p)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("switch %s: start a command line: %w", c.Address, err), ignoreClosed(client.Close()))
	}
	driver, err := newDriver(c, p, l)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("switch %s: platform %s: %w", c.Address, p.Platform, err), l.Close())
	}
	console := &console{platform: p, driver: driver, line: l, hostKey: hostKey}
	if err := console.enter(ctx, c.Timeout); err != nil {
		return nil, errors.Join(console.why(err), console.close())
	}
	return console, nil
}

func newDriver(c Config, p *Platform, l *line) (*network.Driver, error) {
	levels := network.PrivilegeLevels{} // scrapligo writes into them
	for name, level := range p.Levels {
		copied := *level
		levels[name] = &copied
	}
	return network.NewDriver(c.Address,
		options.WithCustomTransport(l),
		options.WithPrivilegeLevels(levels),
		options.WithDefaultDesiredPriv(p.Level),
		options.WithAuthSecondary(c.Enable),
		options.WithReturnChar(p.Return),
		options.WithTimeoutOps(c.Timeout))
}

// enter waits for the first prompt, and until it is certain to be one, goes to the
// platform's level, and quiets the console.
func (c *console) enter(ctx context.Context, timeout time.Duration) error {
	if err := c.driver.Open(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if _, err := c.driver.Channel.ReadUntilPrompt(ctx); err != nil {
		return fmt.Errorf("no prompt of platform %s came: %w", c.platform.Platform, err)
	}
	if err := c.settle(ctx); err != nil {
		return fmt.Errorf("an empty line was answered by no prompt of platform %s: %w", c.platform.Platform, err)
	}
	if err := c.driver.AcquirePriv(c.platform.Level); err != nil {
		return fmt.Errorf("reach mode %s: %w", c.platform.Level, err)
	}
	for _, command := range c.platform.Prepare {
		if _, err := c.send(command); err != nil {
			return err
		}
	}
	return nil
}

// send types one command and returns what came of it. Only a broken session is an error.
func (c *console) send(command string) (string, error) {
	output, err := c.driver.Channel.SendInput(command, opoptions.WithExactMatchInput())
	if err != nil {
		return "", fmt.Errorf("%q: %w", command, c.why(err))
	}
	return string(output), nil
}

// ask sends a command that reads.
func (c *console) ask(command string) (string, error) {
	output, err := c.send(command)
	if err != nil {
		return "", err
	}
	if err := c.refused(command, output); err != nil {
		return "", &stillUsable{err}
	}
	return output, nil
}

// order sends commands that change something. The first that is refused is the last
// that is sent; then what was begun is left.
func (c *console) order(commands []string) error {
	c.changing = true
	c.line.record.changes()
	for _, command := range commands {
		output, err := c.send(command)
		if err != nil {
			return err
		}
		if err := c.refused(command, output); err != nil {
			if leaving := c.abandon(); leaving != nil {
				return errors.Join(err, leaving)
			}
			return &stillUsable{err}
		}
	}
	c.changing = false
	return nil
}

func (c *console) abandon() error {
	for _, command := range c.platform.Abandon {
		if _, err := c.send(command); err != nil {
			return err
		}
	}
	if err := c.driver.AcquirePriv(c.platform.Level); err != nil {
		return fmt.Errorf("go back to mode %s: %w", c.platform.Level, c.why(err))
	}
	c.changing = false
	return nil
}

func (c *console) refused(command, output string) error {
	if words := c.platform.refusal(output); words != "" {
		return fmt.Errorf("%w %q: it said %q; give the account the right to it, or look whether platform %s is the right one",
			switchctl.ErrRefused, command, words, c.platform.Platform)
	}
	return nil
}

// why is what really broke the session, where the line knows it.
func (c *console) why(err error) error {
	if fault := c.line.fault.Load(); fault != nil {
		return *fault
	}
	return err
}

// close ends the login without asking the switch.
func (c *console) close() error {
	c.line.Close() // ends scrapligo's reader, so that nothing is waited for; its error comes again
	return c.driver.Channel.Close()
}

// leaveWithin is how long a switch may take to take in the good-bye.
const leaveWithin = 2 * time.Second

// leave says good-bye, so that the switch need not keep the login until it times out.
func (c *console) leave() error {
	late := time.AfterFunc(leaveWithin, func() { c.line.Close() }) // close returns its error again
	defer late.Stop()
	if c.platform.Leave != "" && c.line.IsAlive() {
		if err := c.line.Write([]byte(c.platform.Leave + c.platform.Return)); err != nil && c.line.IsAlive() {
			return errors.Join(err, c.close())
		}
	}
	return c.close()
}

func ignoreClosed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// line is the terminal on an SSH connection, as scrapligo's transport. It answers the
// platform's dialogs itself.
type line struct {
	client  *ssh.Client
	in      io.WriteCloser
	out     io.Reader
	writing sync.Mutex
	screen  screen
	dialogs []Dialog
	settled atomic.Bool    // what comes from now on was asked for
	enable  *regexp.Regexp // the question for the enable password
	asked   int            // times that it was seen,
	askedAt int            // the last time in this line of the screen
	secret  bool           // there is an answer to it
	fault   atomic.Pointer[error]
	ended   atomic.Bool
	record  *recording
	close   func() error
}

var _ transport.Implementation = (*line)(nil)

func newLine(ctx context.Context, client *ssh.Client, c Config, p *Platform) (*line, error) {
	l := &line{client: client, screen: screen{noise: p.Noise}, dialogs: p.Dialogs, secret: c.Enable != ""}
	for _, level := range p.Levels {
		if level.EscalateAuth && level.EscalatePrompt != "" {
			l.enable = regexp.MustCompile(level.EscalatePrompt)
		}
	}
	if _, err := sshconn.Session(ctx, client, l.begin); err != nil {
		return nil, err
	}
	l.record = record(c)
	l.close = sync.OnceValue(func() error {
		l.ended.Store(true)
		return errors.Join(ignoreClosed(client.Close()), l.record.close())
	})
	return l, nil
}

// begin starts a shell on a terminal.
func (l *line) begin(session *ssh.Session) error {
	var err1, err2 error
	l.in, err1 = session.StdinPipe()
	l.out, err2 = session.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	modes := ssh.TerminalModes{ssh.ECHO: 1, ssh.TTY_OP_ISPEED: 115200, ssh.TTY_OP_OSPEED: 115200}
	if err := session.RequestPty("vt100", terminalHeight, terminalWidth, modes); err != nil {
		return err
	}
	return session.Shell()
}

// Open has nothing to do: the connection stands.
func (l *line) Open(*transport.Args) error { return nil }

// Close ends the connection; whoever reads or writes is told so. It may be called again.
func (l *line) Close() error { return l.close() }

// IsAlive reports whether the switch has not ended the login.
func (l *line) IsAlive() bool { return !l.ended.Load() }

// Read returns text that is for scrapligo to see. Every error is io.EOF, the one that
// scrapligo takes for the end; fault holds the reason.
func (l *line) Read(n int) ([]byte, error) {
	chunk := make([]byte, n)
	for {
		got, err := l.out.Read(chunk)
		if err != nil {
			l.ended.Store(true)
			return nil, io.EOF
		}
		l.record.output(chunk[:got])
		text, err := l.dialog(l.screen.feed(chunk[:got]))
		if err != nil {
			l.fault.CompareAndSwap(nil, &err)
			l.ended.Store(true)
			return nil, io.EOF
		}
		if len(text) > 0 {
			return text, nil
		}
	}
}

// dialog answers what the switch asks, and takes the question out of text.
func (l *line) dialog(text []byte) ([]byte, error) {
	for _, d := range l.dialogs {
		switch {
		case !l.screen.asks(d):
			continue
		case d.Fail != "":
			return nil, fmt.Errorf("%w: %s", switchctl.ErrAuth, d.Fail)
		}
		return l.screen.answered(d, text), l.Write([]byte(d.Answer))
	}
	if l.settled.Load() && l.enable != nil && l.enable.Match(l.screen.line) && l.askedAt != l.screen.lines {
		l.asked++
		l.askedAt = l.screen.lines
		switch {
		case !l.secret:
			return nil, fmt.Errorf("%w: it asks for an enable password; write it as enable:, or give the account the right to configure without", switchctl.ErrAuth)
		case l.asked > 1:
			return nil, fmt.Errorf("%w: the enable password is wrong", switchctl.ErrAuth)
		}
	}
	return text, nil
}

// Write types. What is typed where no echo is to be seen is recorded without its text.
func (l *line) Write(b []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.record.input(b)
	if _, err := l.in.Write(b); err != nil {
		return fmt.Errorf("%w: %w", util.ErrConnectionError, err)
	}
	return nil
}
