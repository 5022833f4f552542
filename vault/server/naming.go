package server

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"

	"airlock/ledger"
	"airlock/vault"

	"golang.org/x/sync/errgroup"
)

// naming gives whole files their names, as many at once as wait: a disk makes a hundred
// files durable in little more than the time of one. What is promised a name has it for
// everybody at once; it is linked to it in the order of the promises, and only once its
// bytes are durable. Whoever looks at the name waits until that is done, and a receipt
// waits for all.
type naming struct {
	host  *Host
	room  *room
	syncs chan struct{} // a place for each file whose bytes are being made durable

	mu       sync.Mutex
	promised map[string]*promise // by name, until it is kept or broken
	waiting  []*promise          // in their order
	unsynced map[string]bool     // folders with names that are not durable yet
	wake     chan struct{}       // of one
}

// promise is one name for one whole file.
type promise struct {
	temp, name string
	file       finished
	heals      bool          // the name is that of a damaged file
	done       chan struct{} // closed once the name is durable, or cannot be given
	err        error         // why it cannot; after done
}

// wait waits until the promise is kept, or says why it cannot be.
func (p *promise) wait() error {
	<-p.done
	return p.err
}

// Bounds of what is done at once.
const (
	syncsAtOnce = 32
	namesAtOnce = 512
	maxWaiting  = 4096 // promises that nobody waits for
)

func newNaming(h *Host, r *room) *naming {
	return &naming{
		host: h, room: r, syncs: make(chan struct{}, syncsAtOnce),
		promised: map[string]*promise{}, unsynced: map[string]bool{}, wake: make(chan struct{}, 1),
	}
}

// durable is a file whose bytes are being made so.
type durable struct {
	done chan struct{}
	err  error // after done
}

// settle closes a file that is whole and begins to make its bytes durable. It waits
// while too many are on their way there.
func (n *naming) settle(file *os.File, temp string) *durable {
	d := &durable{done: make(chan struct{})}
	n.syncs <- struct{}{}
	go func() {
		defer func() { <-n.syncs }()
		d.err = errors.Join(n.host.folder.settle(file), file.Close())
		if d.err != nil {
			d.err = fmt.Errorf("make %s durable: %w", temp, d.err)
		}
		close(d.done)
	}()
	return d
}

// promise takes a name for a whole file: if it is free, or if it is that of a damaged
// file and these are the bytes that it had. The folder must be there.
func (n *naming) promise(ctx context.Context, temp, name string, f finished) (*promise, error) {
	p := &promise{temp: temp, name: name, file: f, done: make(chan struct{})}
	n.mu.Lock()
	taken := n.promised[name] != nil
	if !taken {
		n.promised[name] = p
	}
	n.mu.Unlock()
	if taken {
		return nil, errTaken
	}
	if p.err = n.allowed(ctx, p); p.err != nil {
		n.resolve(p)
		return nil, p.err
	}
	n.mu.Lock()
	n.waiting = append(n.waiting, p)
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
	return p, nil
}

func (n *naming) allowed(ctx context.Context, p *promise) error {
	if info, err := n.host.folder.Lstat(path.Dir(p.name)); err != nil {
		return err
	} else if !info.IsDir() {
		return errNoFile
	}
	if path.Dir(p.name) == generationsDir && !sealing(p.name) {
		return fmt.Errorf("%s is not the name of a generation: %w", p.name, fs.ErrInvalid)
	}
	if err := n.host.near(max(vault.GenerationOf(p.name), vault.SignedOf(p.name))); err != nil {
		return err
	}
	r, err := n.host.index.find(ctx, p.name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		if _, err := n.host.folder.Lstat(p.name); err == nil {
			return errTaken
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	case err != nil:
		return err
	case r.damage == "":
		return errTaken
	case r.sum == nil || *r.sum != p.file.sum:
		return fmt.Errorf("%s was lost here and had the SHA-256 %v; these are other bytes", p.name, r.sum)
	default:
		p.heals = true
	}
	return nil
}

// resolve ends a promise: it is kept, or broken by its err.
func (n *naming) resolve(p *promise) {
	n.mu.Lock()
	delete(n.promised, p.name)
	n.mu.Unlock()
	close(p.done)
}

// look waits until a name that is promised is there.
func (n *naming) look(name string) {
	n.mu.Lock()
	p := n.promised[name]
	n.mu.Unlock()
	if p != nil {
		<-p.done
	}
}

// flush waits until all that is promised now is there.
func (n *naming) flush() {
	n.mu.Lock()
	all := make([]*promise, 0, len(n.promised))
	for _, p := range n.promised {
		all = append(all, p)
	}
	n.mu.Unlock()
	for _, p := range all {
		<-p.done
	}
}

// behind says whether so much is promised that whoever promises more has to wait for it.
func (n *naming) behind() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.waiting) > maxWaiting
}

