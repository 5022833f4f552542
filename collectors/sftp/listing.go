package sftp

import (
	"context"
	"io/fs"
	"sync"

	"airlock/collectors"
)

// The library collects a whole listing before it gives any of it, and some servers have
// listings without end. So the bytes of the answers that hold names are counted on their
// way to the library, and a listing during which more came than there is room for is
// given up.
type listings struct {
	collectors.Room

	mu      sync.Mutex
	arrived int64 // bytes of names on this connection
	ends    map[*listing]struct{}
}

type listing struct {
	from int64 // what had arrived when it began
	end  context.CancelCauseFunc
}

// begin lists under the context that it gives, until done.
func (l *listings) begin(ctx context.Context) (_ context.Context, done func()) {
	ctx, end := context.WithCancelCause(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	one := &listing{l.arrived, end}
	if l.ends == nil {
		l.ends = map[*listing]struct{}{}
	}
	l.ends[one] = struct{}{}
	return ctx, func() {
		l.mu.Lock()
		delete(l.ends, one)
		l.mu.Unlock()
		end(nil)
	}
}

func (l *listings) came(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrived += n
	for one := range l.ends {
		if l.arrived-one.from > l.Most() {
			one.end(l.Full())
		}
	}
}

func (s *source) list(ctx context.Context, path string) ([]fs.FileInfo, error) {
	listing, done := s.begin(ctx)
	defer done()
	entries, err := s.client.ReadDirContext(listing, path)
	if listing.Err() != nil {
		return nil, context.Cause(listing)
	}
	for i, e := range entries {
		entries[i] = collectors.NewEntry(e, collectors.Marks{})
	}
	return entries, err
}
