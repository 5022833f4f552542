package collectors

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Stack is everything that stands around a driver in a gathering, from the outside
// in:
//
//	Meter   counts what the consumer got, so a repeated read counts once
//	Filter  before Limits: what is not wanted costs nothing
//	Limits  before Gate: who waits for bandwidth or a turn is not with the server
//	Redial  before Gate: who waits between two tries is not with the server either,
//	        and a shut gate uses up no tries
//	Gate    around every call of the driver, its dialling included
//
// ReadAhead goes on the outside of all of them. Zero fields do nothing, but for
// Redial, whose zero value has defaults.
type Stack struct {
	Meter   *Meter
	Filter  Filter
	Limits  Limits
	Redial  Redial
	Timeout time.Duration // of one dialling; default 30 s
	Gate    *Gate
	Ready   Marker
}

// Open dials, waits until the source is ready, and returns it. ctx bounds that and
// nothing later.
func (s Stack) Open(ctx context.Context, dial Dial) (Source, error) {
	if s.Timeout <= 0 {
		s.Timeout = 30 * time.Second
	}
	dial = dial.Within(s.Timeout)
	if s.Gate != nil {
		dial = s.Gate.Dial(dial)
	}
	connected, err := s.Redial.Open(ctx, dial)
	if err != nil {
		return nil, err
	}
	if err := Await(ctx, connected, s.Ready); err != nil {
		return nil, errors.Join(err, connected.Close())
	}
	src, err := s.Filter.Wrap(s.Limits.Wrap(connected))
	if err != nil {
		return nil, errors.Join(err, connected.Close())
	}
	if s.Meter != nil {
		src = s.Meter.Wrap(src)
	}
	return src, nil
}

// Meter counts what was read, for a progress line. It is safe for concurrent use,
// and one may serve several sources.
type Meter struct{ files, bytes atomic.Int64 }

// Files is the number of files that were opened so far.
func (m *Meter) Files() int64 { return m.files.Load() }

// Bytes is the number of bytes read so far.
func (m *Meter) Bytes() int64 { return m.bytes.Load() }

// Wrap returns src, counted.
func (m *Meter) Wrap(src Source) Source { return metered{src, m} }

type metered struct {
	Source
	meter *Meter
}

func (s metered) Open(ctx context.Context, name string) (File, error) {
	f, err := s.Source.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	s.meter.files.Add(1)
	return meteredFile{f, s.meter}, nil
}

type meteredFile struct {
	File
	meter *Meter
}

func (f meteredFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	f.meter.bytes.Add(int64(n))
	return n, err
}
