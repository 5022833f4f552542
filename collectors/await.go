package collectors

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Marker is the file by which a department says that its dump is finished. The zero
// Marker asks for none.
type Marker struct {
	Name string        // relative to the source's root
	Wait time.Duration // how long it may take to appear
	Poll time.Duration // between looks; default 10 s
	// After, unless it is zero, asks for a marker that was last changed later, by
	// the server's clock: one that the department makes anew for every dump.
	After time.Time
}

// Await returns once the marker is there, at once if it is there already. After
// m.Wait it returns ErrNotReady. Any failure but the marker's absence is returned as
// it is.
//
// The source is the unfiltered one: the marker need not be among the files wanted.
func Await(ctx context.Context, src Source, m Marker) error {
	if m.Name == "" {
		return nil
	}
	if m.Poll <= 0 {
		m.Poll = 10 * time.Second
	}
	began, seen := time.Now(), "is not there"
	for {
		info, err := src.Stat(ctx, m.Name)
		switch {
		case err == nil && (m.After.IsZero() || info.ModTime().After(m.After)):
			return nil
		case err == nil:
			seen = fmt.Sprintf("is from %s still", info.ModTime().Format(time.RFC3339))
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("wait for the marker: %w", err)
		}
		left := m.Wait - time.Since(began)
		if left <= 0 {
			return fmt.Errorf("%w: its marker %s %s after %v of waiting; see whether the department's own dump ran", ErrNotReady, m.Name, seen, m.Wait)
		}
		select {
		case <-time.After(min(left, m.Poll)):
		case <-ctx.Done():
			return fmt.Errorf("wait for the marker %s: %w", m.Name, context.Cause(ctx))
		}
	}
}
