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
	perListing = 128 << 10 // and the answer to a readdir: a hundred names, twice, and what is told of each
)

// The messages of draft-ietf-secsh-filexfer-02 that name a handle or bring one, and the
// flags of an open that writes.
const (
	fxpOpen     = 3
	fxpClose    = 4
	fxpRead     = 5
	fxpWrite    = 6
	fxpFstat    = 8
	fxpFsetstat = 10
	fxpOpendir  = 11
	fxpReaddir  = 12
	fxpHandle   = 102

	fxfWrite  = 2
	fxfAppend = 4
	fxfCreat  = 8
	fxfTrunc  = 16
)

// intake is a session's channel. It lets no more requests in than the host can hold the
// answers to: pkg/sftp keeps those that are ready behind one that is slow, however many
// come after it. It lets none use a handle that the client was not told, has closed, or
// that is for something else: pkg/sftp numbers its handles, so that they can be guessed,
// knows them before they are open and while they are being closed, and has a read of a
// file that is being written write. It tells of each request and each answer, and takes
// bytes no faster than it may.
type intake struct {
	ssh.Channel
	ctx     context.Context
	stir    func()
	arrival *rate.Limiter // nil for no limit

	message []byte // the rest of the one that is being read

	mu       sync.Mutex
	answered *sync.Cond
	asked    []request       // that are not answered yet, in their order, which is that of the answers
	inHand   int             // what all of them cost
	handles  map[string]byte // that the client was told and has not closed, with the type of request that each is for
	writing  bool            // an answer is on its way, as fast as the client takes it
	gone     bool            // the client is: no more is read of what it has asked
	answer   frame
}

// request is one that is not answered yet.
type request struct {
	cost  int
	opens byte // the type of request that the handle is for that it asks for; 0 if it asks for none
}

func newIntake(ctx context.Context, channel ssh.Channel, arrival *rate.Limiter, stir func()) *intake {
	in := &intake{Channel: channel, ctx: ctx, stir: stir, arrival: arrival, handles: map[string]byte{}}
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
	asked := make([]byte, 4+n)
	copy(asked, length[:])
	if _, err := io.ReadFull((*arriving)(in), asked[4:]); err != nil {
		return err
	}
	if !in.take(asked) {
		return net.ErrClosed
	}
	in.message = asked
	return nil
}

// subject is the handle or path that a message names first, and what stands behind it;
// nil if the message is cut.
func subject(message []byte) (subject, rest []byte) {
	const at = 4 + 1 + 4 // behind length, type and id
	if len(message) < at+4 {
		return nil, nil
	}
	rest = message[at+4:]
	if n := binary.BigEndian.Uint32(message[at:]); uint64(n) <= uint64(len(rest)) {
		return rest[:n:n], rest[n:]
	}
	return nil, nil
}

// costOf is how many bytes a request and its answer take.
func costOf(message []byte) int {
	cost := len(message) + perRequest
	switch _, rest := subject(message); {
	case message[4] == fxpRead && len(rest) >= 8+4: // the offset and the length
		cost += int(min(packet, binary.BigEndian.Uint32(rest[8:])))
	case message[4] == fxpReaddir:
		cost += perListing
	}
	return cost
}

// opens is the type of request that the handle is for which a request asks for; 0 if it
// asks for none.
func opens(message []byte) byte {
	switch _, rest := subject(message); {
	case message[4] == fxpOpendir:
		return fxpReaddir
	case message[4] != fxpOpen || len(rest) < 4:
		return 0
	case binary.BigEndian.Uint32(rest)&(fxfWrite|fxfAppend|fxfCreat|fxfTrunc) != 0:
		return fxpWrite
	}
	return fxpRead
}

// take lets a request in once there is room for it.
func (in *intake) take(message []byte) bool {
	asked := request{costOf(message), opens(message)}
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.asked) > 0 && in.inHand+asked.cost > maxInHand {
		in.answered.Wait()
	}
	in.asked = append(in.asked, asked)
	in.inHand += asked.cost
	in.guard(message)
	return !in.gone
}

// guard spoils the handle of a request that may not use it: pkg/sftp, whose handles are
// numbers, then answers that there is none, and in the order of the requests.
func (in *intake) guard(message []byte) {
	handle, _ := subject(message)
	use, told := in.handles[string(handle)]
	switch kind := message[4]; kind {
	case fxpClose:
		delete(in.handles, string(handle))
	case fxpFstat, fxpFsetstat:
	case fxpRead, fxpWrite, fxpReaddir:
		told = told && use == kind
	default:
		return
	}
	if !told {
		for i := range handle {
			handle[i] = 'x'
		}
	}
}

// owes says whether the client waits for the host, and not the host for the client.
func (in *intake) owes() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.asked) > 0 && !in.writing
}

// Write sends a part of an answer.
func (in *intake) Write(p []byte) (int, error) {
	ended := in.tell(p)
	n, err := in.Channel.Write(p)
	in.stir()
	in.mu.Lock()
	defer in.mu.Unlock()
	in.writing = false
	for _, done := range in.asked[:ended] { // all of p, also where the client is gone
		in.inHand -= done.cost
	}
	in.asked = in.asked[ended:]
	in.gone = in.gone || err != nil
	in.answered.Signal()
	return n, err
}

// tell says how many answers end in p, which is about to be sent, and learns the handles
// that they tell.
func (in *intake) tell(p []byte) (ended int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.writing = true
	for len(p) > 0 && ended < len(in.asked) {
		whole := false
		if p, whole = in.answer.add(p); !whole {
			break
		}
		if handle, _ := subject(in.answer.head); handle != nil && in.answer.head[4] == fxpHandle {
			in.handles[string(handle)] = in.asked[ended].opens
		}
		in.answer.head = in.answer.head[:0]
		ended++
	}
	return ended
}

// frame is one message of a stream of them, as far as it has come.
type frame struct {
	head []byte // its first bytes, that of its length the very first
	rest int    // bytes to come, once the length is known
}

// maxHead is as much of a message as is kept: that of one that tells a handle.
const maxHead = 64

// add takes what belongs to this message, and says what is left and whether it is whole.
func (f *frame) add(p []byte) (left []byte, whole bool) {
	if n := 4 - len(f.head); n > 0 {
		n = min(n, len(p))
		f.head, p = append(f.head, p[:n]...), p[n:]
		if len(f.head) < 4 {
			return nil, false
		}
		f.rest = int(binary.BigEndian.Uint32(f.head))
	}
	n := min(f.rest, len(p))
	f.head = append(f.head, p[:min(n, maxHead-len(f.head))]...)
	f.rest -= n
	return p[n:], f.rest == 0
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
