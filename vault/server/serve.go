package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"airlock/ledger"
	"airlock/vault"

	"github.com/gofrs/flock"
	"golang.org/x/crypto/ssh"
	"golang.org/x/time/rate"
)

// Service says to whom a host is served, and how much of it.
type Service struct {
	HostKey ssh.Signer
	Clients map[string]ssh.PublicKey // by user name
	Limits  Limits
	// Replaced: a person said that the folder is another one than the state knows.
	Replaced bool
}

// Limits protect the host. None may be zero but Bandwidth, which then has none.
type Limits struct {
	Connections int           // of logged-in clients at once
	Logins      int           // attempts a minute from one address
	OpenFiles   int           // per connection
	Bandwidth   int64         // bytes a second, of all that arrives
	Idle        time.Duration // a client that asks nothing for so long is cut
}

// serving is a Host that clients talk to.
type serving struct {
	*Host
	Service
	ssh     *ssh.ServerConfig
	room    room
	naming  *naming
	arrival *rate.Limiter // of bytes
	shaking waitingRoom
	logged  places
	gate    gate
	tells   *rate.Limiter            // of refusals in the ledger
	asked   map[string]*rate.Limiter // by each client: receipts, which are in the ledger too

	mu       sync.Mutex
	finished map[string]finished // by name in incoming/
	conns    map[net.Conn]bool
	logins   []*login // the longest there first
	ended    bool
}

// ErrServed says that another process serves this vault.
var ErrServed = errors.New("another process serves this vault")

// Bounds that nobody needs to set.
const (
	handshakeIn  = 20 * time.Second // or the client is cut
	channels     = 2                // per connection
	tick         = time.Minute      // between looks at the clock
	forgottenAge = 24 * time.Hour   // of a finished file in incoming/ that nobody renames
	maxUnnamed   = 1024             // of these; then a client's oldest go
)

