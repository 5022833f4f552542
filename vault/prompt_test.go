package vault

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"airlock/silence"
)

// hanging is an Origin that gives some bytes and then hangs, deaf to any context.
type hanging struct {
	opens  bool
	answer chan struct{}
	closed chan struct{}
}

func (h hanging) Open(context.Context, string) (io.ReadCloser, error) {
	if !h.opens {
		<-h.answer
	}
	return h, nil
}

func (h hanging) Read([]byte) (int, error) { <-h.answer; return 0, io.ErrUnexpectedEOF }
func (h hanging) Close() error             { close(h.closed); return nil }

// S4: a repository whose storage hangs does not hold a door open until the window's end,
// nor anybody longer than the window.
func TestOriginThatHangs(t *testing.T) {
	over := errors.New("the window is over")
	for name, test := range map[string]struct {
		opens  bool
		window time.Duration
		want   error
		after  time.Duration
	}{
		"open":            {false, time.Hour, silence.Err, originWithin},
		"read":            {true, time.Hour, silence.Err, originWithin},
		"open, cancelled": {false, time.Second, over, time.Second},
		"read, cancelled": {true, time.Second, over, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hanging{test.opens, make(chan struct{}), make(chan struct{})}
				ctx, cancel := context.WithTimeoutCause(t.Context(), test.window, over)
				defer cancel()
				ctx, end := context.WithCancelCause(ctx)
				defer end(nil)
				began := time.Now()
				r, err := prompt{h, end}.Open(ctx, "p1")
				if err == nil {
					_, err = io.ReadAll(r)
					err = errors.Join(err, r.Close())
				}
				if took := time.Since(began); !errors.Is(err, test.want) || took != test.after {
					t.Errorf("after %v: %v; want %v after %v", took, err, test.want, test.after)
				}
				if cause := context.Cause(ctx); !errors.Is(cause, test.want) {
					t.Errorf("the window ended of %v", cause)
				}
				close(h.answer)
				<-h.closed // what was left behind is given back
			})
		})
	}
}
