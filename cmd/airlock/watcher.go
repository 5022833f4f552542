package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"airlock/guard"
	"airlock/ledger"
	"airlock/orchestrator/doors"
	"airlock/policies"

	"github.com/spf13/cobra"
)

// watching is what a watcher is told by its standard input, on one line. Then comes the
// line watchOver, or the end of the input, which says that the executor is gone. What it
// has to say itself goes to its standard output, a line for each.
type watching struct {
	File   string `json:"file"`
	Policy []byte `json:"policy"` // as the executor read it
	Door   string `json:"door"`
	Window string `json:"window"`
}

const (
	watchOver  = "shut"
	watchReady = "ready"
	// watchWithin is how long a watcher has to read its door. With the doors shut, nothing
	// but the window waits for it.
	watchWithin = 30 * time.Second
)

// watcher starts a process that watches over one opening of a door (S14): this program
// once more, in a session of its own, so that neither the end of this process nor that of
// its terminal reaches it. Secrets in the environment reach it as they reached this one.
func (a *app) watcher(ctx context.Context, p policies.Policy, door, window string) (doors.Watcher, error) {
	c := exec.Command(ownProgram(), "watcher")
	c.Args[0] = "airlock"
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if log, err := os.OpenFile(watcherLog(p), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err == nil {
		c.Stderr = log // without one, the ledger tells
		defer log.Close()
	}
	in, err1 := c.StdinPipe()
	out, err2 := c.StdoutPipe()
	if err := errors.Join(err1, err2, c.Start()); err != nil {
		return nil, fmt.Errorf("start a watcher: %w", err)
	}
	letKill()
	w := &watch{in: in, ended: make(chan struct{})}
	said := make(chan string, 16)
	go w.listen(c, out, said)
	line, err := json.Marshal(watching{a.read.Name, a.read.text, door, window})
	if err == nil {
		_, err = in.Write(append(line, '\n'))
	}
	if err == nil {
		err = w.ready(ctx, said)
	}
	if err != nil {
		return nil, errors.Join(err, w.Dismiss())
	}
	return w, nil
}

func watcherLog(p policies.Policy) string {
	return filepath.Join(filepath.Dir(p.Guard.Ledger), "watcher.log")
}

// watch is a watcher as its executor has it.
type watch struct {
	in    io.WriteCloser
	ended chan struct{} // closed when the process has ended
	once  sync.Once
}

// listen passes on what the watcher says, to its end.
func (w *watch) listen(c *exec.Cmd, out io.Reader, said chan<- string) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		select {
		case said <- lines.Text():
		default: // nobody listens any more
		}
	}
	_ = c.Wait() // that it has ended says it all
	close(w.ended)
}

// ready waits until the watcher has read the door.
func (w *watch) ready(ctx context.Context, said <-chan string) error {
	late := time.NewTimer(watchWithin)
	defer late.Stop()
	why := "it said nothing"
	for {
		select {
		case line := <-said:
			if line == watchReady {
				return nil
			}
			why = line
		case <-w.ended:
			return fmt.Errorf("the watcher ended: %s", why)
		case <-late.C:
			return fmt.Errorf("the watcher was not ready within %s: %s", watchWithin, why)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Dismiss tells the watcher that the door is proven shut.
func (w *watch) Dismiss() (err error) {
	w.once.Do(func() {
		_, err = io.WriteString(w.in, watchOver+"\n")
		if err = errors.Join(err, w.in.Close()); errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
			err = nil // it has ended, which closed the pipe; of that others tell
		}
	})
	return err
}

// Ended is closed when the watcher has ended.
func (w *watch) Ended() <-chan struct{} { return w.ended }

func (a *app) watcherCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "watcher",
		Short:  "Watch over one opening of a door, for the command that starts this",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(c *cobra.Command, _ []string) error {
			// It ends when the door is shut, and by nothing else.
			signal.Ignore(append(forAll(), forCommands()...)...)
			spare()
			in := bufio.NewReader(os.Stdin)
			line, err := in.ReadBytes('\n')
			var o watching
			if err == nil {
				err = json.Unmarshal(line, &o)
			}
			if err != nil {
				return fmt.Errorf("%w: a watcher is started by airlock itself: %w", errUsage, err)
			}
			p, err := policies.Parse(o.File, o.Policy)
			if err != nil {
				return err
			}
			return a.watchOver(c.Context(), *p, o, in)
		},
	}
}

// watchOver watches for as long as it takes.
func (a *app) watchOver(ctx context.Context, p policies.Policy, o watching, in *bufio.Reader) error {
	ctx, over := context.WithCancel(ctx)
	defer over()
	gone := make(chan struct{})
	go func() {
		if line, _ := in.ReadString('\n'); strings.TrimSpace(line) == watchOver {
			over()
			return
		}
		close(gone)
	}()
	log := a.logger()
	d := &diary{policy: p, log: log, entries: make(chan ledger.Entry, 256), written: make(chan struct{})}
	go d.write(context.WithoutCancel(ctx))
	w := guard.Watcher{
		Config: guard.Config{Policy: p, Switch: readSwitch, Journal: d, Log: log, Version: a.version},
		Door:   o.Door, Window: o.Window, Gone: gone,
		Ready:   func() { fmt.Fprintln(os.Stdout, watchReady) },
		Failing: func(err error) { fmt.Fprintln(os.Stdout, oneLine(err.Error())) },
	}
	err := w.Run(ctx)
	d.close()
	return err
}

// diary is the guard's ledger, opened when there is something to write; no door waits for
// it (S2).
type diary struct {
	policy  policies.Policy
	log     *slog.Logger
	entries chan ledger.Entry
	written chan struct{}
}

// Note never waits. What finds no room stands in the log alone.
func (d *diary) Note(e ledger.Entry) {
	select {
	case d.entries <- e:
	default:
	}
}

// diaryWithin bounds how long a watcher that is done waits for the ledger.
const diaryWithin = 20 * time.Second

func (d *diary) close() {
	close(d.entries)
	select {
	case <-d.written:
	case <-time.After(diaryWithin):
		d.log.Error("the guard's ledger does not take what the watcher did")
	}
}

func (d *diary) write(ctx context.Context) {
	defer close(d.written)
	var l *ledger.Ledger
	for e := range d.entries {
		if l == nil {
			var err error
			if l, _, err = openGuardLedger(ctx, d.policy, d.log); err != nil {
				d.log.Error("ALARM the guard's ledger cannot be opened; only this log tells what the watcher does", "error", err)
				continue
			}
		}
		l.Note(e)
	}
	if l == nil {
		return
	}
	_, err := l.Checkpoint(ctx)
	if err = errors.Join(err, l.Close()); err != nil {
		d.log.Error("the end of the guard's ledger", "error", err)
	}
}
