//go:build linux

package cuts

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A process is watched by the kernel (seccomp, user notification): each of its threads
// stops at the entry of certain calls until it is let go on, so that they are counted one
// after the other, whichever thread makes them. Strace counts by thread, and a goroutine
// has none.

// watchedVariable, when set, makes this test binary put itself under watch and become
// the program that its arguments name.
const watchedVariable = "AIRLOCK_TEST_WATCHED"

// watchFD is where such a process finds the socket on which it hands over the watch.
const watchFD = 3

// boundary is a call at whose entry a process stands, by which it changes something.
type boundary struct {
	call, what string
}

func (b boundary) String() string { return b.call + " " + b.what }

// place says where a call's object is named.
type place int

const (
	byFD    place = iota // the first argument is a descriptor
	byFirst              // the first argument is a path
	bySecond
)

// watched are the calls that can be boundaries. What a process holds without any of them,
// such as a lock or a connection, ends with it in any case.
func watched() map[int32]struct {
	name string
	at   place
} {
	type named = struct {
		name string
		at   place
	}
	all := map[int32]named{
		unix.SYS_WRITE: {"write", byFD}, unix.SYS_WRITEV: {"writev", byFD},
		unix.SYS_PWRITE64: {"pwrite64", byFD}, unix.SYS_PWRITEV: {"pwritev", byFD},
		unix.SYS_SENDTO: {"sendto", byFD}, unix.SYS_CONNECT: {"connect", byFD}, unix.SYS_SHUTDOWN: {"shutdown", byFD},
		unix.SYS_FSYNC: {"fsync", byFD}, unix.SYS_FDATASYNC: {"fdatasync", byFD},
		unix.SYS_FTRUNCATE: {"ftruncate", byFD}, unix.SYS_FALLOCATE: {"fallocate", byFD}, unix.SYS_FCHMOD: {"fchmod", byFD},
		unix.SYS_OPENAT: {"openat", bySecond}, unix.SYS_MKDIRAT: {"mkdirat", bySecond}, unix.SYS_FCHMODAT: {"fchmodat", bySecond},
		unix.SYS_UNLINKAT: {"unlinkat", bySecond}, unix.SYS_LINKAT: {"linkat", bySecond}, unix.SYS_UTIMENSAT: {"utimensat", bySecond},
		unix.SYS_RENAMEAT: {"renameat", bySecond}, unix.SYS_RENAMEAT2: {"renameat2", bySecond},
	}
	for name, number := range ofOld() {
		all[number] = named{name, byFirst}
	}
	return all
}

// seccompData, notification and answer are struct seccomp_data, seccomp_notif and
// seccomp_notif_resp of <linux/seccomp.h>.
type (
	seccompData struct {
		Nr                 int32
		Arch               uint32
		InstructionPointer uint64
		Args               [6]uint64
	}
	notification struct {
		ID         uint64
		PID, Flags uint32
		Data       seccompData
	}
	answer struct {
		ID    uint64
		Value int64
		Error int32
		Flags uint32
	}
)

const watchFlags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV

// watchable reports whether this kernel can do it: Linux 6.0. It asks for a filter that is
// nowhere, which one that knows the flags looks for.
func watchable() bool {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, watchFlags, 0)
	return errno == unix.EFAULT
}

