package server

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// errFull says that nothing more may come, because of the disk, the floor or the quota.
var errFull = errors.New("the vault is full")

// room is what may still come. It counts what lies there and what is on its way.
type room struct {
	disk         func() (disk, error)
	lies         func() (int64, error) // what all files with names count for
	quota, floor int64                 // bytes; 0 for no quota

	mu      sync.Mutex
	landed  int64     // what files with names counted for at the last count, and those since
	counted time.Time // the last count
	coming  int64     // what has no name yet; and folders
}

// recount is how soon files are counted again: prune, another process, removes some.
const recount = time.Second

// take takes room for n more bytes, or says errFull.
func (r *room) take(n int64) error {
	d, err := r.disk()
	if err != nil {
		return fmt.Errorf("the vault's disk: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.quota > 0 && n > r.quota-r.landed-r.coming {
		if err := r.count(); err != nil {
			return err
		}
	}
	switch {
	case r.quota > 0 && n > r.quota-r.landed-r.coming:
		return fmt.Errorf("%w: its quota of %d bytes", errFull, r.quota)
	case n > d.free-r.floor:
		return fmt.Errorf("%w: %d bytes are free on its disk, of which %d stay free", errFull, d.free, r.floor)
	case d.files > 0 && d.left < 1000+d.files/1000:
		return fmt.Errorf("%w: its disk has no more inodes", errFull)
	}
	r.coming += n
	return nil
}

// count counts what lies there, unless that was done just now. A file that is being
// named meanwhile may count twice until the next time.
func (r *room) count() (err error) {
	if time.Since(r.counted) < recount {
		return nil
	}
	if r.landed, err = r.lies(); err == nil {
		r.counted = time.Now()
	}
	return err
}

// land is for what has its name now.
func (r *room) land(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.coming -= n
	r.landed += n
}

func (r *room) giveBack(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.coming -= n
}

// left is how many bytes may still come.
func (r *room) left() (int64, error) {
	d, err := r.disk()
	if err != nil {
		return 0, fmt.Errorf("the vault's disk: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	free := d.free - r.floor
	if r.quota > 0 {
		if err := r.count(); err != nil {
			return 0, err
		}
		free = min(free, r.quota-r.landed-r.coming)
	}
	return max(0, free), nil
}
