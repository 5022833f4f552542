package syslog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airlock/ledger"

	"pgregory.net/rapid"
)

// pages is a ledger in memory.
type pages struct {
	mu      sync.Mutex
	entries []ledger.Entry
}

func (p *pages) append(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range n {
		p.entries = append(p.entries, ledger.Entry{Seq: int64(len(p.entries) + 1), Time: time.Now(), Recorded: time.Now(), Kind: ledger.KindStart, Actor: "test"})
	}
}

func (p *pages) Entries(_ context.Context, f ledger.Filter) iter.Seq2[ledger.Entry, error] {
	p.mu.Lock()
	all := slices.Clone(p.entries[min(int(f.AfterSeq), len(p.entries)):])
	p.mu.Unlock()
	return func(yield func(ledger.Entry, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// receiver is a SIEM behind a network: what is written to it lies in buffers for a
// while, and is lost when it dies meanwhile.
type receiver struct {
	lag time.Duration

	mu    sync.Mutex
	conn  net.Conn // nil while it is dead
	dead  bool
	got   []int64
	dials int
}

var seqParam = regexp.MustCompile(` seq="(\d+)"`)

func (r *receiver) dial(context.Context, Config) (*link, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dials++
	if r.dead {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	r.conn = theirs
	go r.read(theirs)
	return watched(&link{conn: ours, framed: bufio.NewWriter(ours)}), nil
}

func (r *receiver) read(conn net.Conn) {
	in := bufio.NewReader(conn)
	buffer := make(chan frame, 1<<16)
	defer close(buffer)
	go r.process(conn, buffer)
	for {
		var n int
		if _, err := fmt.Fscanf(in, "%d ", &n); err != nil {
			return
		}
		text := make([]byte, n)
		if _, err := io.ReadFull(in, text); err != nil {
			return
		}
		seq, err := strconv.ParseInt(seqParam.FindStringSubmatch(string(text))[1], 10, 64)
		if err != nil {
			panic(err) // seqParam matches numbers
		}
		buffer <- frame{seq, time.Now()}
	}
}

// frame is a message in a buffer of the receiver.
type frame struct {
	seq int64
	at  time.Time
}

// process takes frames out of the buffer a lag after they came, unless the receiver has
// died or has another connection since.
func (r *receiver) process(conn net.Conn, buffer <-chan frame) {
	for f := range buffer {
		time.Sleep(time.Until(f.at.Add(r.lag)))
		r.mu.Lock()
		if r.conn == conn {
			r.got = append(r.got, f.seq)
		}
		r.mu.Unlock()
	}
}

func (r *receiver) set(alive bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead = !alive; r.dead && r.conn != nil {
		r.conn.Close()
		r.conn = nil
	}
}

// firsts are the numbers that arrived, each at its first arrival.
func firsts(got []int64) []int64 {
	var all []int64
	for _, seq := range got {
		if !slices.Contains(all, seq) {
			all = append(all, seq)
		}
	}
	return all
}

func upTo(n int) []int64 {
	var all []int64
	for i := range n {
		all = append(all, int64(i+1))
	}
	return all
}

func forwarder(t *testing.T, from Source, r *receiver, c Config) *Forwarder {
	t.Helper()
	c.Facility = "local0"
	if c.Cursor == "" {
		c.Cursor = filepath.Join(t.TempDir(), "cursor")
	}
	f, err := New(c, from)
	if err != nil {
		t.Fatal(err)
	}
	if r != nil {
		f.dial = r.dial
	}
	return f
}

// run starts f, and gives the function that ends it.
func run(f *Forwarder) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		f.Run(ctx)
		close(done)
	}()
	return func() {
		cancel()
		<-done
	}
}

// Every entry arrives, in order, through deaths of the receiver that take with them what
// lay in buffers, and through restarts of airlock.
func TestEveryEntryArrivesInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lag := time.Duration(rapid.IntRange(0, int(writeWithin/time.Millisecond)).Draw(rt, "lag")) * time.Millisecond
		type act struct {
			what string
			n    int
		}
		acts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) act {
			return act{rapid.SampledFrom([]string{"append", "kill", "revive", "restart", "wait"}).Draw(t, "what"), rapid.IntRange(1, 600).Draw(t, "n")}
		}), 1, 12).Draw(rt, "acts")
		var got []int64
		wrote := 0
		synctest.Test(t, func(t *testing.T) {
			from, r := &pages{}, &receiver{lag: lag}
			cursorFile := filepath.Join(t.TempDir(), "cursor")
			end := run(forwarder(t, from, r, Config{Cursor: cursorFile}))
			for _, a := range acts {
				switch a.what {
				case "append":
					from.append(a.n)
					wrote += a.n
				case "kill", "revive":
					r.set(a.what == "revive")
				case "restart":
					end()
					end = run(forwarder(t, from, r, Config{Cursor: cursorFile}))
				case "wait":
					time.Sleep(time.Duration(a.n) * 100 * time.Millisecond)
				}
				synctest.Wait()
			}
			r.set(true)
			time.Sleep(3 * time.Minute)
			end()
			r.set(false)
			synctest.Wait()
			r.mu.Lock()
			defer r.mu.Unlock()
			got = r.got
		})
		if first := firsts(got); !slices.Equal(first, upTo(wrote)) {
			rt.Fatalf("of %d entries these arrived: %v", wrote, first)
		}
	})
}

func TestOutageIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, r := &pages{}, &receiver{}
		var told []time.Duration
		begun := time.Now()
		f := forwarder(t, from, r, Config{OutageAfter: 10 * time.Minute, Outage: func(since time.Time, err error) {
			if err == nil {
				t.Error("nobody says why")
			}
			told = append(told, since.Sub(begun))
		}})
		end := run(f)
		defer end()
		time.Sleep(time.Hour)
		r.set(false)
		time.Sleep(9 * time.Minute)
		if len(told) > 0 {
			t.Errorf("told of an outage of nine minutes")
		}
		r.set(true)
		time.Sleep(2 * time.Minute)
		if since, err := f.State(); !since.IsZero() || err != nil {
			t.Errorf("after the outage: %v, %v", since, err)
		}
		r.set(false)
		from.append(1)
		time.Sleep(5 * time.Hour)
		if len(told) != 1 || told[0].Round(time.Second) != time.Hour+11*time.Minute {
			t.Errorf("told of outages that began at %v", told)
		}
		if since, err := f.State(); since.IsZero() || err == nil {
			t.Errorf("in the outage: %v, %v", since, err)
		}
		if r.dials > 1000 {
			t.Errorf("%d dials in six hours", r.dials)
		}
	})
}

// What took another ledger's place is told from its beginning.
func TestAnotherLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cursorFile := filepath.Join(t.TempDir(), "cursor")
		one, r := &pages{}, &receiver{}
		one.append(5)
		end := run(forwarder(t, one, r, Config{Cursor: cursorFile}))
		time.Sleep(2 * time.Minute)
		end()
		anew := 0
		other := &pages{}
		other.append(7)
		end = run(forwarder(t, other, r, Config{Cursor: cursorFile, Anew: func() { anew++ }}))
		time.Sleep(2 * time.Minute)
		end()
		r.set(false)
		synctest.Wait()
		if want := append(upTo(5), upTo(7)...); anew != 1 || !slices.Equal(r.got, want) {
			t.Errorf("anew %d, got %v, want %v", anew, r.got, want)
		}
	})
}

func TestBadCursor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cursor")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Facility: "local0", Cursor: file}, &pages{}); err == nil {
		t.Error("a cursor that is none was taken")
	}
	if _, err := New(Config{Facility: "kern"}, &pages{}); err == nil {
		t.Error("facility kern, which only kernels have, was taken")
	}
}
