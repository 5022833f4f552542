// Package syslog tells a hospital's SIEM every entry of a ledger, as RFC 5424 has it,
// over UDP (RFC 5426), TCP with octet counting (RFC 6587) or TLS (RFC 5425).
//
// # What arrives
//
// Every entry at least once, those that arrive for the first time in the ledger's
// order. The ledger itself is the buffer: a [Forwarder] reads it after a cursor, a small
// file, so it holds up no writer, and an outage may last for months. Syslog has no
// receipts: a write that succeeded may lie in a kernel's buffer when the receiver dies.
// The cursor therefore moves over an entry only after its connection has lived on for
// half a minute, or after the receiver has ended the connection in answer to ours; what
// was sent after the cursor is sent again on the next connection. Whoever counts goes by
// the seq in the structured data. Over UDP a receiver that refuses is noticed, one whose
// network swallows datagrams is not.
//
// A ledger that took another's place is told from its beginning.
//
// The newest signed head is told as well, once on each connection and whenever there is a
// new one behind the entries that it is about: a message of the type head, whose structured
// data holds the note's parts. Whoever keeps it can hold the ledger to it (S11).
package syslog

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/pause"
)

const (
	poll       = time.Second      // between two looks for new entries
	ripeAfter  = 30 * time.Second // what a connection took has arrived then, if it still lives; longer than writeWithin
	batch      = 256              // entries that are written before the cursor is looked after
	firstPause = time.Second      // after a failure; doubled up to
	lastPause  = 30 * time.Second
)

// Config says where to and what as.
type Config struct {
	Network  string // udp, tcp or tls
	Address  string // host:port
	CA       string // for tls, a PEM file of the authorities to believe; "" are the system's
	Facility string // user, daemon, auth, authpriv, audit, local0 … local7
	Site     string
	Cursor   string // file

	// Outage is told once for each time during which nothing arrived for longer than
	// OutageAfter. It must not wait.
	Outage      func(since time.Time, err error)
	OutageAfter time.Duration
	// Anew is told that the ledger is another one than the cursor speaks of. It must not
	// wait.
	Anew func()
}

// Source is what a Forwarder needs of a ledger.
type Source interface {
	Entries(context.Context, ledger.Filter) iter.Seq2[ledger.Entry, error]
}

// Header is a Source whose heads are signed.
type Header interface {
	LastHead(context.Context) (proof.Head, bool, error)
}

// Forwarder tells one ledger to one receiver. Run and Finish are called one after the
// other; State at any time.
type Forwarder struct {
	conf  Config
	from  Source
	said  speaker
	dial  func(context.Context, Config) (*link, error)
	ripe  time.Duration // ripeAfter
	sure  cursor        // durable
	lying []mark        // sent on the present link, and not sure yet
	head  string        // the last that was sent on the present link

	mu      sync.Mutex
	failing time.Time // since when nothing arrives; zero while it does
	err     error     // why
	told    bool      // of this outage
}

// mark is how far had been sent at a time.
type mark struct {
	cursor
	at time.Time
}

// New prepares a Forwarder. Nothing is reached before Run.
func New(c Config, from Source) (*Forwarder, error) {
	code, ok := facilities()[c.Facility]
	if !ok {
		return nil, fmt.Errorf("syslog: there is no facility %q", c.Facility)
	}
	sure, err := readCursor(c.Cursor)
	if err != nil {
		return nil, err
	}
	return &Forwarder{conf: c, from: from, said: speaker{c.Site, hostname(), code}, dial: dial, ripe: ripeAfter, sure: sure}, nil
}

// State says since when nothing arrives, and why; a zero time while all is well.
func (f *Forwarder) State() (failing time.Time, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failing, f.err
}

// Run tells the ledger until ctx ends, over as many connections as it takes.
func (f *Forwarder) Run(ctx context.Context) {
	wait := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		err := f.converse(ctx)
		if ctx.Err() != nil {
			return
		}
		f.failed(err)
		if time.Since(began) > f.ripe {
			wait = firstPause
		}
		pause.For(ctx, wait)
		wait = min(2*wait, lastPause)
	}
}

// Finish tells what is left, and returns once that has surely arrived, or with why it
// has not when ctx ends.
func (f *Forwarder) Finish(ctx context.Context) error {
	l, err := f.connect(ctx)
	if err != nil {
		return err
	}
	err = f.tellAll(ctx, l)
	if err == nil {
		err = l.finish(ctx)
	}
	if err == nil && len(f.lying) > 0 {
		err = f.settle(f.lying[len(f.lying)-1].cursor)
	}
	if failed := l.close(); err == nil {
		err = failed
	}
	return f.explained(err)
}

