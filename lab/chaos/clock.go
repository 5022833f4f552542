//go:build linux

package chaos

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

//go:embed clock/clock.c
var clockSource []byte

// clock is the wall clock of the programs that run with its environment; this
// process's own goes on as ever.
type clock struct {
	library, file string

	mu   sync.Mutex
	sets []setting // oldest first
}

// setting is by how much the clock was ahead from some moment on.
type setting struct {
	since time.Time
	ahead time.Duration
}

// newClock compiles what sets a clock into dir, and begins with the true time.
func newClock(dir string) (*clock, error) {
	c := &clock{library: filepath.Join(dir, "clock.so"), file: filepath.Join(dir, "clock"), sets: []setting{{since: time.Now()}}}
	source := filepath.Join(dir, "clock.c")
	if err := os.WriteFile(source, clockSource, 0o600); err != nil {
		return nil, err
	}
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-O2", "-fno-stack-protector", "-o", c.library, source).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile the clock: %w: %s", err, out)
	}
	return c, os.WriteFile(c.file, make([]byte, 8), 0o600)
}

// environment is what a program that shall have the clock is started with.
func (c *clock) environment() []string {
	return []string{"LD_PRELOAD=" + c.library, "CHAOS_CLOCK=" + c.file}
}

// set steps the clock; ahead is in whole seconds.
func (c *clock) set(ahead time.Duration) (err error) {
	f, err := os.OpenFile(c.file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var seconds [8]byte
	binary.NativeEndian.PutUint64(seconds[:], uint64(int64(ahead/time.Second)))
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := f.WriteAt(seconds[:], 0); err != nil { // at one stroke: it is mapped, and aligned
		return err
	}
	c.sets = append(c.sets, setting{time.Now(), ahead})
	return nil
}

// truly is when it really was a time that the clock showed. Steps are so much larger
// than the time between them that only one answer fits.
func (c *clock) truly(shown time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	const slack = time.Second // for a time that was read just before a step, and written after
	for i, s := range c.sets {
		at := shown.Add(-s.ahead)
		until := time.Now().Add(time.Minute)
		if i+1 < len(c.sets) {
			until = c.sets[i+1].since
		}
		if !at.Before(s.since.Add(-slack)) && !at.After(until.Add(slack)) {
			return at
		}
	}
	return shown
}
