//go:build unix

package policies

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// OpenOwnFolder opens a folder that belongs to whoever runs this program, and no link to one.
func OpenOwnFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		if uid, known := owner(info); known && uid == os.Geteuid() {
			return f, nil
		}
		err = fmt.Errorf("%s is another user's", dir)
	}
	return nil, errors.Join(err, f.Close())
}

// owner is the number of the user whom a file belongs to.
func owner(info os.FileInfo) (uid int, known bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), true
}
