package collectors

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

// A window shuts the departments' door for as long as it takes; the connection dies of
// it. The gathering goes on where it was, and no try is spent on the shut door.
func TestStackCarriesOnAfterAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gate Gate
		var meter Meter
		data := randomBytes(8 * Block)
		first, second := newMemory(), newMemory()
		for _, m := range []*memory{first, second} {
			m.tree["f"] = &fstest.MapFile{Data: data}
			m.tree["f.tmp"] = &fstest.MapFile{}
			m.delay = time.Second
		}
		x := &exchange{next: []*memory{first, second}, err: errAway}
		src, err := Stack{
			Meter:  &meter,
			Filter: Filter{Exclude: []string{"*.tmp"}},
			Limits: Limits{Bandwidth: 1 << 20, Concurrency: 2},
			Redial: Redial{Tries: 1},
			Gate:   &gate,
		}.Open(t.Context(), x.dial)
		if err != nil {
			t.Fatal(err)
		}
		r, err := ReadAhead(t.Context(), src, "f", 4)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		done := make(chan error)
		go func() {
			var err error
			got, err = io.ReadAll(r)
			done <- err
		}()
		time.Sleep(3 * time.Second)
		if err := gate.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		first.lose()
		before := first.count("")
		time.Sleep(45 * time.Minute)
		if first.count("") != before || len(x.dialled) != 1 {
			t.Errorf("while the door was shut, %d calls and %d diallings", first.count("")-before, len(x.dialled)-1)
		}
		gate.Resume()
		if err := <-done; err != nil || string(got) != string(data) {
			t.Errorf("read %d bytes, %v, or other ones", len(got), err)
		}
		if meter.Bytes() != int64(len(data)) || meter.Files() != 1 {
			t.Errorf("metered %d bytes, %d files", meter.Bytes(), meter.Files())
		}
		if files, err := walk(t.Context(), src, "."); err != nil || len(files) != 1 {
			t.Errorf("%q, %v", files, err)
		}
		if err := errors.Join(r.Close(), src.Close()); err != nil {
			t.Error(err)
		}
	})
}

func TestStackClosesWhatItCannotUse(t *testing.T) {
	for name, stack := range map[string]Stack{
		"pattern": {Filter: Filter{Include: []string{"["}}},
		"marker":  {Ready: Marker{Name: "DONE"}},
	} {
		m := newMemory()
		if _, err := stack.Open(t.Context(), (&exchange{next: []*memory{m}}).dial); err == nil || !m.closed {
			t.Errorf("%s: %v, closed: %v", name, err, m.closed)
		}
	}
}

func TestDialWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := Dial(func(ctx context.Context) (Source, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		})
		began := time.Now()
		if _, err := hangs.Within(time.Second)(t.Context()); !errors.Is(err, ErrGone) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestAwait(t *testing.T) {
	made := time.Date(2026, 11, 20, 22, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		marker   Marker
		appears  time.Duration // negative: is there
		fail     error
		want     error
		wantTook time.Duration
		text     string
	}{
		"none asked for":  {marker: Marker{}, appears: time.Hour},
		"there":           {marker: Marker{Name: "DONE", Wait: time.Hour}, appears: -1},
		"there, no wait":  {marker: Marker{Name: "DONE"}, appears: -1},
		"appears":         {marker: Marker{Name: "DONE", Wait: time.Hour, Poll: time.Minute}, appears: 150 * time.Second, wantTook: 3 * time.Minute},
		"too late":        {marker: Marker{Name: "DONE", Wait: 90 * time.Second, Poll: time.Minute}, appears: time.Hour, want: ErrNotReady, wantTook: 90 * time.Second, text: "DONE is not there after 1m30s"},
		"new enough":      {marker: Marker{Name: "DONE", After: made.Add(-time.Second)}, appears: -1},
		"of last night":   {marker: Marker{Name: "DONE", Wait: time.Minute, After: made}, appears: -1, want: ErrNotReady, wantTook: time.Minute, text: "DONE is from 2026-11-20T22:00:00Z still"},
		"connection lost": {marker: Marker{Name: "DONE", Wait: time.Hour}, appears: -1, fail: ErrGone, want: ErrGone},
		"not allowed":     {marker: Marker{Name: "DONE", Wait: time.Hour}, appears: -1, fail: fs.ErrPermission, want: fs.ErrPermission},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				began := time.Now()
				m.fail = func(op, name string) error {
					if test.fail != nil {
						return test.fail
					}
					if time.Since(began) >= test.appears {
						m.tree["DONE"] = &fstest.MapFile{ModTime: made}
					}
					return nil
				}
				err := Await(t.Context(), m, test.marker)
				if !errors.Is(err, test.want) || time.Since(began) != test.wantTook {
					t.Errorf("%v after %v, want %v after %v", err, time.Since(began), test.want, test.wantTook)
				}
				if err != nil && !strings.Contains(err.Error(), test.text) {
					t.Errorf("%q does not say %q", err, test.text)
				}
			})
		})
	}
}

func TestAwaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := Await(ctx, newMemory(), Marker{Name: "DONE", Wait: time.Hour}); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrNotReady) {
			t.Error(err)
		}
	})
}
