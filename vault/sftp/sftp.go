// Package sftp keeps a vault on an SFTP server.
//
// It wants of the server what OpenSSH's does: SSH_FXP_RENAME that fails when the new
// name exists (OpenSSH links, then unlinks). With a server that replaces, two windows
// at once could put one file over another; one window alone cannot, for it looks first.
// Where the server offers fsync@openssh.com, files and folders are durable once put.
// OpenSSH's own takes a large file in pieces over all connections at once.
package sftp

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/sync/singleflight"

	"airlock/sshconn"
	"airlock/vault"
)

// Config says where the vault is.
type Config struct {
	Conn sshconn.Config
	Path string // the vault's folder; made if the folder that it lies in is there
	// Connections is how many SSH connections are used at once; 0 means 2.
	Connections int
}

const (
	defaultConnections = 2

	// defaultSilence is shorter than elsewhere: a door stands open meanwhile.
	defaultSilence = 30 * time.Second
)

// Store is a vault's folder on a server.
type Store struct {
	root    string
	label   string // for errors
	run     string // names this Store's temporary files
	serial  atomic.Int64
	lines   []*line // that have been ready; under picking
	picking sync.Mutex

	joining     sync.WaitGroup
	stopJoining context.CancelFunc
	others      chan struct{} // closed once they are there, or not waited for
	room        chan *line    // one for each piece of a large file that may be sent on it
	pieces      sync.Pool     // of buffers
	spreads     atomic.Bool   // large files go over all connections

	ready  sync.Map // folders that are there
	making singleflight.Group

	sweeping  sync.Once
	sweepers  sync.WaitGroup
	noFolders atomic.Bool // the server opens no folders, so none can be synced

	announced atomic.Pointer[announcement] // shown on every connection
}

// Dial connects, and logs in on every connection at once. It returns with the first that
// is ready; a further one is used from when it is, and one that does not come about is
// done without.
func Dial(ctx context.Context, c Config) (*Store, error) {
	s := &Store{
		root:  c.Path,
		label: fmt.Sprintf("sftp://%s@%s%s", c.Conn.User, c.Conn.Address, c.Path),
		run:   rand.Text(),
	}
	wanted := cmp.Or(c.Connections, defaultConnections)
	c.Conn.Silence = cmp.Or(c.Conn.Silence, defaultSilence)
	s.room = make(chan *line, wanted*depth)
	s.pieces.New = func() any { return new(piece) }
	dialling, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopJoining = stop
	release := context.AfterFunc(ctx, stop) // until one is ready
	results := make(chan error, wanted)
	for range wanted {
		s.joining.Go(func() { results <- s.join(dialling, &line{conf: c.Conn, announced: &s.announced}) })
	}
	var errs []error
	for range wanted {
		err := <-results
		if err == nil && release() {
			s.expectOthers()
			return s, nil
		}
		errs = append(errs, err)
	}
	if slices.ContainsFunc(errs, crowded) && s.alone(dialling, c.Conn) == nil && release() {
		s.expectOthers()
		return s, nil
	}
	errs = append(errs, context.Cause(ctx), s.Close())
	return nil, fmt.Errorf("vault %s: %w", s.label, errors.Join(errs...))
}

// crowded tells whether a server cut a connection off before any login, as one does that lets
// in few at once (OpenSSH's MaxStartups, a firewall's limit).
func crowded(err error) bool {
	if errors.Is(err, sshconn.ErrAuth) || errors.Is(err, sshconn.ErrNoLogin) || errors.Is(err, sshconn.ErrNoSFTP) {
		return false
	}
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE)
}

