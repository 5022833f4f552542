package server

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// disk is how much room there is.
type disk struct {
	size, free  int64 // bytes; free is what this process may use
	files, left uint64
}

func (f *folder) disk() (disk, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(f.path, &s); err != nil {
		return disk{}, err
	}
	return disk{size: int64(s.Blocks) * s.Bsize, free: int64(s.Bavail) * s.Bsize, files: s.Files, left: s.Ffree}, nil
}

// forget has the kernel forget what it has cached of a file, so that reading it reads
// the disk. What it does not forget is only read from memory.
func forget(f *os.File) error { return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }

// syncAll makes durable whatever lies on the folder's disk.
func (f *folder) syncAll() (err error) {
	d, err := f.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
}
