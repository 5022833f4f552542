package orchestrator

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"airlock/collectors"
)

// A source that was never gathered whole, be it hung or without an end, has no turn that one
// which was waits for, and what waits for its first turn lets the others go first.
func TestKnownSourcesGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Site{slots: make(chan struct{}, 1), early: make(chan struct{})} // nobody goes on early
		ctx, end := context.WithCancelCause(t.Context())
		gathering := func(known bool, last time.Duration) (begun, over chan struct{}) {
			begun, over = make(chan struct{}), make(chan struct{})
			go s.inTurn(ctx, known, func(mine *turn) error {
				w := &oversight{pace: collectors.Pace{}, stalled: time.Hour, last: last, turn: mine, told: func() string { return "" }, alarm: func(string) {}}
				reading, stop := context.WithCancelCause(ctx)
				go w.watch(reading, stop)
				close(begun)
				select {
				case <-over:
				case <-ctx.Done():
				}
				stop(nil)
				return nil
			})
			synctest.Wait()
			return begun, over
		}
		is := func(begun chan struct{}) bool {
			select {
			case <-begun:
				return true
			default:
				return false
			}
		}
		defer synctest.Wait()
		defer end(nil)

		first, _ := gathering(false, 0)
		second, _ := gathering(false, 0)
		if !is(first) || is(second) {
			t.Fatalf("of two that are not known, with one turn, %t and %t are read", is(first), is(second))
		}
		good, done := gathering(true, time.Minute)
		if !is(good) {
			t.Fatal("a known source waits for one that is not")
		}
		again, _ := gathering(true, time.Minute)
		time.Sleep(time.Minute)
		if is(again) || is(second) {
			t.Errorf("while a known source has its turn, another is read: %t, and one that is not known: %t", is(again), is(second))
		}
		close(done)
		synctest.Wait()
		if !is(again) || is(second) {
			t.Errorf("the next known one is read: %t, and one that waited before it and is not known: %t", is(again), is(second))
		}
	})
}