// converse is one connection, from the first entry that is not sure to have arrived
// until the connection breaks or ctx ends.
func (f *Forwarder) converse(ctx context.Context) error {
	l, err := f.connect(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	for err == nil {
		err = f.tellAll(ctx, l)
		if err == nil && time.Since(began) >= f.ripe {
			f.recovered()
		}
		select {
		case <-l.ended:
			err = l.broken()
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-time.After(poll):
		}
	}
	l.close() // the error that ended it says more
	return f.explained(err)
}

func (f *Forwarder) explained(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("syslog to %s://%s: %w", f.conf.Network, f.conf.Address, err)
}

func (f *Forwarder) connect(ctx context.Context) (*link, error) {
	if err := f.recognise(ctx); err != nil {
		return nil, err
	}
	f.lying, f.head = nil, ""
	l, err := f.dial(ctx, f.conf)
	return l, f.explained(err)
}

// recognise looks whether the ledger is still the one that the cursor speaks of.
func (f *Forwarder) recognise(ctx context.Context) error {
	if f.sure.Seq == 0 {
		return nil
	}
	for e, err := range f.from.Entries(ctx, ledger.Filter{AfterSeq: f.sure.Seq - 1}) {
		if err != nil {
			return err
		}
		if f.sure.same(e) {
			return nil
		}
		break
	}
	f.sure = cursor{}
	if f.conf.Anew != nil {
		f.conf.Anew()
	}
	return nil
}

// sent is how far was written to the present link.
func (f *Forwarder) sent() cursor {
	if n := len(f.lying); n > 0 {
		return f.lying[n-1].cursor
	}
	return f.sure
}

// tellAll writes what the ledger holds and the link has not got, and looks after the
// cursor.
func (f *Forwarder) tellAll(ctx context.Context, l *link) error {
	for {
		n, err := f.tell(ctx, l)
		if err == nil {
			err = f.ripen()
		}
		if err != nil {
			return err
		}
		if n < batch {
			return f.tellHead(ctx, l)
		}
	}
}

// tellHead writes the newest head if the link has not got it.
func (f *Forwarder) tellHead(ctx context.Context, l *link) error {
	from, ok := f.from.(Header)
	if !ok {
		return nil
	}
	h, ok, err := from.LastHead(ctx)
	if err != nil || !ok || h.Note == f.head || h.Size > f.sent().Seq {
		return err
	}
	line, err := f.said.head(h)
	if err == nil {
		err = l.write(ctx, line)
	}
	if err == nil {
		err = l.flush()
	}
	if err == nil {
		f.head = h.Note
	}
	return err
}

// tell writes up to a batch of entries.
func (f *Forwarder) tell(ctx context.Context, l *link) (n int, err error) {
	last := f.sent()
	for e, err := range f.from.Entries(ctx, ledger.Filter{AfterSeq: last.Seq}) {
		if err != nil {
			return n, err
		}
		line, err := f.said.message(e)
		if err != nil {
			return n, err
		}
		if err := l.write(ctx, line); err != nil {
			return n, err
		}
		if last, n = cursorAt(e), n+1; n == 1 && l.framed == nil && len(f.lying) == 0 {
			// The first datagram asks whether anybody listens.
			pause.For(ctx, refusal)
		}
		if err := l.broken(); err != nil {
			return n, err
		}
		if n == batch {
			break
		}
	}
	if n == 0 {
		return 0, nil
	}
	if err := l.flush(); err != nil {
		return n, err
	}
	f.lying = append(f.lying, mark{last, time.Now()})
	return n, nil
}

// ripen moves the cursor over what was sent long enough ago.
func (f *Forwarder) ripen() error {
	n := 0
	for n < len(f.lying) && time.Since(f.lying[n].at) >= f.ripe {
		n++
	}
	if n == 0 {
		return nil
	}
	last := f.lying[n-1].cursor
	f.lying = f.lying[n:]
	return f.settle(last)
}

func (f *Forwarder) settle(c cursor) error {
	if err := c.keep(f.conf.Cursor); err != nil {
		return err
	}
	f.sure = c
	return nil
}

// failed counts an outage from its first failure, and tells of it once.
func (f *Forwarder) failed(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err = err; f.failing.IsZero() {
		f.failing = time.Now()
	}
	if f.told || time.Since(f.failing) < f.conf.OutageAfter || f.conf.Outage == nil {
		return
	}
	f.told = true
	f.conf.Outage(f.failing, err)
}

func (f *Forwarder) recovered() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing, f.err, f.told = time.Time{}, nil, false
}
