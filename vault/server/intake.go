package server

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/time/rate"
)

// Bounds of what one session has in hand, in bytes.
const (
	packet     = 255 << 10 // the most that is read for one request: OpenSSH's messages, less some room for the header
	maxMessage = 256 << 10 // and the most that one may be; pkg/sftp ends the session at a longer one
	maxInHand  = 4 << 20   // requests and what answers them; one is always taken
	perRequest = 1 << 10   // what each costs besides
)

// intake is a session's channel. It lets no more requests in than the host can hold the
// answers to: pkg/sftp keeps those that are ready behind one that is slow, however many
// come after it. It tells of each request and each answer, and takes bytes no faster
// than it may.
type intake struct {
	ssh.Channel
	ctx     context.Context
	stir    func()
	arrival *rate.Limiter // nil for no limit

	message []byte // the rest of the one that is being read

	mu       sync.Mutex
	answered *sync.Cond
	costs    []int // of the requests that are not answered yet, in their order, which is that of the answers
	inHand   int   // all of them
	writing  bool  // an answer is on its way, as fast as the client takes it
	gone     bool  // the client is: no more is read of what it has asked
	answer   counter
}

func newIntake(ctx context.Context, channel ssh.Channel, arrival *rate.Limiter, stir func()) *intake {
	in := &intake{Channel: channel, ctx: ctx, stir: stir, arrival: arrival}
	in.answered = sync.NewCond(&in.mu)
	return in
}

// Read gives message by message.
func (in *intake) Read(p []byte) (int, error) {
	if len(in.message) == 0 {
		if err := in.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, in.message)
	in.message = in.message[n:]
	return n, nil
}

// next reads a message, and waits until there is room for its answer.
func (in *intake) next() error {
	var length [4]byte
	if _, err := io.ReadFull((*arriving)(in), length[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n == 0 || n > maxMessage { // of which pkg/sftp reads no more
		in.message = length[:]
		return nil
	}
	message := make([]byte, 4+n)
	copy(message, length[:])
	if _, err := io.ReadFull((*arriving)(in), message[4:]); err != nil {
		return err
	}
	if !in.take(costOf(message)) {
		return net.ErrClosed
	}
	in.message = message
	return nil
}

// costOf is how many bytes a request and its answer take. Only reads are answered with
// more than some names.
func costOf(message []byte) int {
	cost := len(message) + perRequest
	const read, handle = 5, 4 + 1 + 4 // behind length, type and id
	if message[4] != read || len(message) < handle+4 {
		return cost
	}
	at := handle + 4 + int(binary.BigEndian.Uint32(message[handle:])) + 8 // behind the handle and the offset
	if len(message) < at+4 {
		return cost // malformed
	}
	return cost + int(min(packet, binary.BigEndian.Uint32(message[at:])))
}

func (in *intake) take(cost int) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.costs) > 0 && in.inHand+cost > maxInHand {
		in.answered.Wait()
	}
	in.costs = append(in.costs, cost)
	in.inHand += cost
	return !in.gone
}

// owes says whether the client waits for the host, and not the host for the client.
func (in *intake) owes() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.costs) > 0 && !in.writing
}

// Write sends a part of an answer.
func (in *intake) Write(p []byte) (int, error) {
	in.set(true)
	n, err := in.Channel.Write(p)
	in.set(false)
	in.stir()
	in.mu.Lock()
	defer in.mu.Unlock()
	for range min(in.answer.count(p), len(in.costs)) { // all of p, also where the client is gone
		in.inHand -= in.costs[0]
		in.costs = in.costs[1:]
	}
	in.gone = in.gone || err != nil
	in.answered.Signal()
	return n, err
}

func (in *intake) set(writing bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.writing = writing
}

// counter counts messages in a stream of them.
type counter struct {
	head []byte // of the length of the next one
	rest int    // bytes to come of this one
}

// count says how many messages end in p.
func (c *counter) count(p []byte) (ended int) {
	for len(p) > 0 {
		if c.rest == 0 {
			n := min(4-len(c.head), len(p))
			c.head, p = append(c.head, p[:n]...), p[n:]
			if len(c.head) < 4 {
				break
			}
			c.rest, c.head = int(binary.BigEndian.Uint32(c.head)), c.head[:0]
			continue
		}
		n := min(c.rest, len(p))
		c.rest, p = c.rest-n, p[n:]
		if c.rest == 0 {
			ended++
		}
	}
	return ended
}

// arriving is the channel's bytes, as fast as they may come.
type arriving intake

func (a *arriving) Read(p []byte) (int, error) {
	if a.arrival != nil {
		p = p[:min(len(p), a.arrival.Burst())]
	}
	n, err := a.Channel.Read(p)
	a.stir()
	if err == nil && a.arrival != nil {
		err = a.arrival.WaitN(a.ctx, n)
	}
	return n, err
}