// becomeWatched hands the watch over its own calls to whoever started it, and becomes
// another program. It returns only with an error.
func becomeWatched(args []string) error {
	runtime.LockOSThread()
	calls := watched()
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}} // the call's number
	for number := range calls {
		left := len(calls) - len(program)
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(number), Jt: uint8(left + 1)})
	}
	program = append(program,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	listener, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, watchFlags, uintptr(unsafe.Pointer(&filter)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	unix.CloseOnExec(watchFD)
	if err := unix.Sendmsg(watchFD, []byte{0}, unix.UnixRights(int(listener)), nil, 0); err != nil { // no call that is watched
		return err
	}
	return syscall.Exec(args[0], args, os.Environ())
}

// watch runs a program to its end, and asks at each boundary whether it may cross it. If
// not, the program is killed where it stands, and watch returns the error of its end.
func watch(c *exec.Cmd, dir string, cross func(boundary) bool) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	near, far := os.NewFile(uintptr(pair[0]), "watch"), os.NewFile(uintptr(pair[1]), "watched")
	self, err := os.Executable()
	if err != nil {
		return errors.Join(err, near.Close(), far.Close())
	}
	c.Args = append([]string{self, c.Path}, c.Args[1:]...)
	c.Path = self
	c.Env = append(os.Environ(), watchedVariable+"=1")
	c.ExtraFiles = []*os.File{far}
	if err := errors.Join(c.Start(), far.Close()); err != nil {
		return errors.Join(err, near.Close())
	}
	w := &watcher{process: c.Process, dir: dir, cross: cross}
	err = w.run(near)
	if err != nil {
		c.Process.Kill()
	}
	return errors.Join(err, near.Close(), c.Wait())
}

type watcher struct {
	process *os.Process
	dir     string // what is told of paths begins below it
	cross   func(boundary) bool
}

// run serves the watch until nobody is under it any more.
func (w *watcher) run(near *os.File) error {
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(near.Fd()), make([]byte, 1), rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return fmt.Errorf("the watch: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return fmt.Errorf("the program could not be put under watch; that takes Linux 6.0: %w", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return err
	}
	listener := fds[0]
	return errors.Join(w.serve(listener), unix.Close(listener))
}

func (w *watcher) serve(listener int) error {
	calls := watched()
	for {
		poll := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); err != nil && err != unix.EINTR {
			return fmt.Errorf("the watch: %w", err)
		}
		if poll[0].Revents&unix.POLLIN == 0 {
			if poll[0].Revents&unix.POLLHUP != 0 {
				return nil
			}
			continue
		}
		var n notification
		if errno := control(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); errno == unix.ENOENT || errno == unix.EINTR {
			continue // the thread has gone
		} else if errno != 0 {
			return fmt.Errorf("the watch: %w", errno)
		}
		call := calls[n.Data.Nr]
		if what := w.object(call.name, call.at, n); what != "" && !w.cross(boundary{call.name, what}) {
			if err := w.process.Kill(); err != nil {
				return err
			}
			w.cross = func(boundary) bool { return false } // whoever is left goes no further either
			continue
		}
		a := answer{ID: n.ID, Flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if errno := control(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a)); errno != 0 && errno != unix.ENOENT {
			return fmt.Errorf("the watch: %w", errno)
		}
	}
}

func control(fd int, request uintptr, with unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(with))
	return errno
}

// object is what a call is about to change; "" if that is nothing outside of the process,
// but the runtime's own wake-ups, and what it prints.
func (w *watcher) object(name string, at place, n notification) string {
	var file string
	switch at {
	case byFD:
		file, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", n.PID, int32(n.Data.Args[0])))
		switch {
		case strings.HasPrefix(file, "socket:"):
			return "a socket"
		case !strings.HasPrefix(file, "/"), filepath.Dir(file) == "/dev":
			return ""
		}
	case byFirst:
		if name == "open" && n.Data.Args[1]&(unix.O_CREAT|unix.O_TRUNC) == 0 {
			return ""
		}
		file = w.text(n.PID, n.Data.Args[0])
	case bySecond:
		if name == "openat" && n.Data.Args[2]&(unix.O_CREAT|unix.O_TRUNC) == 0 {
			return ""
		}
		file = w.text(n.PID, n.Data.Args[1])
	}
	if rel, err := filepath.Rel(w.dir, file); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return strconv.Quote(file)
}

// text reads a string from the memory of a thread that stands still.
func (w *watcher) text(thread uint32, at uint64) string {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", thread))
	if err != nil {
		return "?"
	}
	defer mem.Close()
	b := make([]byte, unix.PathMax)
	n, _ := mem.ReadAt(b, int64(at)) // to the end of the memory, if that comes before
	if end := bytes.IndexByte(b[:n], 0); end >= 0 {
		return string(slices.Clone(b[:end]))
	}
	return "?"
}