// makeFolder makes a folder, unless a file has been promised its name. Its name is durable
// before any in it is.
func (n *naming) makeFolder(name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.promised[name] != nil {
		return fs.ErrExist
	}
	if err := n.host.folder.Mkdir(name, 0o700); err != nil {
		return err
	}
	n.unsynced[path.Dir(name)] = true
	return nil
}

// run keeps promises until ctx ends, by when nobody makes any more, and none is left.
func (n *naming) run(ctx context.Context) {
	for ended := false; ; {
		for group := n.next(); len(group) > 0; group = n.next() {
			n.keep(context.WithoutCancel(ctx), group)
		}
		if ended {
			return
		}
		select {
		case <-n.wake:
		case <-ctx.Done():
			ended = true
		}
	}
}

// next takes the promises that are to be kept together. A generation waits until all
// that was promised before it is durable (S10).
func (n *naming) next() []*promise {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for count < min(len(n.waiting), namesAtOnce) && sealing(n.waiting[count].name) == sealing(n.waiting[0].name) {
		count++
	}
	group := n.waiting[:count:count]
	n.waiting = n.waiting[count:]
	return group
}

// generationsDir is where generations lie, and nothing else does.
const generationsDir = "generations"

func sealing(name string) bool { return vault.GenerationOf(name) > 0 || vault.SignedOf(name) > 0 }

// keep gives some files their names, makes these durable, and records them.
func (n *naming) keep(ctx context.Context, group []*promise) {
	folders := map[string]bool{}
	for _, p := range group {
		if p.err = n.name(p); p.err == nil {
			folders[path.Dir(p.name)] = true
		}
	}
	n.mu.Lock()
	for f := range n.unsynced {
		folders[f] = true
	}
	clear(n.unsynced)
	n.mu.Unlock()
	err := n.syncFolders(folders)
	if err == nil {
		err = n.host.index.arrive(ctx, group, n.host.conf.Now())
	}
	for _, p := range group {
		if p.err == nil {
			p.err = err
		}
		n.end(p)
	}
}

// name links a file to its name once its bytes are durable: link(2) never replaces.
func (n *naming) name(p *promise) error {
	<-p.file.bytes.done
	if p.file.bytes.err != nil {
		return p.file.bytes.err
	}
	if p.heals {
		return n.host.folder.Rename(p.temp, p.name)
	}
	return n.host.folder.Link(p.temp, p.name)
}

// syncFolders makes the names in some folders durable.
func (n *naming) syncFolders(folders map[string]bool) error {
	var syncing errgroup.Group
	syncing.SetLimit(syncsAtOnce)
	for f := range folders {
		syncing.Go(func() error { return n.host.folder.syncFolder(f) })
	}
	return syncing.Wait()
}

// end tidies up behind a promise.
func (n *naming) end(p *promise) {
	weight := p.file.size + nameWeight
	switch {
	case p.err != nil:
		n.room.giveBack(weight)
		n.host.alarm("a file that arrived could not be given its name", p.name+": "+p.err.Error()+"; the next receipt asks the site to send it again")
	case p.heals:
		n.room.giveBack(weight) // the damaged file's still counts
		n.host.note(ledger.KindUpkeep, p.file.client, "a damaged file was sent again: "+p.name, map[string]any{"file": p.name, "sha256": p.file.sum})
	default:
		n.room.land(weight)
	}
	if err := n.host.folder.drop(p.temp); err != nil {
		n.host.conf.Log.Error("clearing "+vault.Incoming, "error", err)
	}
	n.resolve(p)
}
