package server

import (
	"errors"
	"fmt"
	"sync"
)

// errFull says that nothing more may come, because of the disk, the floor or the quota.
var errFull = errors.New("the vault is full")

// room is what may still come. It counts what lies there and what is on its way.
type room struct {
	disk         func() (disk, error)
	quota, floor int64 // bytes; 0 for no quota

	mu   sync.Mutex
	used int64
}

// take takes room for n more bytes, or says errFull.
func (r *room) take(n int64) error {
	d, err := r.disk()
	if err != nil {
		return fmt.Errorf("the vault's disk: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.quota > 0 && n > r.quota-r.used:
		return fmt.Errorf("%w: its quota of %d bytes", errFull, r.quota)
	case n > d.free-r.floor:
		return fmt.Errorf("%w: %d bytes are free on its disk, of which %d stay free", errFull, d.free, r.floor)
	case d.files > 0 && d.left < 1000+d.files/1000:
		return fmt.Errorf("%w: its disk has no more inodes", errFull)
	}
	r.used += n
	return nil
}

func (r *room) giveBack(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used -= n
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
		free = min(free, r.quota-r.used)
	}
	return max(0, free), nil
}