// alone tries one connection by itself, and soon again: the others that were tried, and the
// look whether the vault answers, count for a moment after they have ended.
func (s *Store) alone(ctx context.Context, conf sshconn.Config) error {
	const tries, first = 7, 50 * time.Millisecond // three seconds in all
	for n, pause := 1, first; ; n, pause = n+1, 2*pause {
		err := s.join(ctx, &line{conf: conf, announced: &s.announced})
		if err == nil || !crowded(err) || n == tries {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// join makes one connection.
func (s *Store) join(ctx context.Context, l *line) error {
	c, err := l.session(ctx)
	if err != nil {
		return err
	}
	s.picking.Lock()
	defer s.picking.Unlock()
	s.lines = append(s.lines, l)
	if _, openSSH := c.HasExtension("limits@openssh.com"); openSSH {
		s.spreads.Store(true)
	}
	for range depth {
		s.room <- l
	}
	return nil
}

// A large file waits for all connections to be there, but not for long: one that goes the
// same way as another takes twice the time.
const (
	largeFile    = 1 << 20
	othersWithin = 500 * time.Millisecond
)

func (s *Store) expectOthers() {
	s.others = make(chan struct{})
	there := sync.OnceFunc(func() { close(s.others) })
	late := time.AfterFunc(othersWithin, there)
	go func() {
		s.joining.Wait()
		late.Stop()
		there()
	}()
}

// Close ends the connections, and whatever is still using them.
func (s *Store) Close() error {
	s.stopJoining()
	s.joining.Wait()
	var err error
	for _, l := range s.lines {
		err = errors.Join(err, l.close())
	}
	s.sweepers.Wait()
	return err
}

// Announce implements vault.Announcer.
func (s *Store) Announce(ctx context.Context, name string, text []byte) {
	s.announced.Store(&announcement{path: path.Join(s.root, name), text: text})
	s.picking.Lock()
	lines := slices.Clone(s.lines)
	s.picking.Unlock()
	var showing sync.WaitGroup
	for _, l := range lines {
		showing.Go(func() { _, _ = l.session(ctx) }) // whoever uses the line next learns why it is lost
	}
	showing.Wait()
}

// Put implements vault.Store.
func (s *Store) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	staged, err := s.Stage(ctx, name, size, r)
	if err != nil {
		return err
	}
	return staged.Publish(ctx)
}

// Stage implements vault.Stager.
func (s *Store) Stage(ctx context.Context, name string, size int64, r io.Reader) (vault.Staged, error) {
	if err := vault.CheckName(name); err != nil {
		return nil, err
	}
	f := &staged{s: s, name: name, final: path.Join(s.root, name), size: size}
	if size >= largeFile && !s.spreads.Load() {
		select {
		case <-s.others:
		case <-ctx.Done():
		}
	}
	f.temp = path.Join(s.root, vault.Incoming, vault.TempName(s.run, strconv.FormatInt(s.serial.Add(1), 10)))
	err := s.within(ctx, "put "+name, func(c *sftp.Client) error {
		if _, err := c.Lstat(f.final); err == nil {
			return fs.ErrExist
		}
		ready := make(chan error, 1)
		go func() { ready <- s.readyFolder(c, path.Dir(f.final)) }()
		err := s.write(ctx, c, f.temp, size, &reader{ctx, r})
		if err == nil {
			err = context.Cause(ctx)
		}
		return f.judge(c, errors.Join(err, <-ready))
	})
	return f, err
}

// staged is a whole file in incoming/.
type staged struct {
	s                 *Store
	name, temp, final string
	size              int64
}

// Publish implements vault.Staged. The folder is opened, so that it can be synced, while
// the file gets its name.
func (f *staged) Publish(ctx context.Context) error {
	return f.s.within(ctx, "put "+f.name, func(c *sftp.Client) error {
		opened := make(chan *sftp.File, 1)
		go func() { opened <- f.s.openFolder(c, path.Dir(f.final)) }()
		err := f.judge(c, f.s.publish(c, f.temp, f.final))
		folder := <-opened
		if folder == nil && err == nil {
			return f.s.syncFolder(c, path.Dir(f.final)) // which may have been made just now
		}
		if folder == nil {
			return err
		}
		if err == nil {
			err = folder.Sync()
		}
		go func() { _ = folder.Close() }() // it was opened for reading: nothing is lost with it
		return err
	})
}

// Abandon implements vault.Staged.
func (f *staged) Abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	_ = f.s.within(ctx, "abandon "+f.name, func(c *sftp.Client) error { return c.Remove(f.temp) })
}

// judge removes the file after an error, and says whether the disk is full.
func (f *staged) judge(c *sftp.Client, err error) error {
	if err == nil {
		return nil
	}
	err = f.s.explain(c, err, f.size)
	_ = c.Remove(f.temp) // what stays behind is swept away by a later window
	return err
}

// write fills a temporary file and makes its bytes durable. Its packets are written
// in any order, and a failure can leave holes: the file counts only after the last.
func (s *Store) write(ctx context.Context, c *sftp.Client, temp string, size int64, r io.Reader) error {
	f, err := s.create(c, temp)
	if err != nil {
		return err
	}
	var n int64
	if size >= largeFile && s.spreads.Load() {
		p := &spread{s: s, ctx: ctx, temp: temp, maker: c, home: f, ways: map[*line]*way{}}
		n, err = p.fill(r)
	} else {
		n, err = f.ReadFromWithConcurrency(r, 0)
	}
	if err == nil && n != size {
		err = fmt.Errorf("got %d bytes instead of %d", n, size)
	}
	if err == nil {
		err = s.settle(c, f, temp, size)
	}
	return errors.Join(err, f.Close())
}

func (s *Store) create(c *sftp.Client, temp string) (*sftp.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	f, err := c.OpenFile(temp, flags)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := s.makeFolder(c, path.Dir(temp)); err != nil {
		return nil, err
	}
	return c.OpenFile(temp, flags)
}

// settle makes sure that the server has all of a file, on its disk if it can. Both are
// asked for at once.
func (s *Store) settle(c *sftp.Client, f *sftp.File, temp string, size int64) error {
	synced := make(chan error, 1)
	go func() {
		if !syncs(c) {
			synced <- nil
			return
		}
		synced <- f.Sync()
	}()
	info, err := c.Stat(temp)
	if err == nil && info.Size() != size {
		err = fmt.Errorf("the server kept %d bytes of %d", info.Size(), size)
	}
	if err == nil {
		s.sweeping.Do(func() { s.sweepers.Go(func() { s.sweep(c, info) }) })
	}
	return errors.Join(err, <-synced)
}

func syncs(c *sftp.Client) bool {
	version, ok := c.HasExtension("fsync@openssh.com")
	return ok && version == "1"
}

// publish gives a whole file its name. The server says no more than "failure" if the
// name exists, or if its folder is missing, so that the reason is looked for.
func (s *Store) publish(c *sftp.Client, temp, final string) error {
	err := c.Rename(temp, final)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.makeFolder(c, path.Dir(final)); err != nil {
			return err
		}
		err = c.Rename(temp, final)
	}
	if err == nil {
		return nil
	}
	if _, missing := c.Lstat(final); missing == nil {
		return fs.ErrExist
	}
	return err
}

