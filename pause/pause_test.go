package pause

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A pause is as long as it says, and ends with its context.
func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		began := time.Now()
		for range 2 { // the second is cut short
			For(ctx, time.Minute)
		}
		if took := time.Since(began); took != 90*time.Second {
			t.Errorf("two pauses of a minute, of which the context allows 90 s, took %s", took)
		}
	})
}

// What is done every minute is done at once, and no more once the context has ended.
func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
		defer cancel()
		calls := 0
		if Every(ctx, time.Minute, func() { calls++ }); calls != 3 {
			t.Errorf("%d calls in 150 s", calls)
		}
	})
}
