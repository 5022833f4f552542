package console

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"airlock/ledger/proof"
	"airlock/orchestrator"
	"airlock/state"
)

// ErrNobody: no executor answers on the socket.
var ErrNobody = errors.New("no executor answers")

// Listen makes the socket, for its owner only. The site's lock is held by the caller,
// so sockets that are there already are left over from a crash.
func Listen(path string) (net.Listener, error) {
	// The socket is made under a name that nobody looks for, and gets its own, in
	// place of an older one, when its mode is right.
	hidden := path + ".new"
	if err := os.Remove(hidden); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("socket: %w", err)
	}
	a, err := addressOf(hidden)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: a.name, Net: "unix"})
	if err = errors.Join(err, a.release()); err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(hidden, 0o600), os.Rename(hidden, path)); err != nil {
		return nil, errors.Join(fmt.Errorf("socket: %w", err), l.Close())
	}
	return l, nil
}

// Remove takes the socket of a site away; none is fine.
func Remove(state state.Folder) error {
	if err := os.Remove(state.Socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("socket: %w", err)
	}
	return nil
}

// longestAddress is how many bytes of a name the address of a socket can hold.
const longestAddress = len(syscall.RawSockaddrUnix{}.Path) - 1

// address is a socket's name in a form that fits into a socket address. It is good
// until it is released.
type address struct {
	name   string
	folder *os.File // nil if the name fits as it is
}

// addressOf shortens a name that is too long, as with a state folder whose name is
// Japanese it easily is: Linux reaches the folder by its descriptor too.
func addressOf(path string) (address, error) {
	if len(path) <= longestAddress {
		return address{name: path}, nil
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return address{}, err
	}
	byDescriptor := fmt.Sprintf("/proc/self/fd/%d", folder.Fd())
	if _, err := os.Stat(byDescriptor); err != nil {
		return address{}, errors.Join(fmt.Errorf("%s has %d bytes, and this system takes %d at the most; choose a state folder with a shorter name", path, len(path), longestAddress), folder.Close())
	}
	return address{byDescriptor + "/" + filepath.Base(path), folder}, nil
}

func (a address) release() error {
	if a.folder == nil {
		return nil
	}
	return a.folder.Close()
}

// site is what the socket gives access to.
type site interface {
	orchestrator.Executor
	Source
}

// OrderHandler answers polls and takes orders: POST /v1/orders/ID with an Order, the ID
// of the client's choice, is answered by a line of JSON for each progress and a last one
// with the outcome. DELETE /v1/orders/ID ends the order, whose outcome still comes; a
// client that goes away ends it too.
func OrderHandler(s site) http.Handler {
	desk := &desk{site: s, ends: map[string]context.CancelCauseFunc{}}
	mux := http.NewServeMux()
	mux.Handle("/", Handler(s))
	mux.HandleFunc("POST /v1/orders/{id}", desk.take)
	mux.HandleFunc("DELETE /v1/orders/{id}", desk.end)
	return mux
}

// desk is where orders are taken.
type desk struct {
	site site
	mu   sync.Mutex
	ends map[string]context.CancelCauseFunc
}

func (d *desk) take(w http.ResponseWriter, r *http.Request) {
	var o orchestrator.Order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&o); err != nil {
		http.Error(w, "this is no order: "+err.Error(), http.StatusBadRequest)
		return
	}
	ctx, end := context.WithCancelCause(r.Context())
	defer end(nil)
	id := r.PathValue("id")
	d.mu.Lock()
	_, twice := d.ends[id]
	if !twice {
		d.ends[id] = end
	}
	d.mu.Unlock()
	if twice {
		http.Error(w, "there is an order of this ID already", http.StatusConflict)
		return
	}
	// The client learns at once that the order can be ended now.
	out := &stream{w: w, c: http.NewResponseController(w), last: map[string]sent{}}
	w.Header().Set("Content-Type", "application/jsonl")
	w.WriteHeader(http.StatusOK)
	out.flush()
	watch, seen := orchestrator.Detached(func(p orchestrator.Progress) { out.send(line{Progress: &p}) })
	outcome, err := d.site.Do(ctx, o, watch) // S2: a client that is stopped holds up nothing
	seen()
	out.c.SetWriteDeadline(time.Now().Add(answersWithin)) // without one, at the end of the connection
	d.mu.Lock()
	delete(d.ends, id)
	d.mu.Unlock()
	last := line{Outcome: &outcome}
	if err != nil {
		last.Error, last.Kinds = err.Error(), kindsOf(err)
	}
	out.send(last)
}

func (d *desk) end(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	end := d.ends[r.PathValue("id")]
	d.mu.Unlock()
	if end == nil {
		http.Error(w, "no such order", http.StatusNotFound)
		return
	}
	end(errors.New("the client asked for it"))
	w.WriteHeader(http.StatusAccepted)
}

// line is one line of an answer: progress, or the outcome.
type line struct {
	Progress *orchestrator.Progress `json:"progress,omitempty"`
	Outcome  *orchestrator.Outcome  `json:"outcome,omitempty"`
	Error    string                 `json:"error,omitempty"`
	Kinds    []string               `json:"kinds,omitempty"`
}

