//go:build unix

package policies

import (
	"os"
	"syscall"
)

// owner is the number of the user whom a file belongs to.
func owner(info os.FileInfo) (uid int, known bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), true
}
