//go:build linux

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Namespace is the network namespace of a host, as ip(8) calls it.
func (h *Hospital) Namespace(host Host) string {
	return strings.TrimSuffix("al-"+string(host)+"-"+h.Name, "-")
}

// namespaceFile is where ip(8) mounts a namespace.
func namespaceFile(namespace string) string { return filepath.Join("/run/netns", namespace) }

// removeNamespace kills what runs in a host's namespace and deletes it.
func (h *Hospital) removeNamespace(ctx context.Context, host Host) error {
	namespace := h.Namespace(host)
	if _, err := os.Lstat(namespaceFile(namespace)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := kill(ctx, namespace, nil); err != nil {
		return err
	}
	return run(ctx, "ip", "netns", "del", namespace)
}

// process is a process in a namespace.
type process struct {
	pid int
	exe string // the base name of its program; "" of one that is ending
}

// processes lists a namespace's processes, save this one. They are known by the
// namespace that the kernel says they are in, not by what somebody noted when they were
// started.
func processes(namespace string) ([]process, error) {
	var want syscall.Stat_t
	switch err := syscall.Stat(namespaceFile(namespace), &want); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("stat %s: %w", namespaceFile(namespace), err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		var is syscall.Stat_t // fails for a process that has just ended
		if syscall.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &is) == nil && is.Dev == want.Dev && is.Ino == want.Ino {
			exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
			if err == nil {
				exe = filepath.Base(exe)
			}
			found = append(found, process{pid, exe})
		}
	}
	return found, nil
}

// kill kills a namespace's processes, those that which accepts (nil: all), until none
// is left; so none that was just being forked escapes.
func kill(ctx context.Context, namespace string, which func(process) bool) error {
	return poll(ctx, "processes in "+namespace+" to end", func() (bool, error) {
		all, err := processes(namespace)
		if err != nil {
			return false, err
		}
		none := true
		for _, p := range all {
			if p.exe == "" { // it is ending, and has its sockets still
				none = false
				continue
			}
			if which == nil || which(p) {
				none = false
				if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
					return false, fmt.Errorf("kill %s (%d): %w", p.exe, p.pid, err)
				}
			}
		}
		return none, nil
	})
}

// poll asks every few milliseconds until done or ctx ends.
func poll(ctx context.Context, what string, done func() (bool, error)) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		}
	}
}

// socketIn opens a socket that belongs to namespace for ever, whichever thread uses it.
func socketIn(namespace string) (int, error) {
	type result struct {
		fd  int
		err error
	}
	c := make(chan result)
	go func() {
		runtime.LockOSThread()
		open := openIn
		if unix.Gettid() == unix.Getpid() {
			// The main thread is what others see of the process, and cannot end before
			// it. Held here, it leaves the work to another thread.
			defer runtime.UnlockOSThread()
			open = socketIn
		} // Any other is never unlocked, and ends with this goroutine, in the namespace it entered.
		fd, err := open(namespace)
		c <- result{fd, err}
	}()
	r := <-c
	return r.fd, r.err
}

func openIn(namespace string) (int, error) {
	ns, err := os.Open(namespaceFile(namespace))
	if err != nil {
		return -1, err
	}
	err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
	if err = errors.Join(err, ns.Close()); err != nil {
		return -1, fmt.Errorf("enter %s: %w", namespace, err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket in %s: %w", namespace, err)
	}
	return fd, nil
}

// unmountBelow unmounts what is mounted in a folder of this machine.
func unmountBelow(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var errs []error
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); strings.HasPrefix(f[4], dir+"/") {
			if err := unix.Unmount(f[4], unix.MNT_DETACH); err != nil {
				errs = append(errs, fmt.Errorf("unmount %s: %w", f[4], err))
			}
		}
	}
	return errors.Join(errs...)
}

// run runs a program to its end; what it said is in the error.
func run(ctx context.Context, name string, args ...string) error {
	return carryOut(exec.CommandContext(ctx, name, args...))
}

func carryOut(c *exec.Cmd) error {
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