// makeFolder makes a folder and those above it as far as the vault's own, and makes
// their names durable. It asks nothing first: most folders are missing only once.
func (s *Store) makeFolder(c *sftp.Client, folder string) error {
	err := c.Mkdir(folder)
	if errors.Is(err, fs.ErrNotExist) && folder != path.Clean(s.root) {
		if err := s.makeFolder(c, path.Dir(folder)); err != nil {
			return err
		}
		err = c.Mkdir(folder)
	}
	if err == nil {
		return s.syncFolder(c, path.Dir(folder))
	}
	if info, missing := c.Stat(folder); missing == nil && info.IsDir() {
		return nil // another blob of the same shard came first
	}
	return fmt.Errorf("make folder %s: %w; mount its disk, or make the folder above it%s", folder, err, sshconn.PathsCount(c.ReadDir))
}

// readyFolder makes a folder if it is missing, and asks for each only once.
func (s *Store) readyFolder(c *sftp.Client, folder string) error {
	if _, known := s.ready.Load(folder); known {
		return nil
	}
	_, err, _ := s.making.Do(folder, func() (any, error) {
		if _, missing := c.Stat(folder); missing != nil {
			if err := s.makeFolder(c, folder); err != nil {
				return nil, err
			}
		}
		s.ready.Store(folder, nil)
		return nil, nil
	})
	return err
}

// syncFolder makes the names in a folder durable.
func (s *Store) syncFolder(c *sftp.Client, folder string) error {
	f := s.openFolder(c, folder)
	if f == nil {
		return nil
	}
	return errors.Join(f.Sync(), f.Close())
}

// openFolder opens a folder so that it can be synced. OpenSSH opens one like a file; a
// server that does not, or syncs nothing, is left to its own ways: nil.
func (s *Store) openFolder(c *sftp.Client, folder string) *sftp.File {
	if !syncs(c) || s.noFolders.Load() {
		return nil
	}
	f, err := c.Open(folder)
	if err == nil {
		return f
	}
	if !errors.Is(err, fs.ErrNotExist) {
		s.noFolders.Store(true)
	}
	return nil
}

