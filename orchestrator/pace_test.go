package orchestrator

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airlock/collectors"
)

// mute is a source that never answers.
type mute struct{ collectors.Source }

func (mute) Stat(ctx context.Context, _ string) (fs.FileInfo, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// A source that gives nothing keeps nobody else waiting, and has failed after its time.
func TestStalledSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := make(chan struct{}, 1)
		slots <- struct{}{}
		w := &oversight{stalled: 10 * time.Minute, turn: &turn{slots: slots}, told: func() string { return "" }, alarm: func(string) {}}
		ctx, end := context.WithCancelCause(t.Context())
		defer end(nil)
		go w.watch(ctx, end)
		time.Sleep(time.Hour) // nothing was asked of it
		if ctx.Err() != nil || len(slots) != 0 {
			t.Fatalf("it was not asked: %v; after an hour its turn is another's: %v", context.Cause(ctx), len(slots) == 0)
		}
		began := time.Now()
		_, err := w.pace.Wrap(mute{}).Stat(ctx, "x")
		if took := time.Since(began); !errors.Is(err, collectors.ErrStalled) || took < 10*time.Minute || took > 11*time.Minute {
			t.Errorf("ended after %v: %v", took, err)
		}
	})
}

func TestGatheringWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := make(chan struct{}, 1)
		slots <- struct{}{}
		var alarms []string
		w := &oversight{
			stalled: time.Minute, last: time.Hour, turn: &turn{slots: slots}, told: func() string { return "7 files" },
			alarm: func(why string) { alarms = append(alarms, why) },
		}
		ctx, end := context.WithCancelCause(t.Context())
		ended := make(chan struct{})
		go func() { w.watch(ctx, end); close(ended) }()
		time.Sleep(3*time.Hour - time.Minute)
		if len(slots) != 1 {
			t.Error("its turn is another's before it took longer than it does")
		}
		time.Sleep(10 * time.Hour)
		end(nil)
		<-ended
		if len(slots) != 0 || len(alarms) != 1 || !strings.Contains(alarms[0], "7 files") {
			t.Errorf("turn given back: %v; alarms %q", len(slots) == 0, alarms)
		}
	})
}

// A source that was never gathered keeps its turn for seconds, and then yields to those that
// have one.
func TestUnknownSourceYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := make(chan struct{}, 2)
		slots <- struct{}{}
		slots <- struct{}{} // another's
		mine := &turn{slots: slots, early: make(chan struct{}, 1)}
		w := &oversight{pace: collectors.Pace{Yields: mine.yields}, stalled: time.Hour, turn: mine, told: func() string { return "" }, alarm: func(string) {}}
		ctx, end := context.WithCancelCause(t.Context())
		defer end(nil)
		go w.watch(ctx, end)
		src := w.pace.Wrap(busy{})
		call := func() time.Duration {
			began := time.Now()
			if _, err := src.Stat(ctx, "x"); err != nil {
				t.Fatal(err)
			}
			return time.Since(began)
		}
		if took := call(); took != busyFor {
			t.Errorf("with its turn a call took %v", took)
		}
		time.Sleep(10 * time.Second)
		second := &turn{slots: slots, early: mine.early}
		if second.giveEarly(); second.given.Load() {
			t.Error("more gave their turn early than may")
		}
		if took := call(); len(slots) != 1 || took < 9*busyFor {
			t.Errorf("its turn is another's: %v; a call beside one that has a turn took %v", len(slots) == 1, took)
		}
		<-slots
		if took := call(); took != busyFor {
			t.Errorf("with nobody to yield to a call took %v", took)
		}
	})
}

const busyFor = 20 * time.Millisecond

// busy is a source that answers.
type busy struct{ collectors.Source }

func (busy) Stat(context.Context, string) (fs.FileInfo, error) {
	time.Sleep(busyFor)
	return nil, nil
}
