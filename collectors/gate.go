package collectors

import (
	"context"
	"io/fs"
	"sync"
)

// Gate stands between gatherings and their servers, for as long as a window keeps the
// departments' door shut. The zero Gate is open. One Gate may serve many sources, and
// is safe for concurrent use.
type Gate struct {
	mu     sync.Mutex
	shut   int           // pauses that have not been resumed
	inside int           // calls that are with a server
	opened chan struct{} // closed by the last Resume; nil while open
	empty  chan struct{} // closed by the last call that leaves; nil unless a Pause waits
}

// Pause shuts the gate and returns once no call is with a server: new ones wait. If
// ctx ends first, Pause returns its cause, the gate stays shut, and the calls that are
// left will fail or finish by themselves. Pauses nest: each one, also one that
// returned an error, is followed by one Resume.
func (g *Gate) Pause(ctx context.Context) error {
	g.mu.Lock()
	if g.shut++; g.opened == nil {
		g.opened = make(chan struct{})
	}
	if g.inside == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.empty == nil {
		g.empty = make(chan struct{})
	}
	empty := g.empty
	g.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Resume takes one Pause back. The last one lets the calls that wait go on.
func (g *Gate) Resume() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut--; g.shut == 0 {
		close(g.opened)
		g.opened = nil
	}
}

func (g *Gate) enter(ctx context.Context) error {
	for {
		g.mu.Lock()
		if g.shut == 0 {
			g.inside++
			g.mu.Unlock()
			return nil
		}
		opened := g.opened
		g.mu.Unlock()
		select {
		case <-opened:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (g *Gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.inside == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// Dial returns dial behind the gate: it and every call of the Source that it opens
// wait while the gate is shut. Only closing the Source does not.
func (g *Gate) Dial(dial Dial) Dial {
	return func(ctx context.Context) (Source, error) {
		if err := g.enter(ctx); err != nil {
			return nil, err
		}
		defer g.leave()
		src, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		return gated{src, g}, nil
	}
}

type gated struct {
	Source
	gate *Gate
}

func (s gated) ReadDir(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	if err := s.gate.enter(ctx); err != nil {
		return nil, PathError("list", dir, err)
	}
	defer s.gate.leave()
	return s.Source.ReadDir(ctx, dir)
}

func (s gated) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	if err := s.gate.enter(ctx); err != nil {
		return nil, PathError("stat", name, err)
	}
	defer s.gate.leave()
	return s.Source.Stat(ctx, name)
}

func (s gated) Open(ctx context.Context, name string) (File, error) {
	if err := s.gate.enter(ctx); err != nil {
		return nil, PathError("open", name, err)
	}
	defer s.gate.leave()
	f, err := s.Source.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return gatedFile{f, s.gate, ctx, name}, nil
}

type gatedFile struct {
	File
	gate *Gate
	ctx  context.Context
	name string
}

func (f gatedFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.gate.enter(f.ctx); err != nil {
		return 0, PathError("read", f.name, err)
	}
	defer f.gate.leave()
	return f.File.ReadAt(p, off)
}

// Close waits as well, since it speaks to the server; once ctx has ended, the file
// below closes without speaking.
func (f gatedFile) Close() error {
	if f.gate.enter(f.ctx) == nil {
		defer f.gate.leave()
	}
	return f.File.Close()
}