// explain says by what measure the vault is full where the server says that it is, and
// that the disk is where the server only says "failure".
func (s *Store) explain(c *sftp.Client, err error, size int64) error {
	var status *sftp.StatusError
	if !errors.As(err, &status) || status.FxCode() != sftp.ErrSSHFxFailure {
		return err
	}
	if full := vault.ReadFull(status.Error()); full != nil {
		if why := s.announced.Load().why(); why != nil {
			return fmt.Errorf("%w; and it did not take this window's announcement: %w", full, why)
		}
		return full
	}
	disk, unknown := c.StatVFS(s.root)
	if unknown != nil {
		return err
	}
	free := int64(disk.Bavail * disk.Frsize)
	if free < max(size, 1<<20) {
		return fmt.Errorf("the vault's disk is full: %d bytes free: %w: %w", free, syscall.ENOSPC, err)
	}
	if disk.Files > 0 && disk.Favail == 0 {
		return fmt.Errorf("the vault's disk has no inode free: %w: %w", syscall.ENOSPC, err)
	}
	return err
}

// sweep removes what earlier cuts left in incoming/; fresh is a file just made, which
// tells the server's time. What cannot be removed costs room, not the window.
func (s *Store) sweep(c *sftp.Client, fresh fs.FileInfo) {
	incoming := path.Join(s.root, vault.Incoming)
	files, _ := c.ReadDir(incoming)
	for _, f := range files {
		if vault.Leftover(f, s.run, fresh.ModTime()) {
			_ = c.Remove(path.Join(incoming, f.Name()))
		}
	}
}

// Open implements vault.Store.
func (s *Store) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := vault.CheckName(name); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, s.tell(ctx, "open "+name, context.Cause(ctx))
	}
	l := s.take()
	release := l.bind(ctx)
	end := sync.OnceFunc(func() { release(); s.give(l) })
	c, err := l.session(ctx)
	var f *sftp.File
	if err == nil {
		f, err = c.Open(path.Join(s.root, name))
		err = c.Explain(err)
	}
	if err != nil {
		end()
		return nil, s.tell(ctx, "open "+name, err)
	}
	if n < 0 {
		n = 1<<63 - 1 - off
	}
	// One large ReadAt is many requests at once, and one round trip.
	part := bufio.NewReaderSize(io.NewSectionReader(f, off, n), int(min(n, readAhead)))
	return &body{s: s, name: name, reader: reader{ctx, part}, from: c, file: f, end: end}, nil
}

// body is an open file. It holds its line until it is closed.
type body struct {
	reader
	s    *Store
	name string
	from *sshconn.SFTP
	file *sftp.File
	end  func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.reader.Read(p)
	if err != nil && err != io.EOF {
		err = b.s.tell(b.ctx, "read "+b.name, b.from.Explain(err))
	}
	return n, err
}

func (b *body) Close() error {
	err := b.file.Close()
	b.end()
	if err != nil {
		return b.s.tell(b.ctx, "close "+b.name, b.from.Explain(err))
	}
	return nil
}

// List implements vault.Store.
func (s *Store) List(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	if !fs.ValidPath(dir) {
		return nil, fmt.Errorf("list %q: %w", dir, fs.ErrInvalid)
	}
	var infos []fs.FileInfo
	err := s.within(ctx, "list "+dir, func(c *sftp.Client) (err error) {
		infos, err = c.ReadDir(path.Join(s.root, dir))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return vault.Listed(infos, err)
}

// Remove implements vault.Remover. A vault that `airlock vault serve` keeps refuses it.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := vault.CheckRemovable(name); err != nil {
		return err
	}
	return s.within(ctx, "remove "+name, func(c *sftp.Client) error {
		file := path.Join(s.root, name)
		err := c.Remove(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return s.syncFolder(c, path.Dir(file))
	})
}

// within runs one call on the line that has least to do.
func (s *Store) within(ctx context.Context, what string, call func(*sftp.Client) error) error {
	if ctx.Err() != nil {
		return s.tell(ctx, what, context.Cause(ctx))
	}
	l := s.take()
	defer s.give(l)
	defer l.bind(ctx)()
	c, err := l.session(ctx)
	if err == nil {
		err = c.Explain(call(c.Client))
	}
	if err != nil {
		return s.tell(ctx, what, err)
	}
	return nil
}

func (s *Store) tell(ctx context.Context, what string, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = errors.Join(cause, err)
	}
	return fmt.Errorf("vault %s: %s: %w", s.label, what, err)
}

// take picks the line that has least to do.
func (s *Store) take() *line {
	s.picking.Lock()
	defer s.picking.Unlock()
	l := slices.MinFunc(s.lines, func(a, b *line) int { return cmp.Compare(a.busy, b.busy) })
	l.busy++
	return l
}

func (s *Store) give(l *line) {
	s.picking.Lock()
	defer s.picking.Unlock()
	l.busy--
}

// reader ends with its ctx.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r *reader) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(b)
}