// stream writes lines. A client that is gone ends the order through its context, so
// errors of writing need no other notice.
type stream struct {
	mu   sync.Mutex
	w    http.ResponseWriter
	c    *http.ResponseController
	last map[string]sent // by task
}

type sent struct {
	stage string
	at    time.Time
}

func (s *stream) send(l line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := l.Progress; p != nil {
		// Progress comes by the thousand; people see ten a second, and every stage.
		last, now := s.last[p.Task], time.Now()
		if p.Text == "" && p.Stage == last.stage && now.Sub(last.at) < 100*time.Millisecond {
			return
		}
		s.last[p.Task] = sent{p.Stage, now}
	}
	if err := json.NewEncoder(s.w).Encode(l); err == nil {
		s.flush()
	}
}

func (s *stream) flush() {
	s.c.Flush() // a client that is gone ends the order by that
}

// kinds are the errors on which a command's exit code depends, by their names on the
// wire.
func kinds() map[string]error {
	return map[string]error{
		"not shut": orchestrator.ErrNotShut,
		"refused":  orchestrator.ErrRefused,
		"in part":  orchestrator.ErrInPart,
		"unknown":  orchestrator.ErrUnknown,
		"locked":   orchestrator.ErrNotReleased,
	}
}

func kindsOf(err error) []string {
	var names []string
	for name, kind := range kinds() {
		if errors.Is(err, kind) {
			names = append(names, name)
		}
	}
	return names
}

// remoteError is an executor's error on this side of the socket.
type remoteError struct {
	text  string
	kinds []error
}

func (e *remoteError) Error() string   { return e.text }
func (e *remoteError) Unwrap() []error { return e.kinds }

// Remote is the executor behind a socket.
type Remote struct{ client http.Client }

// Connect reaches the executor of a site. ErrNobody if there is none.
func Connect(ctx context.Context, path string) (*Remote, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		a, err := addressOf(path)
		if err != nil {
			return nil, err
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", a.name)
		return conn, errors.Join(err, a.release())
	}
	conn, err := dial(ctx, "", "")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNobody, err)
	}
	if err := conn.Close(); err != nil {
		return nil, err
	}
	return &Remote{http.Client{Transport: &http.Transport{
		DialContext: dial, DisableKeepAlives: true, ResponseHeaderTimeout: answersWithin,
	}}}, nil
}

// Head asks the executor to sign the ledger as it stands.
func (r *Remote) Head(ctx context.Context) (head proof.Head, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://airlock/v1/ledger/head", nil)
	if err != nil {
		return head, err
	}
	response, err := r.client.Do(request)
	if err != nil {
		return head, fmt.Errorf("%w: %w", ErrNobody, err)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return head, err
	}
	if response.StatusCode != http.StatusOK {
		return head, fmt.Errorf("the executor answers: %s", bytes.TrimSpace(body))
	}
	return head, json.Unmarshal(body, &head)
}

// answersWithin bounds how long an executor takes to say that it has an order.
const answersWithin = 10 * time.Second

// Do gives the order and follows it to its end. When ctx ends, the executor is told,
// and Do waits until it has shut what the order opened.
func (r *Remote) Do(ctx context.Context, o orchestrator.Order, watch orchestrator.Watch) (orchestrator.Outcome, error) {
	if err := ctx.Err(); err != nil {
		return orchestrator.Outcome{}, context.Cause(ctx)
	}
	id := rand.Text()
	lasting := context.WithoutCancel(ctx)
	response, err := r.ask(lasting, http.MethodPost, id, o)
	if err != nil {
		return orchestrator.Outcome{}, err
	}
	defer response.Body.Close() // read to its end, or given up
	// The executor has the order by now, so that its end cannot arrive before it.
	stop := context.AfterFunc(ctx, func() {
		// If it does not arrive, the order ends by itself, or the executor is gone.
		if response, err := r.ask(lasting, http.MethodDelete, id, nil); err == nil {
			response.Body.Close()
		}
	})
	defer stop()
	for lines := json.NewDecoder(response.Body); ; {
		var l line
		if err := lines.Decode(&l); err != nil {
			return orchestrator.Outcome{}, lost(o, err)
		}
		if l.Progress != nil {
			watch(*l.Progress)
		}
		if l.Outcome != nil {
			return *l.Outcome, l.err()
		}
	}
}

// lost is the error of an order whose executor ended in the middle. A door that the
// order may have moved is in an unknown state, which counts as open (S3).
func lost(o orchestrator.Order, err error) error {
	err = fmt.Errorf("the executor went away in the middle of the order: %w", err)
	if o.MovesDoors() {
		return fmt.Errorf("%w: %w", orchestrator.ErrNotShut, err)
	}
	return err
}

func (r *Remote) ask(ctx context.Context, method, id string, v any) (*http.Response, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://airlock/v1/orders/"+id, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := r.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNobody, err)
	}
	if response.StatusCode >= 300 {
		text, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
		return nil, errors.Join(fmt.Errorf("the executor answers: %s", bytes.TrimSpace(text)), err, response.Body.Close())
	}
	return response, nil
}

func (l line) err() error {
	if l.Error == "" {
		return nil
	}
	e := &remoteError{text: l.Error}
	for _, name := range l.Kinds {
		if kind := kinds()[name]; kind != nil {
			e.kinds = append(e.kinds, kind)
		}
	}
	return e
}
