//go:build linux

package cuts

import "golang.org/x/sys/unix"

// ofOld are the calls that take a path alone, which younger machines do not have.
func ofOld() map[string]int32 {
	return map[string]int32{
		"open": unix.SYS_OPEN, "creat": unix.SYS_CREAT, "mkdir": unix.SYS_MKDIR, "rmdir": unix.SYS_RMDIR,
		"rename": unix.SYS_RENAME, "link": unix.SYS_LINK, "unlink": unix.SYS_UNLINK, "chmod": unix.SYS_CHMOD,
	}
}
