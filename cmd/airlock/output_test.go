package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// stuck is a reader that takes nothing until it is let go.
type stuck struct {
	free chan struct{}
	bytes.Buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.free
	return s.Buffer.Write(p)
}

// S14: a log that nobody reads holds up nobody, and says what it lost.
func TestOutletNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{free: make(chan struct{})}
		o := newOutlet(out)
		for i := range 2 * outletLines {
			fmt.Fprintf(o, "line %d\n", i)
		}
		began := time.Now()
		o.flush(logWithin)
		if took := time.Since(began); took != logWithin {
			t.Errorf("a log that nobody reads was waited for for %s", took)
		}
		close(out.free)
		synctest.Wait()
		fmt.Fprintln(o, "the last")
		o.flush(logWithin)
		if text := out.String(); !strings.Contains(text, "line 0\n") || !strings.Contains(text, "lines of the log were lost here") || !strings.Contains(text, "the last\n") {
			t.Errorf("it was written:\n%.200s", text)
		}
		close(o.lines)
	})
}

// Output that cannot be written is a failure, which outranks no door.
func TestOutputThatCannotBeWritten(t *testing.T) {
	full := &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
	gone := &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
	for name, c := range map[string]struct {
		write, err error
		code       int
		says       string
	}{
		"written":              {nil, nil, exitDone, ""},
		"a full disk":          {full, nil, exitFailed, "no space left"},
		"told already":         {full, fmt.Errorf("table: %w", full), exitFailed, "table"},
		"a reader that left":   {gone, nil, exitFailed, "exit status 1"},
		"and so ended it":      {gone, context.Canceled, exitFailed, "exit status 1"},
		"a door is not shut":   {gone, exitStatus(exitNotShut), exitNotShut, ""},
		"a wrong command line": {full, errUsage, exitUsage, "no space left"},
	} {
		t.Run(name, func(t *testing.T) {
			told := 0
			p := &printed{out: refusing{c.write}, failed: func(error) { told++ }}
			fmt.Fprintln(p, "one")
			fmt.Fprintln(p, "two")
			err := p.or(c.err)
			if code := exitCode(err); code != c.code || c.says != "" && !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("exit code %d, and not %d: %v", code, c.code, err)
			}
			if want := c.write != nil; (told == 1) != want {
				t.Errorf("told of it %d times", told)
			}
		})
	}
	if err := (&printed{out: io.Discard}).or(errUsage); !errors.Is(err, errUsage) {
		t.Error(err)
	}
}

type refusing struct{ err error }

func (r refusing) Write(p []byte) (int, error) { return len(p), r.err }
