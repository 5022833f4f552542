package server

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"airlock/blob"
)

// upload is one file on its way. Its bytes may come in any order, as they do from
// clients that have several requests in flight, but each only once. They are hashed as
// they come; those that came before their turn, when it is theirs.
type upload struct {
	session *session
	temp    string // where it lies until it is whole
	final   string // the name that it gets by itself; "" where the client renames it
	file    *os.File

	mu     sync.Mutex
	hash   hash.Hash
	hashed int64  // bytes from the start that are written and hashed
	ahead  []span // written beyond hashed; sorted, apart from one another
	taken  int64  // room, that of the name included
	failed error  // the first thing that went wrong: nothing more is taken
}

// span is a part of a file.
type span struct{ from, to int64 }

// apart is what a part that came before its turn takes on the disk besides its bytes, the
// rest of two blocks: for one byte far from the others a file system has a whole block.
const apart = 8 << 10

// maxAhead bounds the parts of a file that came before their turn. A client that sends
// what it reads has as many as it has requests in flight; OpenSSH's has 64.
const maxAhead = 4096

// WriteAt takes bytes where none were.
func (u *upload) WriteAt(b []byte, off int64) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed != nil {
		return 0, u.failed
	}
	if err := u.write(b, off); err != nil {
		u.failed = err
		return 0, err
	}
	return len(b), nil
}

func (u *upload) write(b []byte, off int64) error {
	if off < 0 || off > math.MaxInt64-int64(len(b)) {
		return fmt.Errorf("%s: no file has a byte %d: %w", u.temp, off, fs.ErrInvalid)
	}
	part := span{off, off + int64(len(b))}
	at, free := u.place(part)
	if !free {
		u.session.refuse("write again", u.temp)
		return errRefused
	}
	if len(u.ahead) >= maxAhead {
		return fmt.Errorf("%s: its bytes come too scattered", u.temp)
	}
	weight := int64(len(b))
	if off > u.hashed {
		weight += apart
	}
	if err := u.session.take(weight); err != nil {
		return err
	}
	u.taken += weight
	if _, err := u.file.WriteAt(b, off); err != nil {
		return err
	}
	if off > u.hashed {
		u.ahead = slices.Insert(u.ahead, at, part)
		return nil
	}
	u.hash.Write(b)
	u.hashed = part.to
	return u.catchUp()
}

// place is where a part belongs among those that are ahead, and whether none of it is
// there yet.
func (u *upload) place(part span) (at int, free bool) {
	at, _ = slices.BinarySearchFunc(u.ahead, part.from, func(s span, from int64) int { return int(min(1, max(-1, s.from-from))) })
	free = part.from >= u.hashed &&
		(at == 0 || u.ahead[at-1].to <= part.from) &&
		(at == len(u.ahead) || part.to <= u.ahead[at].from)
	return at, free
}

// catchUp hashes what came before its turn, which the page cache still has.
func (u *upload) catchUp() error {
	done := 0
	for _, s := range u.ahead {
		if s.from != u.hashed {
			break
		}
		if _, err := io.Copy(u.hash, io.NewSectionReader(u.file, s.from, s.to-s.from)); err != nil {
			return fmt.Errorf("hash %s: %w", u.temp, err)
		}
		u.hashed = s.to
		done++
	}
	if done == 0 {
		return nil
	}
	u.taken -= int64(done) * apart
	u.session.host.room.giveBack(int64(done) * apart)
	u.ahead = slices.Delete(u.ahead, 0, done)
	return nil
}

// TransferError is called if the connection ends with the file still open.
func (u *upload) TransferError(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.failed = errors.Join(errors.New("the connection broke before the file was whole"), u.failed, err)
}

// Close is the client's word that the file is whole. One that was put under its final
// name is durable there when it returns nil; of one in incoming/ the bytes are on their
// way to the disk.
func (u *upload) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	defer u.session.closed(u)
	host := u.session.host
	err := u.failed
	if err == nil && len(u.ahead) > 0 {
		err = fmt.Errorf("%s has a hole after %d bytes: it is not kept", u.temp, u.hashed)
	}
	if err != nil {
		host.room.giveBack(u.taken)
		return errors.Join(err, u.file.Close(), host.folder.drop(u.temp))
	}
	u.failed = fs.ErrClosed // nothing more gets into what is hashed
	f := finished{client: u.session.client, announced: u.session.line.announced.Load(), size: u.hashed, at: host.now(), bytes: host.naming.settle(u.file, u.temp)}
	u.hash.Sum(f.sum[:0])
	if u.final == "" {
		host.finish(u.temp, f)
		return nil
	}
	p, err := host.naming.promise(u.session.ctx, u.temp, u.final, f)
	if err != nil {
		return errors.Join(told(err), host.discard(u.temp, f))
	}
	return told(p.wait())
}

// info is the file as a client sees it meanwhile.
func (u *upload) info(name string) fs.FileInfo {
	u.mu.Lock()
	defer u.mu.Unlock()
	size := u.hashed
	if n := len(u.ahead); n > 0 {
		size = u.ahead[n-1].to
	}
	return fileInfo{name: name, size: size, mode: 0o600, modified: u.session.host.now()}
}

// finished is a whole file in incoming/ that has no name of its own yet.
type finished struct {
	client string
	size   int64
	sum    blob.Sum
	at     time.Time
	bytes  *durable
	// announced says that it came by a connection on which the site announced a window.
	announced bool
}

// newHash is what every file is hashed by.
func newHash() hash.Hash { return sha256.New() }

// fileInfo is a file or folder that is not on the disk as the client sees it.
type fileInfo struct {
	name     string
	size     int64
	mode     fs.FileMode
	modified time.Time
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) Mode() fs.FileMode  { return i.mode }
func (i fileInfo) ModTime() time.Time { return i.modified }
func (i fileInfo) IsDir() bool        { return i.mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }
