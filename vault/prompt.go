package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"airlock/silence"
)

// originWithin is how long the repository may give not a byte while a door stands open for
// it. Its disks were read just before.
const originWithin = 30 * time.Second

// prompt is an Origin for which nobody waits longer than that: a NAS that hangs ends the
// window, by end, and does not make of its blobs ones that are lacking. A file system that
// hangs cannot be told to stop, so that what was asked of it is left behind, with memory
// of its own; it ends when the file system answers.
type prompt struct {
	Origin
	end context.CancelCauseFunc
}

// within returns what ask gives, or as soon as it is late, or ctx ends, why it does not;
// left is then closed once ask has ended.
func within[T any](ctx context.Context, end context.CancelCauseFunc, name string, ask func() (T, error)) (value T, left <-chan struct{}, err error) {
	done := make(chan struct{})
	var given T
	var failed error
	go func() {
		defer close(done)
		given, failed = ask()
	}()
	late := time.NewTimer(originWithin)
	defer late.Stop()
	select {
	case <-done:
		return given, nil, failed
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-late.C:
		err = fmt.Errorf("%w: the repository gave not a byte of blob %s for %v; look at its storage", silence.Err, name, originWithin)
		end(err)
	}
	return value, done, err
}

// Open implements Origin.
func (p prompt) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	body := &promptBody{ctx: ctx, end: p.end, name: name}
	_, left, err := within(ctx, p.end, name, func() (none struct{}, err error) {
		body.from, err = p.Origin.Open(ctx, name)
		return none, err
	})
	if left != nil {
		go func() {
			<-left
			if body.from != nil {
				_ = body.from.Close() // nobody reads it any more
			}
		}()
	}
	if err != nil {
		return nil, err
	}
	return body, nil
}

type promptBody struct {
	ctx    context.Context
	end    context.CancelCauseFunc
	name   string
	from   io.ReadCloser
	buffer []byte
	left   <-chan struct{} // of a read that was left behind; nil while none was
}

func (b *promptBody) Read(p []byte) (int, error) {
	if b.left != nil {
		return 0, errors.New("a read before this one has not ended")
	}
	if len(b.buffer) < len(p) {
		b.buffer = make([]byte, len(p))
	}
	part := b.buffer[:len(p)]
	n, left, err := within(b.ctx, b.end, b.name, func() (int, error) { return b.from.Read(part) })
	b.left = left
	copy(p, part[:n])
	return n, err
}

func (b *promptBody) Close() error {
	if b.left == nil {
		return b.from.Close()
	}
	go func() {
		<-b.left
		_ = b.from.Close() // nobody reads it any more
	}()
	return nil
}
