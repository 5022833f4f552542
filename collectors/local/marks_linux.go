package local

import (
	"io/fs"
	"syscall"
	"time"

	"airlock/collectors"
)

func marks(info fs.FileInfo) collectors.Marks {
	is, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return collectors.Marks{}
	}
	return collectors.Marks{
		Changed: time.Unix(is.Ctim.Unix()),
		ID:      collectors.FileID{uint64(is.Dev), is.Ino},
	}
}