// Serve serves the vault until ctx ends; then it cuts the clients, and returns once what
// they asked for is done. What cuts left in incoming/ is removed first, and stock is
// taken of the folder.
func (h *Host) Serve(ctx context.Context, l net.Listener, service Service) (err error) {
	lock := flock.New(filepath.Join(h.conf.State, "serve.lock"))
	if mine, err := lock.TryLock(); err != nil || !mine {
		return errors.Join(ErrServed, err, l.Close())
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	s, err := h.prepare(ctx, service)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	started := ledger.Entry{Time: h.conf.Now(), Kind: ledger.KindStart, Actor: h.conf.Actor, Vault: h.conf.Name, Reason: "airlock vault serve", Detail: detail(map[string]any{"listen": l.Addr().String(), "receipt_key": h.public})}
	if _, err := h.ledger.Append(ctx, started); err != nil {
		return errors.Join(err, l.Close())
	}
	var running, names sync.WaitGroup
	background, end := context.WithCancel(ctx)
	promised, last := context.WithCancel(context.WithoutCancel(ctx))
	names.Go(func() { s.naming.run(promised) })
	running.Go(func() { s.keepTime(background) })
	running.Go(func() { s.readUnread(background) })
	stop := context.AfterFunc(ctx, func() { _ = l.Close() }) // its error is that of Accept
	s.accept(ctx, l, &running)
	stop()
	end()
	s.cutAll()
	running.Wait()
	last() // nobody promises any more
	names.Wait()
	h.note(ledger.KindStop, h.conf.Actor, "airlock vault serve", nil)
	return nil
}

func (h *Host) prepare(ctx context.Context, service Service) (s *serving, err error) {
	s = &serving{
		Host: h, Service: service,
		logged:   places{free: service.Limits.Connections, clients: len(service.Clients)},
		gate:     gate{perMinute: service.Limits.Logins},
		tells:    rate.NewLimiter(rate.Every(time.Minute), 60),
		asked:    map[string]*rate.Limiter{},
		finished: map[string]finished{}, conns: map[net.Conn]bool{},
	}
	for client := range service.Clients {
		s.asked[client] = rate.NewLimiter(rate.Every(10*time.Second), 30)
	}
	s.ssh = s.sshConfig()
	if b := service.Limits.Bandwidth; b > 0 {
		s.arrival = rate.NewLimiter(rate.Limit(b), int(max(b, 1<<20)))
	}
	if err := h.exclusively(ctx, func() error { return h.recognise(ctx, service.Replaced) }); err != nil {
		return nil, err
	}
	if err := s.sweep(); err != nil {
		return nil, fmt.Errorf("clearing %s: %w", vault.Incoming, err)
	}
	if err := h.folder.tellsApart(); errors.Is(err, errFolds) {
		return nil, err
	} else if err != nil { // a full disk, perhaps, which still gives
		h.conf.Log.Warn("whether the vault's file system tells names apart is not known", "error", err)
	}
	if err := h.folder.syncAll(); err != nil { // what an earlier process was killed over
		return nil, fmt.Errorf("make %s durable: %w", h.conf.Folder, err)
	}
	if err := h.exclusively(ctx, func() error { return h.takeStock(ctx) }); err != nil {
		return nil, err
	}
	s.room = room{disk: h.folder.disk, lies: func() (int64, error) { return h.index.total(context.WithoutCancel(ctx)) }, quota: h.conf.Quota, floor: h.conf.Floor, kept: h.conf.Reserve,
		crowded: func() string { return h.crowded(context.WithoutCancel(ctx)) },
		tell:    func(err error) { h.alarm("there is no room for what the site sends", err.Error()) }}
	if s.room.landed, err = s.room.lies(); err != nil {
		return nil, err
	}
	s.naming = newNaming(h, &s.room)
	return s, nil
}

// sweep removes what is left in incoming/: of none is it known whether it is whole.
func (s *serving) sweep() error {
	left, err := fs.ReadDir(s.folder.FS(), vault.Incoming)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, f := range left {
		if f.Type().IsRegular() {
			if err := s.folder.drop(path.Join(vault.Incoming, f.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *serving) now() time.Time { return s.conf.Now() }

// keepTime watches the clock, and forgets what nobody comes back for.
func (s *serving) keepTime(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		if _, err := s.watchClock(false); err != nil {
			s.conf.Log.Error("the clock's record", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.forgetOld()
	}
}

// forgetOld removes whole files in incoming/ that nobody has named for long.
func (s *serving) forgetOld() {
	old := map[string]finished{}
	s.mu.Lock()
	for name, f := range s.finished {
		if s.now().Sub(f.at) > forgottenAge {
			old[name] = f
			delete(s.finished, name)
		}
	}
	s.mu.Unlock()
	for name, f := range old {
		s.forgotten(name, f)
	}
}

func (s *serving) forgotten(temp string, f finished) {
	if err := s.discard(temp, f); err != nil {
		s.conf.Log.Error("clearing "+vault.Incoming, "error", err)
	}
}

// finish notes a whole file that awaits its name.
func (s *serving) finish(temp string, f finished) {
	s.mu.Lock()
	s.finished[temp] = f
	oldest := temp
	for other, o := range s.finished {
		if len(s.finished) > maxUnnamed && o.client == f.client && o.at.Before(s.finished[oldest].at) {
			oldest = other
		}
	}
	o := s.finished[oldest]
	tooMany := len(s.finished) > maxUnnamed
	if tooMany {
		delete(s.finished, oldest)
	}
	s.mu.Unlock()
	if tooMany {
		s.forgotten(oldest, o)
	}
}

// claim takes a whole file that a client has put into incoming/ and means to name, or
// to remove. What an announced window has put there is an announced window's alone: the key
// of its client may be somebody else's as well.
func (s *serving) claim(temp, client string, announced bool) (finished, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.finished[temp]
	if !ok || f.client != client || f.announced && !announced {
		return finished{}, false
	}
	delete(s.finished, temp)
	return f, true
}

// discard removes a whole file that gets no name.
func (s *serving) discard(temp string, f finished) error {
	<-f.bytes.done
	s.room.giveBack(f.size + nameWeight)
	return s.folder.drop(temp)
}

// accept takes connections until the listener is closed.
func (s *serving) accept(ctx context.Context, l net.Listener, running *sync.WaitGroup) {
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			select { // too many open files, perhaps: there will be fewer
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		if !s.gate.admits(conn.RemoteAddr(), s.now()) || !s.hold(conn) {
			_ = conn.Close()
			continue
		}
		s.shaking.enter(conn)
		running.Go(func() { s.connection(ctx, conn) })
	}
}

func (s *serving) hold(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.conns[conn] = true
	}
	return !s.ended
}

func (s *serving) cutAll() {
	s.mu.Lock()
	conns := slices.Collect(maps.Keys(s.conns))
	s.ended = true
	s.mu.Unlock()
	for _, c := range conns {
		_ = c.Close() // whoever was using it learns why
	}
}

func (s *serving) let(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	_ = conn.Close() // closed already, or of no more use
}

// unknownKeyError is a key that is not that of the client whose name was given. A stranger
// is told only that it is not.
type unknownKeyError struct{ user, fingerprint string }

func (e *unknownKeyError) Error() string {
	return fmt.Sprintf("user %s with key %s", e.user, e.fingerprint)
}

// whoFailed names the keys that were shown in a login that failed.
func whoFailed(refused *ssh.ServerAuthError) string {
	var shown []string
	for _, err := range refused.Errors {
		if key, ok := errors.AsType[*unknownKeyError](err); ok && !slices.Contains(shown, key.Error()) {
			shown = append(shown, key.Error())
		}
	}
	if len(shown) == 0 {
		return "with no key"
	}
	return strings.Join(shown, ", ")
}

func (s *serving) sshConfig() *ssh.ServerConfig {
	safe := ssh.SupportedAlgorithms()
	c := &ssh.ServerConfig{
		Config:                  ssh.Config{KeyExchanges: safe.KeyExchanges, Ciphers: safe.Ciphers, MACs: safe.MACs},
		PublicKeyAuthAlgorithms: safe.PublicKeyAuths,
		MaxAuthTries:            3,
		ServerVersion:           "SSH-2.0-airlock",
		PublicKeyCallback: func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			pinned, known := s.Clients[c.User()]
			if !known || !bytes.Equal(pinned.Marshal(), key.Marshal()) {
				return nil, &unknownKeyError{c.User(), ssh.FingerprintSHA256(key)}
			}
			return nil, nil
		},
	}
	c.AddHostKey(s.HostKey)
	return c
}

// connection serves one connection to its end.
func (s *serving) connection(ctx context.Context, conn net.Conn) {
	defer s.let(conn)
	defer s.shaking.leave(conn)
	if conn.SetDeadline(time.Now().Add(handshakeIn)) != nil {
		return
	}
	c, offered, requests, err := ssh.NewServerConn(conn, s.ssh)
	if err != nil {
		var refused *ssh.ServerAuthError
		if errors.As(err, &refused) {
			s.refusal("", conn.RemoteAddr().String(), "login", whoFailed(refused))
		}
		return
	}
	if conn.SetDeadline(time.Time{}) != nil {
		return
	}
	s.shaking.leave(conn)
	if !s.logged.take(c.User()) && !(s.makePlace(c.User()) && s.logged.take(c.User())) {
		s.conf.Log.Warn("too many connections; one was cut", "client", c.User(), "from", conn.RemoteAddr())
		return
	}
	mine := &login{conn, c.User(), newLine(s.Limits.OpenFiles), make(chan struct{})}
	s.enter(mine)
	defer s.leave(mine)
	go ssh.DiscardRequests(requests)
	s.channels(ctx, mine, c, offered)
}

// channels serves a client's sessions. All end before it returns.
func (s *serving) channels(ctx context.Context, mine *login, c *ssh.ServerConn, offered <-chan ssh.NewChannel) {
	conn, shared := mine.conn, mine.line
	open := inCourse{}
	var idle *time.Timer
	idle = time.AfterFunc(s.Limits.Idle, func() {
		if open.owes() {
			idle.Reset(s.Limits.Idle)
			return
		}
		s.conf.Log.Info("a client that asked nothing was cut", "client", c.User(), "from", conn.RemoteAddr())
		_ = conn.Close()
	})
	defer idle.Stop()
	stir := func() { idle.Reset(s.Limits.Idle) }
	places := make(chan struct{}, channels)
	var sessions sync.WaitGroup
	defer sessions.Wait()
	for o := range offered {
		if o.ChannelType() != "session" {
			_ = o.Reject(ssh.UnknownChannelType, "only sessions") // a lost connection ends the loop
			continue
		}
		select {
		case places <- struct{}{}:
		default:
			_ = o.Reject(ssh.ResourceShortage, "too many sessions")
			continue
		}
		channel, requests, err := o.Accept()
		if err != nil {
			<-places
			continue
		}
		in := newIntake(ctx, channel, s.arrival, stir)
		open.add(in)
		sessions.Go(func() {
			defer func() { open.remove(in); <-places }()
			one := &session{host: s, ctx: ctx, client: c.User(), from: conn.RemoteAddr().String(), line: shared, uploads: map[string]*upload{}}
			one.serve(in, channel, requests)
		})
	}
}

// inCourse are the sessions of a connection.
type inCourse struct {
	mu  sync.Mutex
	all map[*intake]bool
}

func (c *inCourse) add(in *intake) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[*intake]bool{}
	}
	c.all[in] = true
}

func (c *inCourse) remove(in *intake) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, in)
}

// owes says whether the client waits for the host in any of them.
func (c *inCourse) owes() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for in := range c.all {
		if in.owes() {
			return true
		}
	}
	return false
}
