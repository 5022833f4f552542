package collectors

import (
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"
)

// Marks are what a server tells of a file or folder beyond an fs.FileInfo, as far as it
// does.
type Marks struct {
	// Changed is when anything of it was last changed, its content, its name or its times:
	// ctime, ChangeTime. Nobody sets it by hand.
	Changed time.Time
	ID      FileID
}

// FileID tells a folder from every other one of its source, under whatever name it is
// reached. The zero FileID tells nothing.
type FileID [2]uint64

// NewEntry keeps of a library's fs.FileInfo what is needed, and its marks.
func NewEntry(info fs.FileInfo, m Marks) fs.FileInfo {
	return &entry{info.Name(), info.Size(), info.Mode(), info.ModTime(), m}
}

// MarksOf are an entry's marks, none if it has none.
func MarksOf(info fs.FileInfo) Marks {
	if e, ok := info.(*entry); ok {
		return e.marks
	}
	return Marks{}
}

type entry struct {
	name  string
	size  int64
	mode  fs.FileMode
	time  time.Time
	marks Marks
}

func (e *entry) Name() string       { return e.name }
func (e *entry) Size() int64        { return e.size }
func (e *entry) Mode() fs.FileMode  { return e.mode }
func (e *entry) ModTime() time.Time { return e.time }
func (e *entry) IsDir() bool        { return e.mode.IsDir() }
func (e *entry) Sys() any           { return nil }

// ErrBounds: the source has no end, or is larger than it is allowed to be.
var ErrBounds = errors.New("the source breaks its bounds")

// UsualListing is how much memory the listings of one source may take at a time if nothing
// else is said: some 300,000 names.
const UsualListing = 64 << 20

// Bounded is a Source that can be held to how much memory its listings take at a time.
// Bound is called before anything else is.
type Bounded interface{ Bound(listing int64) }

// Room is what the listings of one source may take, in bytes. The zero Room has the usual
// size. Drivers embed it.
type Room struct {
	most, taken atomic.Int64
}

// Bound implements Bounded.
func (r *Room) Bound(listing int64) { r.most.Store(listing) }

// Most is the size of the room.
func (r *Room) Most() int64 {
	if n := r.most.Load(); n > 0 {
		return n
	}
	return UsualListing
}

// Full is the error of a listing that does not fit.
func (r *Room) Full() error {
	return fmt.Errorf("%w: its list of files takes more than %d MiB; if the folder is really so large, raise limits.listing", ErrBounds, r.Most()>>20)
}

// Listed is one listing in the room, while it arrives.
type Listed struct {
	room    *Room
	entries []fs.FileInfo
	taken   int64
}

// Begin begins a listing. It is followed by End.
func (r *Room) Begin() *Listed { return &Listed{room: r} }

// entrySize is about what an entry takes beside its name.
const entrySize = 150

// Add takes an entry.
func (l *Listed) Add(e fs.FileInfo) error {
	n := int64(len(e.Name()) + entrySize)
	l.taken += n
	if l.room.taken.Add(n) > l.room.Most() {
		return l.room.Full()
	}
	l.entries = append(l.entries, e)
	return nil
}

// End gives what was listed, and the room back.
func (l *Listed) End() []fs.FileInfo {
	l.room.taken.Add(-l.taken)
	l.taken = 0
	return l.entries
}
