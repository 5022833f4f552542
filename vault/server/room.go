package server

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"airlock/vault"
)

// room is what may still come. It counts what lies there and what is on its way.
type room struct {
	disk         func() (disk, error)
	lies         func() (int64, error) // what all files with names count for
	quota, floor int64                 // bytes; 0 for no quota
	kept         int64                 // bytes of it that only announced windows of the site may take
	crowded      func() string         // what of it belongs to no generation; "" for nothing. May be nil
	tell         func(error)           // is told, now and then, that it is full. May be nil

	mu      sync.Mutex
	landed  int64     // what files with names counted for at the last count, and those since
	counted time.Time // the last count
	coming  int64     // what has no name yet; and folders
	told    time.Time // when it was last told that it is full
	why     string    // what was then said of those that crowd it
}

// tellsEvery is how often it is told that there is no room.
const tellsEvery = time.Hour

// recount is how soon files are counted again: prune, another process, removes some.
const recount = time.Second

// take takes room for n more bytes, for an announced window of the site or for whoever it
// is, or says [vault.FullError].
func (r *room) take(n int64, announced bool) error {
	err := r.admit(n, announced)
	full, is := errors.AsType[*vault.FullError](err)
	if !is {
		return err
	}
	r.mu.Lock()
	fresh := r.told.IsZero() || time.Since(r.told) >= tellsEvery
	if fresh {
		r.told = time.Now()
		if r.crowded != nil {
			r.why = r.crowded()
		}
	}
	if r.why != "" {
		full.Why += "; " + r.why
	}
	r.mu.Unlock()
	if fresh && r.tell != nil {
		r.tell(full)
	}
	return full
}

func (r *room) admit(n int64, announced bool) error {
	d, err := r.disk()
	if err != nil {
		return fmt.Errorf("the vault's disk: %w", err)
	}
	kept, inodes := r.kept, d.files/10 // names without bytes take these alone
	if announced || kept == 0 {
		kept, inodes = 0, 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.quota > 0 && n > r.quota-kept-r.landed-r.coming {
		if err := r.count(); err != nil {
			return err
		}
	}
	switch {
	case r.quota > 0 && n > r.quota-r.landed-r.coming:
		return &vault.FullError{Why: fmt.Sprintf("its quota of %s is used up, raise quota in its host's policy file or prune there", megabytes(r.quota))}
	case r.quota > 0 && n > r.quota-kept-r.landed-r.coming, n > d.free-r.floor-kept && n <= d.free-r.floor:
		return &vault.FullError{Why: fmt.Sprintf("all but the %s that its host keeps for windows which the site announces (reserve) is taken", megabytes(kept))}
	case n > d.free-r.floor:
		return &vault.FullError{Why: fmt.Sprintf("%s are free on its disk, of which %s stay free (floor)", megabytes(d.free), megabytes(r.floor))}
	case d.files > 0 && d.left < 1000+d.files/1000:
		return &vault.FullError{Why: "its disk has no more inodes"}
	case d.files > 0 && d.left < 1000+d.files/1000+inodes:
		return &vault.FullError{Why: "its disk has no more inodes but those that its host keeps for windows which the site announces (reserve)"}
	}
	r.coming += n
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

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
func (r *room) left(announced bool) (int64, error) {
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
	if !announced {
		free -= r.kept
	}
	return max(0, free), nil
}
