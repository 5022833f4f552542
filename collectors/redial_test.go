package collectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

// exchange dials the memories one after the other; nil is a server that is away.
type exchange struct {
	mu      sync.Mutex
	next    []*memory
	dialled []time.Time
	err     error // once next is empty, or for nil
}

func (x *exchange) dial(context.Context) (Source, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.dialled = append(x.dialled, time.Now())
	var m *memory
	if len(x.next) > 0 {
		m, x.next = x.next[0], x.next[1:]
	}
	if m == nil {
		return nil, x.err
	}
	return m, nil
}

var errAway = fmt.Errorf("%w: connection refused", ErrGone)

func redialling(t *testing.T, r Redial, x *exchange) Source {
	t.Helper()
	src, err := r.Open(t.Context(), x.dial)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestRedialIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newMemory("a", "b"), newMemory("a", "b")
		x := &exchange{next: []*memory{first, nil, nil, second}, err: errAway}
		src := redialling(t, Redial{Pause: time.Second}, x)
		f, err := src.Open(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		first.delay = time.Minute // some calls are under way when the connection is lost
		time.AfterFunc(time.Second, first.lose)
		began := time.Now()
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() {
				p := make([]byte, 13)
				if n, err := f.ReadAt(p, 0); string(p[:n]) != "contents of a" {
					t.Errorf("ReadAt = %q, %v", p[:n], err)
				}
			})
			callers.Go(func() {
				if list, err := src.ReadDir(t.Context(), "."); err != nil || len(list) != 2 {
					t.Errorf("ReadDir = %v, %v", list, err)
				}
			})
		}
		callers.Wait()
		if len(x.dialled) != 4 {
			t.Errorf("dialled %d times, want 4: one connection, two failures, one more connection", len(x.dialled))
		}
		if took := time.Since(began); took != time.Minute+3*time.Second {
			t.Errorf("took %v, want the loss and pauses of 1 and 2 s", took)
		}
		if second.count("open") != 1 {
			t.Errorf("the file was opened %d times again", second.count("open"))
		}
		if !first.closed {
			t.Error("the lost connection was not closed")
		}
		if err := errors.Join(f.Close(), src.Close()); err != nil {
			t.Error(err)
		}
		if second.open != 0 || !second.closed {
			t.Error("the second connection holds on")
		}
	})
}

// A call that is broken off because another one found the connection lost, and had it
// closed, is repeated like that other one.
func TestRedialRepeatsWhatItBrokeOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newMemory("a"), newMemory("a")
		first.fail = func(op, _ string) error {
			if op == "stat" {
				return ErrGone
			}
			return nil
		}
		src := redialling(t, Redial{}, &exchange{next: []*memory{first, second}})
		first.delay = time.Minute
		time.AfterFunc(time.Second, func() {
			if _, err := src.ReadDir(t.Context(), "."); err != nil { // sees fs.ErrClosed below
				t.Error(err)
			}
		})
		if _, err := src.Stat(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if first.count("list") != 1 || second.count("list") != 1 {
			t.Errorf("listed %d times, then %d times, want once each", first.count("list"), second.count("list"))
		}
	})
}

func TestRedialGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newMemory("a")
		x := &exchange{next: []*memory{first}, err: errAway}
		src := redialling(t, Redial{Tries: 5, Pause: time.Second, MaxPause: 3 * time.Second}, x)
		first.lose()
		began := time.Now()
		_, err := src.Stat(t.Context(), "a")
		if !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "5 tries") || time.Since(began) != (1+2+3+3)*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		began = time.Now()
		if _, err := src.Open(t.Context(), "a"); !errors.Is(err, ErrGone) || time.Since(began) != 0 || len(x.dialled) != 6 {
			t.Errorf("after giving up: %v after %v, dialled %d times", err, time.Since(began), len(x.dialled))
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Servers lock accounts for trying again.
func TestRedialDoesNotRepeatRefusedCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newMemory("a")
		x := &exchange{next: []*memory{first}, err: ErrAuth}
		src := redialling(t, Redial{}, x)
		first.lose()
		for range 3 {
			if _, err := src.Stat(t.Context(), "a"); !errors.Is(err, ErrAuth) {
				t.Error(err)
			}
		}
		if len(x.dialled) != 2 {
			t.Errorf("dialled %d times", len(x.dialled))
		}
	})
}

// A file whose reading ends every connection must not be read for ever.
func TestRedialBoundsRepetitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &exchange{err: errAway}
		for range 100 {
			m := newMemory("poison", "good")
			m.fail = func(_, name string) error {
				if name == "poison" {
					return ErrGone
				}
				return nil
			}
			x.next = append(x.next, m)
		}
		src := redialling(t, Redial{Tries: 3}, x)
		if _, err := src.Stat(t.Context(), "poison"); !errors.Is(err, ErrGone) {
			t.Error(err)
		}
		if len(x.dialled) != 4 {
			t.Errorf("dialled %d times", len(x.dialled))
		}
		if _, err := src.Stat(t.Context(), "good"); err != nil {
			t.Errorf("the source did not outlive the file: %v", err)
		}
	})
}

func TestRedialFileOnlyIfUnchanged(t *testing.T) {
	at := time.Unix(1e9, 0)
	for name, test := range map[string]struct {
		after *fstest.MapFile
		want  error // nil: carried on
	}{
		"same":    {&fstest.MapFile{Data: []byte("12345"), ModTime: at}, nil},
		"size":    {&fstest.MapFile{Data: []byte("123456"), ModTime: at}, errAny},
		"mtime":   {&fstest.MapFile{Data: []byte("12345"), ModTime: at.Add(time.Second)}, errAny},
		"removed": {nil, fs.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := newMemory(), newMemory("other")
			first.tree["f"] = &fstest.MapFile{Data: []byte("12345"), ModTime: at}
			if test.after != nil {
				second.tree["f"] = test.after
			}
			src := redialling(t, Redial{}, &exchange{next: []*memory{first, second}})
			f, err := src.Open(t.Context(), "f")
			if err != nil {
				t.Fatal(err)
			}
			first.lose()
			p := make([]byte, 5)
			n, err := f.ReadAt(p, 0)
			switch {
			case test.want == nil && (n != 5 || err != nil && err != io.EOF):
				t.Errorf("ReadAt = %d, %v", n, err)
			case test.want != nil && (err == nil || errors.Is(err, ErrGone) || test.want != errAny && !errors.Is(err, test.want)):
				t.Errorf("ReadAt: %v, want %v", err, test.want)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			if second.open != 0 {
				t.Errorf("%d files left open", second.open)
			}
			if _, err := src.Stat(t.Context(), "other"); err != nil {
				t.Errorf("another file: %v", err)
			}
		})
	}
}

var errAny = errors.New("any")

func TestRedialCloseEndsDialling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newMemory("a")
		src := redialling(t, Redial{Tries: 1000, Pause: time.Hour}, &exchange{next: []*memory{first}, err: errAway})
		first.lose()
		ended := make(chan error)
		go func() {
			_, err := src.Stat(t.Context(), "a")
			ended <- err
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := src.Stat(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller with a deadline: %v", err)
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, fs.ErrClosed) {
			t.Errorf("a caller that waited: %v", err)
		}
		if err := src.Close(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
	})
}
